/* SPDX-License-Identifier: MIT */
/*
 * doctor: says line by line whether hakmem will work on this machine, in this environment and
 * in a given program.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "library.h"
#include "machine.h"
#include "program.h"

struct doctor_options {
    const char *library_path;
    const char *program; /* NULL: only the machine */
};

static int parse(int argc, char **argv, struct doctor_options *options)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            if (++i == argc) {
                return usage_error("doctor: no program after --");
            }
            break;
        }
        if (!option_value(argv, &i, "--lib", &options->library_path)) {
            return usage_error("doctor: unknown option %s", argv[i]);
        }
        if (options->library_path == NULL) {
            return usage_error("--lib needs a path");
        }
    }
    options->program = i < argc ? argv[i] : NULL;
    return EXIT_OK;
}

int doctor_main(int argc, char **argv)
{
    static struct library library;
    static struct program program;
    struct doctor_options options = {0};
    int code = parse(argc, argv, &options);
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = {.out = stdout, .prefix = ""};
    machine_check(&report);
    bool has_library = library_find(&library, options.library_path, &report);
    if (has_library) {
        preload_check(&library, &report);
    }
    if (options.program != NULL && program_find(&program, options.program, &report)) {
        program_check(&program, has_library ? &library : NULL, &report);
    }
    return report.problem_count > 0 ? EXIT_PROBLEM : EXIT_OK;
}
