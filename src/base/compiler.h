/* SPDX-License-Identifier: MIT */
#pragma once
/* Compiler spellings. Owns nothing; the only place, with base/limits.h, that asks who compiles. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAK_EXPORT __attribute__((visibility("default")))
#define HAK_HOT __attribute__((hot, aligned(64)))
#define HAK_COLD __attribute__((cold, noinline))
/* Inlines every call in it as far as it can: for the one slow path that is hot in its phase. */
#define HAK_FLATTEN __attribute__((flatten, noinline))
#define HAK_NOINLINE __attribute__((noinline))
#define HAK_INLINE static inline __attribute__((always_inline))
#define HAK_MAY_ALIAS __attribute__((may_alias))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from moving memory accesses across; costs no instruction. */
#define compiler_barrier() __asm__ __volatile__("" ::: "memory")

/* Makes the compiler forget what it knows about a value; costs no instruction. */
#define compiler_opaque(x) __asm__("" : "+r"(x))

/* Fetches the line of an address that will be written to; of any address, NULL too. GCC has the
 * instruction for x86 only where it is told that the processor has it; all that lack it do nothing. */
#ifdef __x86_64__
#define prefetch_for_write(p) __asm__ __volatile__("prefetchw (%0)" : : "r"(p))
#else
#define prefetch_for_write(p) __builtin_prefetch(p, 1)
#endif

#define CACHE_LINE 64
