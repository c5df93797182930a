/* SPDX-License-Identifier: MIT */
/* Act: a small block is freed twice; the program goes on. */
#include "defect.h"

static void free_twice(void *block)
{
    void *again = any(block);
    API(free)(block);
    API(free)(again);
    use(0);
}

int main(void)
{
    free_twice(any(API(malloc)(100)));
    return went_on();
}
