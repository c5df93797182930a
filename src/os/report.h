/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Messages to stderr: one line, one raw write, no allocation, no stdio. Any thread, any time.
 * report_* builds a line piece by piece; report_fail ends the process after a broken invariant
 * or a detected corruption of the user's heap.
 */

#include "base/compiler.h"

struct report {
    size_t length;
    char text[1000];
};

/* Starts a line with "hakmem: ". */
void report_begin(struct report *r);
void report_text(struct report *r, const char *text);
void report_span(struct report *r, const char *text, size_t length);
void report_number(struct report *r, uint64_t n);
void report_pointer(struct report *r, const void *p);
/* Adds a newline and writes the line. */
void report_end(struct report *r);

/* "hakmem: <what>: <reason> <pointer>", then abort. */
_Noreturn void report_fail(const char *what, const char *reason, const void *p);
