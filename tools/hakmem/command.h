/* SPDX-License-Identifier: MIT */
/*
 * command: what the subcommands of `hakmem` share: exit codes, usage errors and small text
 * helpers. Single-threaded, short-lived process; nothing here frees memory at exit.
 * Each subcommand is one function that gets its own arguments (argv[0] is its name) and
 * returns the exit code.
 */
#ifndef HAKMEM_TOOLS_COMMAND_H
#define HAKMEM_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_PROBLEM = 1,   /* doctor found something that stops hakmem */
    EXIT_USAGE = 2,
    EXIT_CANNOT = 126,  /* as in the shell: found, but cannot be run (with hakmem) */
    EXIT_ABSENT = 127   /* as in the shell: not found */
};

int run_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int settings_main(int argc, char **argv);
int lab_main(int argc, char **argv);

/* Prints "hakmem: SENTENCE" and where help is found, on stderr; returns EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Matches `--name VALUE` and `--name=VALUE` at argv[*index]. On a match *value points to the
 * value (NULL when it is missing) and *index is at the last argument used. */
bool option_value(char **argv, int *index, const char *name, const char **value);

const char *text_basename(const char *path);

/* snprintf into an array; false when it did not fit. */
bool text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "64MiB" when exact, "1.5GiB" otherwise; the result lives in `out`. */
#define TEXT_BYTES_MAX 32
const char *text_bytes(char out[TEXT_BYTES_MAX], unsigned long long bytes);

#endif
