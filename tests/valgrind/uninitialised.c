/* SPDX-License-Identifier: MIT */
/* Act: a decision depends on a byte that was never written, in memory that was in use before. */
#include "defect.h"

static int decide_by_garbage(const char *block)
{
    return block[7] != 0 ? 1 : 2;
}

static int decide(const char *block)
{
    return decide_by_garbage(block) + 1;
}

int main(int count, char **arguments)
{
    size_t size = argument(count, arguments, 1);
    char *block = any(API(malloc)(size));
    memset(block, 1, size);
    API(free)(block);
    block = any(API(malloc)(size));
    use(decide(block));
    API(free)(block);
    return 0;
}
