/* SPDX-License-Identifier: MIT */
/*
 * run: starts a program with libhakmem.so preloaded, or says why that cannot work.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "library.h"
#include "program.h"

struct run_options {
    const char *library_path;
    bool is_verbose;
    char **program; /* NULL-terminated: name and arguments */
};

/* Turns `route=x`, `ROUTE=x` or `HAKMEM_ROUTE=x` into HAKMEM_ROUTE=x in the environment. */
static int apply_setting(const char *text)
{
    const char *equals = text != NULL ? strchr(text, '=') : NULL;
    if (equals == NULL) {
        return usage_error("--set needs NAME=VALUE");
    }
    if (strncasecmp(text, "HAKMEM_", 7) == 0) {
        text += 7;
    }
    char name[128] = "HAKMEM_";
    size_t length = 7;
    for (; text < equals && length + 1 < sizeof(name); text++) {
        if (!isalnum((unsigned char)*text) && *text != '_') {
            return usage_error("--set: '%c' cannot be part of the name of a setting", *text);
        }
        name[length++] = (char)toupper((unsigned char)*text);
    }
    if (length == 7 || text != equals) {
        return usage_error("--set needs NAME=VALUE with a NAME of 1 to 120 letters");
    }
    name[length] = '\0';
    if (setenv(name, equals + 1, 1) == 0) {
        return EXIT_OK;
    }
    return usage_error("--set: %s", strerror(errno));
}

static int parse(int argc, char **argv, struct run_options *options)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--verbose") == 0) {
            options->is_verbose = true;
        } else if (option_value(argv, &i, "--set", &value)) {
            int code = apply_setting(value);
            if (code != EXIT_OK) {
                return code;
            }
        } else if (option_value(argv, &i, "--lib", &value)) {
            if (value == NULL) {
                return usage_error("--lib needs a path");
            }
            options->library_path = value;
        } else {
            return usage_error("run: unknown option %s", argv[i]);
        }
    }
    if (i >= argc) {
        return usage_error("run: no program given");
    }
    options->program = argv + i;
    return EXIT_OK;
}

static int refuse(const struct report *report, int code)
{
    if (report->out == NULL) {
        fprintf(stderr, "hakmem: %s\n", report->first_problem);
    }
    return code;
}

/* Returns only when it fails. */
static int execute(const struct program *program, char **arguments)
{
    if (!program->needs_shell) {
        execv(program->path, arguments);
    } else {
        size_t count = 0;
        while (arguments[count] != NULL) {
            count++;
        }
        char **shell = calloc(count + 2, sizeof(*shell));
        if (shell != NULL) {
            shell[0] = (char *)"sh";
            shell[1] = (char *)program->path;
            memcpy(shell + 2, arguments + 1, count * sizeof(*shell));
            execv("/bin/sh", shell);
        }
    }
    fprintf(stderr, "hakmem: %s: %s\n", program->path, strerror(errno));
    return errno == ENOENT ? EXIT_ABSENT : EXIT_CANNOT;
}

int run_main(int argc, char **argv)
{
    static struct library library;
    static struct program program;
    struct run_options options = {0};
    int code = parse(argc, argv, &options);
    if (code != EXIT_OK) {
        return code;
    }
    struct report report = {.prefix = "hakmem: "};
    if (options.is_verbose) {
        report.out = stderr;
    }
    if (!program_find(&program, options.program[0], &report)) {
        return refuse(&report, program.is_absent ? EXIT_ABSENT : EXIT_CANNOT);
    }
    if (!library_find(&library, options.library_path, &report)) {
        return refuse(&report, EXIT_CANNOT);
    }
    preload_check(&library, &report);
    program_check(&program, &library, &report);
    if (report.problem_count > 0) {
        return refuse(&report, EXIT_CANNOT);
    }
    if (!preload_add(&library) ||
        (options.is_verbose && setenv("HAKMEM_VERBOSE", "1", 0) != 0)) {
        fprintf(stderr, "hakmem: the environment cannot be changed: %s\n", strerror(errno));
        return EXIT_CANNOT;
    }
    return execute(&program, options.program);
}
