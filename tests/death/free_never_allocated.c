/* SPDX-License-Identifier: MIT */
/*
 * Act: free(block + DISTANCE), far beyond every block, most likely in address space the
 * library has reserved and never handed out.
 * Reaction: none, or "hakmem: free: invalid pointer 0x.." and SIGABRT. Never SIGSEGV.
 */
#include "death.h"

int main(int count, char **arguments)
{
    size_t distance = argument(count, arguments, 1);
    char *block = allocate((size_t)1 << 20);
    uintptr_t far = (uintptr_t)block + distance;
    API(free)(announce((void *)far));
    API(free)(block);
    return went_on();
}
