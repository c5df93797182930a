/* SPDX-License-Identifier: MIT */
#include "library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "peers.h"

/* ld.so separates the entries of LD_PRELOAD by both. */
#define PRELOAD_SEPARATORS " :"

static bool try_directory(struct library *library, const char *directory)
{
    static const char *const names[] = {"libhakmem.so", "libhakmem.so.0"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        if (text_format(path, sizeof(path), "%s/%s", directory, names[i]) &&
            access(path, R_OK) == 0 && realpath(path, library->path) != NULL) {
            return true;
        }
    }
    return false;
}

static bool own_directory(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    if (length <= 0) {
        return false;
    }
    out[length] = '\0';
    *strrchr(out, '/') = '\0';
    return true;
}

static bool search(struct library *library)
{
    static const char *const beside[] = {"", "/../lib", ("/../" HAKMEM_LIBDIR_RELATIVE)};
    char own[PATH_MAX];
    if (own_directory(own, sizeof(own))) {
        for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
            char directory[PATH_MAX];
            if (text_format(directory, sizeof(directory), "%s%s", own, beside[i]) &&
                try_directory(library, directory)) {
                return true;
            }
        }
    }
    return try_directory(library, HAKMEM_LIBDIR);
}

static bool locate(struct library *library, const char *wanted, struct report *report)
{
    if (wanted == NULL) {
        if (search(library)) {
            return true;
        }
        report_add(report, LEVEL_PROBLEM, "library",
                   "libhakmem.so is neither beside this command, nor in ../lib, nor in %s; "
                   "build or install it, or name it with --lib PATH",
                   HAKMEM_LIBDIR);
        return false;
    }
    if (realpath(wanted, library->path) != NULL) {
        return true;
    }
    report_add(report, LEVEL_PROBLEM, "library", "%s: %s; give the path of libhakmem.so",
               wanted, strerror(errno));
    return false;
}

/* Whether the dynamic loader can preload it and would take malloc from it. */
static bool check_loadable(const struct library *library, struct report *report)
{
    const char *path = library->path;
    if (strpbrk(path, PRELOAD_SEPARATORS) != NULL) {
        report_add(report, LEVEL_PROBLEM, "library",
                   "%s has a space or colon in its path, which LD_PRELOAD cannot express; "
                   "move or link it to another directory",
                   path);
        return false;
    }
    if (library->elf.kind == ELF_FOREIGN) {
        report_add(report, LEVEL_PROBLEM, "library",
                   "%s is a %u-bit %s library, unlike this command; use the one it came with",
                   path, library->elf.bits, elf_machine_name(library->elf.machine));
        return false;
    }
    if (library->elf.kind != ELF_LIBRARY && library->elf.kind != ELF_DYNAMIC) {
        report_add(report, LEVEL_PROBLEM, "library",
                   "%s is not a shared library; give the path of libhakmem.so", path);
        return false;
    }
    struct peer_facts facts;
    peer_scan(&library->elf, &facts);
    if (!facts.exports_malloc) {
        report_add(report, LEVEL_PROBLEM, "library",
                   "%s does not define malloc; give the path of libhakmem.so", path);
        return false;
    }
    return true;
}

bool library_find(struct library *library, const char *wanted, struct report *report)
{
    memset(library, 0, sizeof(*library));
    if (!locate(library, wanted, report)) {
        return false;
    }
    if (!elf_open(&library->elf, library->path)) {
        report_add(report, LEVEL_PROBLEM, "library", "%s: %s; make it readable", library->path,
                   strerror(errno));
        return false;
    }
    if (!check_loadable(library, report)) {
        return false;
    }
    report_add(report, LEVEL_OK, "library", "%s", library->path);
    return true;
}

static bool same_file(const struct library *library, const char *name)
{
    char path[PATH_MAX];
    return realpath(name, path) != NULL && strcmp(path, library->path) == 0;
}

/* True when the entry takes malloc away from a library that comes after it. */
static bool defines_malloc(const char *name)
{
    if (peer_of_library(name) != NULL || sanitizer_of_library(name) != NULL) {
        return true;
    }
    struct elf_file elf;
    if (strchr(name, '/') == NULL || !elf_open(&elf, name)) {
        return false;
    }
    struct peer_facts facts;
    peer_scan(&elf, &facts);
    elf_close(&elf);
    return facts.exports_malloc;
}

void preload_check(const struct library *library, struct report *report)
{
    const char *present = getenv("LD_PRELOAD");
    char *copy = present != NULL ? strdup(present) : NULL;
    char *rest = copy;
    for (char *name; rest != NULL && (name = strsep(&rest, PRELOAD_SEPARATORS)) != NULL;) {
        if (name[0] == '\0') {
            continue;
        }
        if (same_file(library, name)) {
            break;
        }
        if (defines_malloc(name)) {
            report_add(report, LEVEL_PROBLEM, "LD_PRELOAD",
                       "%s comes first and defines malloc, so hakmem would not be used; "
                       "take it out of LD_PRELOAD",
                       name);
        } else {
            report_add(report, LEVEL_NOTE, "LD_PRELOAD", "%s is kept before hakmem", name);
        }
    }
    free(copy);
}

static bool preload_has(const struct library *library, const char *present)
{
    char *copy = strdup(present);
    char *rest = copy;
    bool found = false;
    for (char *name; !found && rest != NULL;) {
        name = strsep(&rest, PRELOAD_SEPARATORS);
        found = name[0] != '\0' && same_file(library, name);
    }
    free(copy);
    return found;
}

bool preload_add(const struct library *library)
{
    const char *present = getenv("LD_PRELOAD");
    if (present == NULL || present[0] == '\0') {
        return setenv("LD_PRELOAD", library->path, 1) == 0;
    }
    if (preload_has(library, present)) {
        return true;
    }
    char *joined;
    if (asprintf(&joined, "%s:%s", present, library->path) < 0) {
        return false;
    }
    bool stored = setenv("LD_PRELOAD", joined, 1) == 0;
    free(joined);
    return stored;
}
