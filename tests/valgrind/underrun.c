/* SPDX-License-Identifier: MIT */
/* Act: the byte before a block is written, the last one of the block before it. */
#include "defect.h"

static void write_before_the_start(char *block)
{
    block[-1] = 1;
}

int main(void)
{
    char *first = any(API(malloc)(64));
    char *second = any(API(malloc)(64));
    write_before_the_start(first < second ? second : first);
    API(free)(first);
    API(free)(second);
    return 0;
}
