/* SPDX-License-Identifier: MIT */
/* Act: a block is read after free, when others of its size have come and gone. */
#include "defect.h"

static int read_after_free(const char *block)
{
    return block[3];
}

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    char *block = any(API(malloc)(size));
    char *old = any(block);
    memset(block, 1, size);
    API(free)(block);
    for (int i = 0; i < 100; i++)
        API(free)(any(API(malloc)(size)));
    use(read_after_free(old));
    return 0;
}
