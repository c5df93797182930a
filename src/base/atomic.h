/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The only door to <stdatomic.h>. Every wrapper carries its memory order in its name; the ids in
 * brackets beside the callers are explained in docs/memory-order.md.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint32_t atomic_u32;
typedef _Atomic uint64_t atomic_u64;
typedef void *_Atomic atomic_ptr;

static inline uint32_t u32_load_relaxed(const atomic_u32 *a)
{
    return atomic_load_explicit(a, memory_order_relaxed);
}

static inline uint32_t u32_load_acquire(const atomic_u32 *a)
{
    return atomic_load_explicit(a, memory_order_acquire);
}

static inline void u32_store_relaxed(atomic_u32 *a, uint32_t v)
{
    atomic_store_explicit(a, v, memory_order_relaxed);
}

static inline void u32_store_release(atomic_u32 *a, uint32_t v)
{
    atomic_store_explicit(a, v, memory_order_release);
}

static inline bool u32_cas_acquire(atomic_u32 *a, uint32_t *expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(a, expected, desired, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline bool u32_cas_relaxed(atomic_u32 *a, uint32_t *expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(a, expected, desired, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static inline uint32_t u32_swap_relaxed(atomic_u32 *a, uint32_t v)
{
    return atomic_exchange_explicit(a, v, memory_order_relaxed);
}

static inline uint32_t u32_swap_acquire(atomic_u32 *a, uint32_t v)
{
    return atomic_exchange_explicit(a, v, memory_order_acquire);
}

static inline uint32_t u32_swap_release(atomic_u32 *a, uint32_t v)
{
    return atomic_exchange_explicit(a, v, memory_order_release);
}

static inline uint32_t u32_add_relaxed(atomic_u32 *a, uint32_t v)
{
    return atomic_fetch_add_explicit(a, v, memory_order_relaxed);
}

static inline uint64_t u64_load_relaxed(const atomic_u64 *a)
{
    return atomic_load_explicit(a, memory_order_relaxed);
}

static inline void u64_store_relaxed(atomic_u64 *a, uint64_t v)
{
    atomic_store_explicit(a, v, memory_order_relaxed);
}

static inline uint64_t u64_load_acquire(const atomic_u64 *a)
{
    return atomic_load_explicit(a, memory_order_acquire);
}

static inline void u64_store_release(atomic_u64 *a, uint64_t v)
{
    atomic_store_explicit(a, v, memory_order_release);
}

static inline uint64_t u64_add_relaxed(atomic_u64 *a, uint64_t v)
{
    return atomic_fetch_add_explicit(a, v, memory_order_relaxed);
}

/* A counter with one writer at a time: no read-modify-write instruction is needed. */
static inline void u64_add_single_writer(atomic_u64 *a, uint64_t v)
{
    atomic_store_explicit(a, atomic_load_explicit(a, memory_order_relaxed) + v, memory_order_relaxed);
}

static inline void *ptr_load_relaxed(atomic_ptr *a)
{
    return atomic_load_explicit(a, memory_order_relaxed);
}

static inline void ptr_store_relaxed(atomic_ptr *a, void *v)
{
    atomic_store_explicit(a, v, memory_order_relaxed);
}

static inline void *ptr_swap_relaxed(atomic_ptr *a, void *v)
{
    return atomic_exchange_explicit(a, v, memory_order_relaxed);
}

static inline void *ptr_swap_acquire(atomic_ptr *a, void *v)
{
    return atomic_exchange_explicit(a, v, memory_order_acquire);
}

static inline bool ptr_cas_release(atomic_ptr *a, void **expected, void *desired)
{
    return atomic_compare_exchange_weak_explicit(a, expected, desired, memory_order_release,
                                                 memory_order_relaxed);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}
