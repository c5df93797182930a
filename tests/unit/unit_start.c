/* SPDX-License-Identifier: MIT */
#include "run/init.h"
#include "slab/heap.h"
#include "unit.h"

int unit_start(void **state)
{
    (void)state;
    return init_once() ? 0 : -1;
}

int unit_start_heap(struct heap **heap)
{
    *heap = init_once() ? heap_acquire() : NULL;
    return *heap == NULL ? -1 : 0;
}
