/* SPDX-License-Identifier: MIT */
/*
 * bench, report, ab: hand over to the bench lab, a Python program beside this command.
 *
 * Searched: bench/lab next to the command (a build tree), ../<libexecdir>/hakmem/lab from there
 * (an installation, also a moved one).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "library.h"

static bool lab_at(char path[PATH_MAX], const char *directory, const char *relative)
{
    return text_format(path, PATH_MAX, "%s/%s", directory, relative) && access(path, R_OK) == 0;
}

static bool lab_find(char path[PATH_MAX])
{
    char directory[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", directory, sizeof(directory) - 1);
    if (length <= 0) {
        return false;
    }
    directory[length] = '\0';
    char *slash = strrchr(directory, '/');
    *slash = '\0';
    return lab_at(path, directory, "bench/lab") ||
           lab_at(path, directory, "../" HAKMEM_LIBEXECDIR "/hakmem/lab");
}

/* Returns only when it fails. The library is named first: a --lib of the user's comes later and
 * counts. */
static int lab_execute(const char *lab, int argc, char **argv)
{
    static struct library library;
    struct report report = {0};
    bool measures = strcmp(argv[0], "report") != 0;
    size_t used = 0;
    char **arguments = calloc((size_t)argc + 5, sizeof(*arguments));
    if (arguments == NULL) {
        fprintf(stderr, "hakmem: %s\n", strerror(errno));
        return EXIT_CANNOT;
    }
    arguments[used++] = (char *)"python3";
    arguments[used++] = (char *)lab;
    arguments[used++] = argv[0];
    if (measures && library_find(&library, NULL, &report)) {
        arguments[used++] = (char *)"--lib";
        arguments[used++] = library.path;
    }
    memcpy(arguments + used, argv + 1, (size_t)(argc - 1) * sizeof(*arguments));
    execvp("python3", arguments);
    int error = errno;
    fprintf(stderr, "hakmem: %s needs python3: %s\n", argv[0], strerror(error));
    return error == ENOENT ? EXIT_ABSENT : EXIT_CANNOT;
}

int lab_main(int argc, char **argv)
{
    char lab[PATH_MAX];
    if (!lab_find(lab)) {
        fprintf(stderr, "hakmem: the bench lab is not installed beside this command\n");
        return EXIT_ABSENT;
    }
    return lab_execute(lab, argc, argv);
}
