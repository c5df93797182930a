/* SPDX-License-Identifier: MIT */
/*
 * The release build as one translation unit, bottom up, so that the compiler sees every slow path
 * from its door. Every file also compiles by itself.
 */
#include "base/sizeclass.c"
#include "os/os.c"
#include "os/lock.c"
#include "os/report.c"
#include "os/memcheck.c"
#include "map/map.c"
#include "map/run.c"
#include "slab/super.c"
#include "slab/slab.c"
#include "slab/heap.c"
#include "slab/pages.c"
#include "slab/remote.c"
#include "slab/adopt.c"
#include "large/large.c"
#include "front/cache.c"
#include "front/entry.c"
#include "front/checked.c"
#include "front/api.c"
#include "run/config.c"
#include "run/thread.c"
#include "run/fork.c"
#include "run/init.c"
#include "watch/stats.c"
