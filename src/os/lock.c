/* SPDX-License-Identifier: MIT */
#include "os/lock.h"

#include "os/os.h"

enum { SPINS = 100 };

/* The three-state futex lock of Ulrich Drepper, "Futexes Are Tricky" (2011), mutex 2. */
HAK_COLD void lock_acquire_slow(struct lock *l)
{
    for (int i = 0; i < SPINS; i++) {
        cpu_relax();
        if (u32_load_relaxed(&l->state) == 0 && lock_try(l)) { /* relaxed: only a hint to try */
            return;
        }
    }
    while (u32_swap_acquire(&l->state, 2) != 0) { /* [MO-LOCK] */
        os_futex_wait(&l->state, 2);
    }
}

HAK_COLD void lock_wake(struct lock *l)
{
    os_futex_wake(&l->state);
}
