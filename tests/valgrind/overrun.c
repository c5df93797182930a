/* SPDX-License-Identifier: MIT */
/* Act: the byte behind a block is written, although the class has room for it. */
#include "defect.h"

static void write_past_the_end(char *block, size_t size)
{
    block[size] = 1;
}

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    char *block = any(API(malloc)(size));
    write_past_the_end(block, size);
    API(free)(block);
    return 0;
}
