/* SPDX-License-Identifier: MIT */
/* The usual new block: of a random size, its first and last byte written. Fits slots.h. */
#ifndef BENCH_TOUCHED_H
#define BENCH_TOUCHED_H

#include "bench.h"

static inline unsigned char *touched_new(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(bench_malloc(size));
    bench_touch(block, size);
    return block;
}

#endif
