/* SPDX-License-Identifier: MIT */
/*
 * Act: free(block) twice, a large block (beyond the size classes), nothing allocated in
 * between. A neighbour stays allocated, so that the freed block does not simply melt into
 * unused memory.
 * Reaction: "hakmem: free: double free of 0x..", SIGABRT.
 */
#include "death.h"

static void *volatile neighbour;

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    void *block = announce(allocate(size));
    void *again = any(block); /* before free(): compilers know this misuse */
    neighbour = allocate(size);
    API(free)(block);
    API(free)(again);
    return went_on();
}
