/* SPDX-License-Identifier: MIT */
/*
 * Act: free(block + OFFSET) of a block of SIZE bytes, a large block (beyond the size classes).
 * Reaction: "hakmem: free: invalid pointer 0x..", SIGABRT.
 */
#include "death.h"

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    size_t offset = argument(count, arguments, 2);
    char *block = allocate(size);
    API(free)(announce(block + offset));
    return went_on();
}
