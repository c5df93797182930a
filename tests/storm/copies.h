/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * copies: one shared library under several names. Each copy lies in memory of its own, so that the
 * dynamic linker takes it for a library of its own, with its own data and thread-local storage.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "check.h"

enum { COPIES = 6 };

struct copy {
    char path[64];
};

static inline void copies_make(struct copy copies[COPIES], const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    CHECK(from >= 0 && fstat(from, &file) == 0);
    for (int i = 0; i < COPIES; i++) {
        off_t at = 0;
        int fd = memfd_create("library", MFD_CLOEXEC);
        CHECK(fd >= 0);
        while (at < file.st_size) {
            CHECK(sendfile(fd, from, &at, (size_t)(file.st_size - at)) > 0);
        }
        snprintf(copies[i].path, sizeof copies[i].path, "/proc/self/fd/%d", fd);
    }
    close(from);
}

static inline void *copies_open(const struct copy *copy)
{
    void *handle = dlopen(copy->path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        dprintf(STDERR_FILENO, "%s\n", dlerror());
    }
    CHECK(handle != NULL);
    return handle;
}
