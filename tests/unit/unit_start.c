/* SPDX-License-Identifier: MIT */
#include "run/init.h"
#include "unit.h"

int unit_start(void **state)
{
    (void)state;
    return init_once() ? 0 : -1;
}
