/* SPDX-License-Identifier: MIT */
/* Act: a decision depends on a byte that realloc has added. The bytes before it are known. */
#include "defect.h"

static int decide_by_new_bytes(const char *block, size_t at)
{
    return block[at] != 0 ? 1 : 2;
}

int main(void)
{
    char *block = any(API(calloc)(1, 40));
    block = any(API(realloc)(block, 200));
    if (block[39] != 0)
        return 1;
    use(decide_by_new_bytes(block, 41));
    API(free)(block);
    return 0;
}
