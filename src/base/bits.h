/* SPDX-License-Identifier: MIT */
#pragma once
/* Bit arithmetic on words; pure functions. */

#include "base/compiler.h"

/* Index of the lowest set bit; bits != 0. */
HAK_INLINE unsigned bits_first(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* floor(log2(n)); n != 0. */
HAK_INLINE unsigned bits_log2(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

HAK_INLINE unsigned bits_count(uint64_t bits)
{
    return (unsigned)__builtin_popcountll(bits);
}

/* A word whose lowest n bits are set; n <= 64. */
HAK_INLINE uint64_t bits_low(unsigned n)
{
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

HAK_INLINE bool bits_is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* floor(sqrt(n)), by Newton's iteration from above. */
static inline size_t bits_sqrt(size_t n)
{
    if (n < 2) {
        return n;
    }
    size_t x = (size_t)1 << (bits_log2(n) / 2 + 1);
    for (;;) {
        size_t y = (x + n / x) / 2;
        if (y >= x) {
            return x;
        }
        x = y;
    }
}
