/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdarg.h>

static const char *const level_names[] = {"ok", "note", "problem"};

void report_add(struct report *report, enum level level, const char *subject,
                const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (level == LEVEL_PROBLEM && report->problem_count++ == 0) {
        snprintf(report->first_problem, sizeof(report->first_problem), "%s", text);
    }
    if (report->out != NULL) {
        fprintf(report->out, "%s%-7s  %s: %s\n", report->prefix, level_names[level], subject,
                text);
    }
}
