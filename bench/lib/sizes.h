/* SPDX-License-Identifier: MIT */
/*
 * Sizes as real programs ask for them: many small ones, few large ones. A span is cut into
 * octaves: MIN .. 2 MIN, 2 MIN .. 4 MIN and so on, the last one up to MAX. Sizes are uniform
 * within an octave, so that no logarithm is computed on the measured path.
 */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include "bench.h"

static inline unsigned sizes_octaves(struct bench_span span) {
    uint32_t ratio = (span.max - 1) / span.min;
    return ratio == 0 ? 1 : 32u - (unsigned)__builtin_clz(ratio);
}

static inline size_t sizes_in_octave(struct bench_span span, unsigned octave, uint32_t bits) {
    size_t low = (size_t)span.min << octave;
    size_t end = octave + 1 < sizes_octaves(span) ? 2 * low : (size_t)span.max + 1;
    return low + bench_pick(bits, end - low);
}

/*
 * Each octave is half as frequent as the one below it: the density falls with the square of the
 * size, and each octave holds about as many bytes as any other. The low bits choose the octave,
 * the high ones the place in it.
 */
static inline size_t sizes_power_law(struct bench_span span, uint64_t random) {
    uint32_t bits = (uint32_t)random;
    uint32_t last = 1u << (sizes_octaves(span) - 1);
    return sizes_in_octave(span, (unsigned)__builtin_ctz(bits | last), bits);
}

/* All octaves are equally frequent. Grows with the lower half of `random`, from MIN to MAX. */
static inline size_t sizes_log_uniform(struct bench_span span, uint64_t random) {
    uint64_t scaled = (uint64_t)(uint32_t)random * sizes_octaves(span);
    return sizes_in_octave(span, (unsigned)(scaled >> 32), (uint32_t)scaled);
}

#endif
