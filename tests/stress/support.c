/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t run_seed;
static atomic_flag reported = ATOMIC_FLAG_INIT;

uint64_t mix64(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint64_t rng_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(*state);
}

size_t rng_below(uint64_t *state, size_t bound)
{
    return (size_t)(rng_next(state) % bound);
}

void *pages_map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        stress_fail(0, NULL, 0, "no memory for the tables (%zu bytes)", bytes);
    return pages;
}

void fail_set_seed(uint64_t seed)
{
    run_seed = seed;
}

void stress_fail(unsigned thread, const void *address, size_t offset, const char *format, ...)
{
    if (atomic_flag_test_and_set(&reported)) {
        for (;;)
            pause(); /* the first one is about to end the process */
    }
    char line[512];
    int used = snprintf(line, sizeof line,
                        "stress: FAIL seed=%llu thread=%u address=%p offset=%zu: ",
                        (unsigned long long)run_seed, thread, address, offset);
    va_list arguments;
    va_start(arguments, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    va_end(arguments);
    size_t length = (size_t)used < sizeof line - 1 ? (size_t)used : sizeof line - 2;
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        _exit(1);
    abort();
}
