/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "command.h"
#include "peers.h"

/* The kernel follows five interpreters, each of which may be an `env` line here. */
#define SCRIPT_DEPTH_MAX 10
/* The kernel reads 256 bytes of a script's first line. */
#define SCRIPT_LINE_MAX 256
#define SHELL "/bin/sh"
#define SCRIPT_BLANKS " \t"

/* Returns 0 or the errno that exec would give. */
static int executable_error(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    if (!S_ISREG(status.st_mode) || access(path, X_OK) != 0) {
        return EACCES;
    }
    return 0;
}

/* As execvp: the first executable file counts; one without permission is remembered. */
static int search_path(const char *name, char out[PATH_MAX])
{
    const char *value = getenv("PATH");
    char *copy = strdup(value != NULL ? value : "/bin:/usr/bin");
    char *rest = copy;
    int error = ENOENT;
    while (rest != NULL) {
        const char *directory = strsep(&rest, ":");
        char path[PATH_MAX];
        if (!text_format(path, sizeof(path), "%s/%s", directory[0] ? directory : ".", name)) {
            continue;
        }
        int found = executable_error(path);
        if (found == 0) {
            snprintf(out, PATH_MAX, "%s", path);
            free(copy);
            return 0;
        }
        /* A directory that may not be entered says nothing about the program. */
        if (found == EACCES && access(path, F_OK) == 0) {
            error = EACCES;
        }
    }
    free(copy);
    return error;
}

static int find_executable(const char *name, char out[PATH_MAX])
{
    if (strchr(name, '/') == NULL && name[0] != '\0') {
        return search_path(name, out);
    }
    if (!text_format(out, PATH_MAX, "%s", name)) {
        return ENAMETOOLONG;
    }
    return name[0] == '\0' ? ENOENT : executable_error(name);
}

static const char *missing_reason(const char *name, int error)
{
    switch (error) {
    case EACCES:
        return "is not executable; check its mode with `ls -l`";
    case EISDIR:
        return "is a directory";
    case ENOENT:
    case ENOTDIR:
        return strchr(name, '/') != NULL ? "does not exist; check the spelling"
                                         : "was not found in PATH; check the spelling";
    default:
        return strerror(error);
    }
}

/* `user` is the script that names it, or NULL. */
static void report_missing(struct program *program, const char *name, const char *user,
                           int error, struct report *report)
{
    program->is_absent = error == ENOENT || error == ENOTDIR;
    const char *why = missing_reason(name, error);
    if (user != NULL) {
        report_add(report, LEVEL_PROBLEM, "program", "%s, the interpreter of %s, %s", name,
                   user, why);
    } else {
        report_add(report, LEVEL_PROBLEM, "program", "%s %s", name[0] ? name : "''", why);
    }
}

