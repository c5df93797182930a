/* SPDX-License-Identifier: MIT */
/*
 * library: finds libhakmem.so and puts it into LD_PRELOAD.
 *
 * Searched in this order: the directory of the command itself, ../lib and ../<libdir> from
 * there (a moved installation), the directory compiled in at build time; in each
 * libhakmem.so, then libhakmem.so.0 (present without the development files).
 */
#ifndef HAKMEM_TOOLS_LIBRARY_H
#define HAKMEM_TOOLS_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#include "elf_file.h"
#include "report.h"

struct library {
    char path[PATH_MAX];    /* absolute */
    struct elf_file elf;
};

/* `wanted` is the path given by --lib, or NULL. Adds one finding, subject "library"; false when
 * it is a problem. */
bool library_find(struct library *library, const char *wanted, struct report *report);

/* Adds findings on what LD_PRELOAD names already, subject "LD_PRELOAD". */
void preload_check(const struct library *library, struct report *report);

/* Appends the library to LD_PRELOAD unless it is there; false when memory is short. */
bool preload_add(const struct library *library);

#endif
