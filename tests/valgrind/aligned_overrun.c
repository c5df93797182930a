/* SPDX-License-Identifier: MIT */
/* Act: the byte behind an aligned block is written. */
#include "defect.h"

static void write_past_the_aligned(char *block, size_t size)
{
    block[size] = 1;
}

int main(void)
{
    void *block = NULL;
    if (API(posix_memalign)(&block, 4096, 4096) != 0 || (uintptr_t)block % 4096 != 0)
        return 1;
    write_past_the_aligned(any(block), 4096);
    API(free)(block);
    return 0;
}
