/* SPDX-License-Identifier: MIT */
/* No act at all: uses the allocator and ends. For what the environment alone brings about. */
#include "death.h"

int main(void)
{
    return went_on();
}
