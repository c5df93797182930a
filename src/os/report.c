/* SPDX-License-Identifier: MIT */
#include "os/report.h"

#include <string.h>

#include "os/os.h"

void report_begin(struct report *r)
{
    r->length = 0;
    report_text(r, "hakmem: ");
}

void report_span(struct report *r, const char *text, size_t length)
{
    size_t room = sizeof r->text - 1 - r->length; /* one byte is kept for the newline */
    size_t n = length < room ? length : room;
    memcpy(r->text + r->length, text, n);
    r->length += n;
}

void report_text(struct report *r, const char *text)
{
    report_span(r, text, strlen(text));
}

static void report_in_base(struct report *r, uint64_t n, unsigned base)
{
    char digits[24];
    size_t i = sizeof digits;
    do {
        digits[--i] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    report_span(r, digits + i, sizeof digits - i);
}

void report_number(struct report *r, uint64_t n)
{
    report_in_base(r, n, 10);
}

void report_pointer(struct report *r, const void *p)
{
    report_text(r, "0x");
    report_in_base(r, (uintptr_t)p, 16);
}

void report_end(struct report *r)
{
    r->text[r->length++] = '\n';
    os_write_stderr(r->text, r->length);
}

_Noreturn void report_fail(const char *what, const char *reason, const void *p)
{
    struct report r;
    report_begin(&r);
    report_text(&r, what);
    report_text(&r, ": ");
    report_text(&r, reason);
    report_text(&r, " ");
    report_pointer(&r, p);
    report_end(&r);
    os_abort();
}
