/* SPDX-License-Identifier: MIT */
/* Act: the only pointer to a block is overwritten. */
#include "defect.h"

static char *volatile held;

static void lose_a_block(void)
{
    held = API(malloc)(1234);
}

int main(void)
{
    lose_a_block();
    held = API(malloc)(10);
    API(free)(held);
    held = NULL;
    return 0;
}
