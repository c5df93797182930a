/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int usage_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("hakmem: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (see `hakmem --help`)\n", stderr);
    va_end(args);
    return EXIT_USAGE;
}

bool option_value(char **argv, int *index, const char *name, const char **value)
{
    const char *argument = argv[*index];
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0) {
        return false;
    }
    if (argument[length] == '=') {
        *value = argument + length + 1;
        return true;
    }
    if (argument[length] != '\0') {
        return false;
    }
    *value = argv[*index + 1];
    if (*value != NULL) {
        *index += 1;
    }
    return true;
}

const char *text_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool text_format(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(out, size, format, args);
    va_end(args);
    return length >= 0 && (size_t)length < size;
}

const char *text_bytes(char out[TEXT_BYTES_MAX], unsigned long long bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    unsigned long long step = 1ULL << (10 * unit);
    if (bytes % step == 0) {
        snprintf(out, TEXT_BYTES_MAX, "%llu%s", bytes / step, units[unit]);
    } else {
        snprintf(out, TEXT_BYTES_MAX, "%.1f%s", value, units[unit]);
    }
    return out;
}
