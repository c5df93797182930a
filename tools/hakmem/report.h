/* SPDX-License-Identifier: MIT */
/*
 * report: collects findings, one line each: `ok|note|problem  subject: sentence`.
 * `doctor` prints all of them; `run` prints none unless it is verbose, and stops with the
 * first problem. A problem means that hakmem would not work (or not be used) here.
 */
#ifndef HAKMEM_TOOLS_REPORT_H
#define HAKMEM_TOOLS_REPORT_H

#include <stdio.h>

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_PROBLEM };

struct report {
    FILE *out;              /* where lines go; NULL: collect only */
    const char *prefix;     /* printed before each line */
    unsigned problem_count;
    char first_problem[2048];
};

void report_add(struct report *report, enum level level, const char *subject,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