/* Reads the beginning of a file as text; returns the number of bytes or -1. */
static ssize_t read_head(const char *path, char head[SCRIPT_LINE_MAX + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t bytes = read(fd, head, SCRIPT_LINE_MAX);
    close(fd);
    head[bytes > 0 ? bytes : 0] = '\0';
    return bytes;
}

/* `#!/usr/bin/env -S NAME=x prog ...`: the program that env will start, or NULL. */
static char *env_target(char *arguments)
{
    char *rest = arguments;
    for (char *word; rest != NULL;) {
        word = strsep(&rest, SCRIPT_BLANKS);
        if (word[0] != '\0' && word[0] != '-' && strchr(word, '=') == NULL) {
            return word;
        }
    }
    return NULL;
}

/* Takes the interpreter out of a `#!` line; NULL when the line is empty. */
static char *script_interpreter(char *head)
{
    head[strcspn(head, "\n")] = '\0';
    char *name = head + 2 + strspn(head + 2, SCRIPT_BLANKS);
    char *rest = name;
    strsep(&rest, SCRIPT_BLANKS);
    if (rest != NULL && strcmp(text_basename(name), "env") == 0) {
        char *target = env_target(rest);
        if (target != NULL) {
            return target;
        }
    }
    return name[0] != '\0' ? name : NULL;
}

enum step { STEP_ELF, STEP_SCRIPT, STEP_FAILED };

/* Looks at one file; for a script puts the next file to look at into `next`. */
static enum step follow(struct program *program, const char *path, char next[PATH_MAX],
                        struct report *report)
{
    char head[SCRIPT_LINE_MAX + 1];
    ssize_t bytes = read_head(path, head);
    /* An unreadable file can still be executed; it is then judged by its mode alone. */
    if (bytes < 0 || (bytes >= 4 && memcmp(head, "\177ELF", 4) == 0)) {
        return STEP_ELF;
    }
    char *interpreter = NULL;
    if (strncmp(head, "#!", 2) == 0) {
        interpreter = script_interpreter(head);
    }
    if (interpreter == NULL && memchr(head, '\0', (size_t)bytes) != NULL) {
        report_add(report, LEVEL_PROBLEM, "program",
                   "%s is neither an ELF program nor a script; hakmem cannot be loaded "
                   "into it",
                   path);
        return STEP_FAILED;
    }
    if (interpreter == NULL) {
        program->needs_shell = strcmp(path, program->path) == 0;
        snprintf(next, PATH_MAX, "%s", SHELL);
        return STEP_SCRIPT;
    }
    int error = find_executable(interpreter, next);
    if (error == 0) {
        return STEP_SCRIPT;
    }
    report_missing(program, interpreter, path, error, report);
    return STEP_FAILED;
}

bool program_find(struct program *program, const char *name, struct report *report)
{
    memset(program, 0, sizeof(*program));
    program->elf.fd = -1;
    int error = find_executable(name, program->path);
    if (error != 0) {
        report_missing(program, name, NULL, error, report);
        return false;
    }
    char path[PATH_MAX];
    memcpy(path, program->path, sizeof(path));
    for (int depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
        char next[PATH_MAX];
        enum step step = follow(program, path, next, report);
        if (step == STEP_FAILED) {
            return false;
        }
        if (step == STEP_ELF) {
            memcpy(program->binary, path, sizeof(path));
            elf_open(&program->elf, path);
            return true;
        }
        memcpy(path, next, sizeof(path));
    }
    report_add(report, LEVEL_PROBLEM, "program",
               "%s is a script whose interpreters are scripts without end", name);
    return false;
}

/* What makes the kernel start the program in secure mode, where ld.so ignores LD_PRELOAD with
 * a path; NULL when nothing does for the user who asks. */
static const char *privilege_of(const char *path)
{
    struct stat status;
    struct statvfs mount;
    if (stat(path, &status) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        return NULL;
    }
    if (statvfs(path, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0) {
        return NULL;
    }
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) {
        return "setuid";
    }
    bool setgid = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (setgid && status.st_gid != getgid()) {
        return "setgid";
    }
    if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0) {
        return "a program with file capabilities";
    }
    return NULL;
}

static void check_privileges(const struct program *program, struct report *report)
{
    const char *privilege = privilege_of(program->binary);
    if (privilege != NULL) {
        report_add(report, LEVEL_PROBLEM, "privileges",
                   "%s is %s, for which the dynamic loader ignores LD_PRELOAD; run it as its "
                   "owner, or link it with hakmem",
                   program->binary, privilege);
    } else {
        report_add(report, LEVEL_OK, "privileges", "%s gains none when it is started",
                   program->binary);
    }
}

static const char *kind_problem(enum elf_kind kind)
{
    switch (kind) {
    case ELF_STATIC:
        return "is statically linked, so there is no dynamic loader to preload hakmem; link it "
               "with libhakmem.a, or build it without -static";
    case ELF_BROKEN:
        return "is a damaged ELF file; build or install it again";
    case ELF_LIBRARY:
        return "is a shared library, not a program";
    case ELF_OTHER:
        return "is an object or core file, not a program";
    case ELF_NONE:
        return "is not an ELF program";
    default:
        return NULL;
    }
}

static bool is_musl(const struct elf_file *elf)
{
    return strstr(elf->interpreter, "ld-musl") != NULL || elf_needs(elf, "libc.musl");
}

