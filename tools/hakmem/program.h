/* SPDX-License-Identifier: MIT */
/*
 * program: finds a program as the shell would, follows scripts to the program that runs them,
 * and says whether a preloaded library would work in it.
 */
#ifndef HAKMEM_TOOLS_PROGRAM_H
#define HAKMEM_TOOLS_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "elf_file.h"
#include "library.h"
#include "report.h"

struct program {
    char path[PATH_MAX];    /* what is executed */
    char binary[PATH_MAX];  /* the ELF file that runs in the end */
    bool needs_shell;       /* a script without #!: run as `/bin/sh path` */
    bool is_absent;         /* not found (exit code 127, not 126) */
    struct elf_file elf;    /* of binary */
};

/* Fills *program; false with a problem in the report. */
bool program_find(struct program *program, const char *name, struct report *report);

/* Adds findings about preloading `library` (NULL: not found, skip what compares) into it. */
void program_check(const struct program *program, const struct library *library,
                   struct report *report);

#endif
