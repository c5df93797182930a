/* SPDX-License-Identifier: MIT */
/*
 * hakmem: the command around the allocator. Finds the subcommand; each lives in its own file.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"

static const char help[] =
    "usage: hakmem run [-v] [--set NAME=VALUE]... [--lib PATH] [--] PROGRAM [ARGUMENT]...\n"
    "       hakmem doctor [--lib PATH] [--] [PROGRAM]\n"
    "       hakmem settings [--man | --markdown]\n"
    "       hakmem bench [--peers NAME[=PATH],..] [--only PATTERN] [--quick] [OPTION]...\n"
    "       hakmem ab SETTING=A,B WORKLOAD [OPTION]...\n"
    "       hakmem report FOLDER [OPTION]...\n"
    "       hakmem --help | --version\n"
    "\n"
    "run       start PROGRAM with the hakmem allocator, or say why that cannot work\n"
    "            -v, --verbose     show what was found, and the settings in use\n"
    "            --set NAME=VALUE  set HAKMEM_NAME for the program\n"
    "            --lib PATH        use this libhakmem.so\n"
    "doctor    check this machine, and PROGRAM if given; exit code 1 on a problem\n"
    "settings  list the settings with their values and defaults\n"
    "bench     measure hakmem side by side with every allocator that is installed\n"
    "ab        measure two values of one setting against each other\n"
    "report    make a page with figures from a folder that bench wrote\n"
    "            each has --help\n"
    "\n"
    "Exit codes of run: that of PROGRAM; 2 bad arguments, 126 cannot be run with hakmem,\n"
    "127 not found. More in hakmem(1).\n";

static int help_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs(help, stdout);
    return EXIT_OK;
}

static int version_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("hakmem " HAKMEM_VERSION);
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} commands[] = {
    {"run", run_main},           {"doctor", doctor_main}, {"settings", settings_main},
    {"bench", lab_main},         {"ab", lab_main},        {"report", lab_main},
    {"--help", help_main},       {"-h", help_main},       {"help", help_main},
    {"--version", version_main},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage_error("no command given");
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].main(argc - 1, argv + 1);
        }
    }
    return usage_error("unknown command %s", argv[1]);
}
