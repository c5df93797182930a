/* SPDX-License-Identifier: MIT */
#include "allocator.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const void *object_of(const char *name)
{
    void *address = dlsym(RTLD_DEFAULT, name);
    Dl_info info;

    if (!address || !dladdr(address, &info))
        return NULL;
    return info.dli_fbase;
}

bool allocator_is_hakmem(void)
{
    return dlsym(RTLD_DEFAULT, "hak_version") != NULL;
}

bool allocator_is_from_hakmem(const char *name)
{
    const void *hakmem = object_of("hak_version");

    return hakmem && hakmem == object_of(name);
}

void allocator_expect(void)
{
    const char *expected = getenv("EXPECT_ALLOCATOR");

    if (!expected || strcmp(expected, "hakmem") != 0 || allocator_is_from_hakmem("malloc"))
        return;
    dprintf(STDERR_FILENO, "malloc is not hakmem's; was the library loaded or linked?\n");
    _exit(1);
}
