/* SPDX-License-Identifier: MIT */
/* Act: the old address is used after realloc, which could have left the block where it was. */
#include "defect.h"

static void write_to_the_old_place(char *block)
{
    block[0] = 1;
}

int main(void)
{
    char *block = any(API(malloc)(100));
    char *old = any(block);
    block = any(API(realloc)(block, 104));
    write_to_the_old_place(old);
    API(free)(block);
    return 0;
}
