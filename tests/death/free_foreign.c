/* SPDX-License-Identifier: MIT */
/*
 * Act: free() of addresses the allocator never handed out. Static and stack memory, a mapping,
 * a block of another allocator, and numbers that are no addresses at all.
 * Reaction: none. Nothing is printed or written to, and the program goes on.
 */
#include "death.h"

#include <sys/mman.h>

#define FOREIGN_BYTES 8192

#ifndef DEATH_HAK
extern void *__libc_malloc(size_t size); /* glibc's own, also when malloc is replaced */
#define OTHER_MALLOC __libc_malloc
#else
#define OTHER_MALLOC malloc
#endif

static unsigned char fixed[FOREIGN_BYTES];
static void *volatile other; /* stays reachable: not a leak of this program */

static void free_inside(unsigned char *memory)
{
    static const size_t offsets[] = {0, 1, 16, 4096, FOREIGN_BYTES - 1};
    memset(memory, 0xa5, FOREIGN_BYTES);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
        API(free)(any(memory + offsets[i]));
    for (size_t i = 0; i < FOREIGN_BYTES; i++)
        if (memory[i] != 0xa5) {
            dprintf(2, "foreign memory was written at offset %zu\n", i);
            exit(1);
        }
}

static void free_numbers(void)
{
    static const uintptr_t numbers[] = {
        1, 8, 16, 4095, 4096, (uintptr_t)1 << 21, (uintptr_t)1 << 47, (uintptr_t)1 << 63,
        UINTPTR_MAX - 15, UINTPTR_MAX,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        API(free)(any((void *)numbers[i]));
}

int main(void)
{
    unsigned char local[FOREIGN_BYTES];
    unsigned char *mapping = mmap(NULL, FOREIGN_BYTES, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return 2;
    free_inside(fixed); /* the first call of the process, if the library is not in use yet */
    free_inside(local);
    free_inside(mapping);
    free_numbers();
    API(free)(allocate(100));
    free_inside(fixed);
    free_inside(local);
    free_inside(mapping);
    free_numbers();
    other = any(OTHER_MALLOC(100));
    API(free)(other);
    return went_on();
}