/* Word size, machine and C library of the program against those of the library. */
static bool check_fit(const struct program *program, const struct library *library,
                      struct report *report)
{
    const struct elf_file *elf = &program->elf;
    const struct elf_file *other = &library->elf;
    if (elf->bits != other->bits || elf->machine != other->machine ||
        elf->big_endian != other->big_endian) {
        report_add(report, LEVEL_PROBLEM, "machine",
                   "%s is a %u-bit %s program, %s is %u-bit %s; build hakmem for that machine",
                   program->binary, elf->bits, elf_machine_name(elf->machine), library->path,
                   other->bits, elf_machine_name(other->machine));
        return false;
    }
    if (elf->kind == ELF_DYNAMIC && is_musl(elf) != is_musl(other)) {
        report_add(report, LEVEL_PROBLEM, "machine",
                   "%s uses another C library (%s) than %s; build hakmem against that one",
                   program->binary, elf->interpreter, library->path);
        return false;
    }
    report_add(report, LEVEL_OK, "machine", "%u-bit %s, as the library", elf->bits,
               elf_machine_name(elf->machine));
    return true;
}

static void check_exported(const struct program *program, const struct peer_facts *facts,
                           struct report *report)
{
    const char *path = program->binary;
    if (facts->sanitizer != NULL) {
        report_add(report, LEVEL_PROBLEM, "allocator",
                   "%s is built with %s, which needs its own malloc; build it without", path,
                   facts->sanitizer);
    } else if (facts->exports_malloc) {
        report_add(report, LEVEL_PROBLEM, "allocator",
                   "%s defines malloc itself (%s linked in), which comes before every "
                   "preloaded library; build it without that allocator",
                   path, facts->allocator != NULL ? facts->allocator : "an allocator");
    } else if (facts->allocator != NULL) {
        report_add(report, LEVEL_NOTE, "allocator",
                   "%s has %s inside under names of its own; memory it gets by them is not "
                   "hakmem's, build it without to change that",
                   path, facts->allocator);
    } else if (!facts->has_table) {
        report_add(report, LEVEL_NOTE, "allocator",
                   "%s has no readable symbol table; look with `hakmem run --verbose` whether "
                   "hakmem is used",
                   path);
    } else {
        report_add(report, LEVEL_OK, "allocator", "%s defines no malloc of its own", path);
    }
}

static void check_allocator(const struct program *program, struct report *report)
{
    struct peer_facts facts;
    peer_scan(&program->elf, &facts);
    check_exported(program, &facts, report);
    for (size_t i = 0; i < program->elf.needed_count; i++) {
        const char *peer = peer_of_library(program->elf.needed[i]);
        if (peer != NULL) {
            report_add(report, LEVEL_NOTE, "allocator",
                       "%s is linked with %s (%s); hakmem comes before it, but calls by "
                       "%s's own names still reach it",
                       program->binary, peer, program->elf.needed[i], peer);
        }
    }
}

static void report_kind(const struct program *program, struct report *report)
{
    if (program->elf.kind == ELF_LOADER) {
        report_add(report, LEVEL_OK, "program", "%s is a dynamic loader", program->binary);
    } else if (strcmp(program->path, program->binary) == 0) {
        report_add(report, LEVEL_OK, "program", "%s is dynamically linked", program->path);
    } else {
        report_add(report, LEVEL_OK, "program",
                   "%s is a script, run by %s, which is "
                   "dynamically linked",
                   program->path, program->binary);
    }
}

void program_check(const struct program *program, const struct library *library,
                   struct report *report)
{
    check_privileges(program, report);
    if (program->elf.fd < 0) {
        report_add(report, LEVEL_NOTE, "program",
                   "%s cannot be read, so nothing is known of it; ask its owner for the right "
                   "to read",
                   program->binary);
        return;
    }
    const char *problem = kind_problem(program->elf.kind);
    if (problem != NULL) {
        report_add(report, LEVEL_PROBLEM, "program", "%s %s", program->binary, problem);
        return;
    }
    if (library != NULL && !check_fit(program, library, report)) {
        return;
    }
    const char *loader = program->elf.interpreter;
    if (loader[0] != '\0' && access(loader, X_OK) != 0) {
        report_add(report, LEVEL_PROBLEM, "program",
                   "%s needs the dynamic loader %s, which is "
                   "not here; install the C library it belongs to",
                   program->binary, loader);
        return;
    }
    if (program->elf.kind == ELF_FOREIGN) {
        report_add(report, LEVEL_PROBLEM, "machine",
                   "%s is a %u-bit %s program, which this "
                   "command cannot judge",
                   program->binary, program->elf.bits, elf_machine_name(program->elf.machine));
        return;
    }
    report_kind(program, report);
    check_allocator(program, report);
}
