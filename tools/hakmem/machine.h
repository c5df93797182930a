/* SPDX-License-Identifier: MIT */
/*
 * machine: checks of the kernel, the limits of this process and its environment, each as one
 * or more findings.
 */
#ifndef HAKMEM_TOOLS_MACHINE_H
#define HAKMEM_TOOLS_MACHINE_H

#include "report.h"

void machine_check(struct report *report);

#endif
