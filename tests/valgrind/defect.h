/* SPDX-License-Identifier: MIT */
/*
 * What the programs here share. Each commits one act that memcheck has to report, in a function whose
 * name the report must have (expect.py, CMakeLists.txt). API(name) and any() as in the death tests:
 * DEATH_HAK selects the hak_* calls.
 */
#ifndef VALGRIND_DEFECT_H
#define VALGRIND_DEFECT_H

#include "../death/death.h"

/* The result counts, so that nobody leaves the access out. */
static inline void use(int value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
