/* SPDX-License-Identifier: MIT */
/* Act: free of a pointer into a small block; the program goes on, and frees the block. */
#include "defect.h"

static void free_inside(char *block)
{
    API(free)(any(block + 16));
    use(0);
}

int main(void)
{
    char *block = any(API(malloc)(100));
    free_inside(block);
    API(free)(block);
    return went_on();
}
