/* SPDX-License-Identifier: MIT */
/*
 * cgroup: the limits of the control groups this process is in, version 1 or 2, the strictest
 * of the whole chain up to the root that is visible from here.
 */
#ifndef HAKMEM_TOOLS_CGROUP_H
#define HAKMEM_TOOLS_CGROUP_H

#define CGROUP_UNLIMITED (~0ULL)

/* Bytes, or CGROUP_UNLIMITED. */
unsigned long long cgroup_memory_max(void);

/* Processors' worth of time per second (1.5: one and a half), or 0 when unlimited. */
double cgroup_cpu_max(void);

#endif
