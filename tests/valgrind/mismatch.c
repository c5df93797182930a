/* SPDX-License-Identifier: MIT */
/* Act: a block of hak_malloc is given to the free of libc. */
#include "defect.h"

static void free_by_the_other(void *block)
{
    free(block);
    use(0);
}

int main(void)
{
    free_by_the_other(any(API(malloc)(100)));
    return 0;
}
