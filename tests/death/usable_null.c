/* SPDX-License-Identifier: MIT */
/* Act: malloc_usable_size(NULL), before and after the first allocation. Reaction: 0. */
#include "death.h"

int main(void)
{
    size_t before = API_USABLE(any(NULL));
    API(free)(allocate(1));
    size_t after = API_USABLE(any(NULL));
    if (before != 0 || after != 0) {
        dprintf(2, "usable size of NULL is %zu, %zu\n", before, after);
        return 1;
    }
    return went_on();
}
