/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 2048 };

static void print_line(const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    int n = vsnprintf(line, sizeof line - 1, format, arguments);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0) {
        _exit(1);
    }
}

void fuzz_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    abort();
}

void fuzz_trace(const char *format, ...)
{
    static int wanted = -1;
    if (wanted < 0) {
        wanted = getenv("FUZZ_TRACE") != NULL;
    }
    if (wanted == 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

bool fuzz_next_text(const uint8_t **data, size_t *left, char *text, size_t size)
{
    if (*left == 0) {
        return false;
    }
    const uint8_t *end = memchr(*data, 0, *left);
    size_t length = end != NULL ? (size_t)(end - *data) : *left;
    size_t used = end != NULL ? length + 1 : length;
    size_t kept = length < size ? length : size - 1;
    memcpy(text, *data, kept);
    text[kept] = '\0';
    *data += used;
    *left -= used;
    return true;
}
