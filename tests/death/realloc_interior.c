/* SPDX-License-Identifier: MIT */
/*
 * Act: realloc(block + OFFSET, NEW) of a block of SIZE bytes, a large block (beyond the size
 * classes).
 * Reaction: "hakmem: realloc: invalid pointer 0x..", SIGABRT.
 */
#include "death.h"

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    size_t offset = argument(count, arguments, 2);
    size_t new_size = argument(count, arguments, 3);
    char *block = allocate(size);
    void *moved = any(API(realloc)(announce(block + offset), new_size));
    dprintf(1, "realloc returned 0x%llx\n", (unsigned long long)(uintptr_t)moved);
    return went_on();
}
