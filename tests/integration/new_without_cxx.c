/* SPDX-License-Identifier: MIT */
/*
 * Goal: operator new and delete work in a program without the C++ library; where memory is out,
 * and nobody is there who could throw, the process ends with one line.
 * Method: a C program calls them by their mangled names; failing calls run in this program started
 * again.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"

#define WEAK __attribute__((weak)) /* libhakmem.so brings them when it is preloaded */
WEAK void *_Znwm(size_t size);
WEAK void *_ZnamSt11align_val_t(size_t size, size_t alignment);
WEAK void _ZdlPv(void *p);
WEAK void _ZdaPvSt11align_val_t(void *p, size_t alignment);

static void allocate_and_free(void)
{
    for (size_t size = 0; size < 4 * MEMORY_MIB; size += 1 + size) {
        void *plain = _Znwm(size);
        void *aligned = _ZnamSt11align_val_t(size, 256);

        CHECK(plain && aligned && (uintptr_t)aligned % 256 == 0);
        memory_fill(plain, size, 1);
        memory_fill(aligned, size, 2);
        CHECK(memory_holds(plain, size, 1) && memory_holds(aligned, size, 2));
        free(plain); /* they share a heap with malloc */
        _ZdlPv(malloc(size));
        _ZdaPvSt11align_val_t(aligned, 256);
    }
}

static void no_core(void *nothing)
{
    const struct rlimit none = {0, 0};

    (void)nothing;
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
}

static void check_death(const char *form)
{
    static const char line[] = "hakmem: operator new: out of memory and no std::bad_alloc to throw, "
                               "block 0x0\n";
    static struct child_result result;
    const char *const argv[] = {"new_without_cxx", form, NULL};

    child_run_self(argv, no_core, NULL, &result);
    CHECK(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGABRT);
    CHECK(strcmp(result.err, line) == 0);
}

int main(int argc, char **argv)
{
    allocator_expect();
    if (!_Znwm || !_ZnamSt11align_val_t || !_ZdlPv || !_ZdaPvSt11align_val_t)
        return ALLOCATOR_TEST_SKIPPED; /* on glibc there is none */
    if (argc > 1)
        return strcmp(argv[1], "plain") == 0 ? _Znwm(SIZE_MAX) == NULL
                                             : _ZnamSt11align_val_t(SIZE_MAX, 64) == NULL;
    allocate_and_free();
    check_death("plain");
    check_death("aligned");
    return 0;
}
