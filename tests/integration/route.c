/* SPDX-License-Identifier: MIT */
/*
 * Goal: HAKMEM_ROUTE is in effect even if nothing was allocated before the environment was read.
 * Method: 1,000 pairs of malloc and free of one small size; with pool-only each one misses the
 * lists, so the statistics count at least 1,000 refills (matched by ctest), else a handful.
 */
#include <malloc.h>
#include <stdlib.h>

int main(void)
{
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(64);
        if (p == NULL) {
            return 1;
        }
        p[0] = 1;
        free(p);
    }
    malloc_stats();
    return 0;
}
