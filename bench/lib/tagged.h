/* SPDX-License-Identifier: MIT */
/*
 * Blocks that bear their size at both ends and are looked at again before they are freed, as a
 * program does with its data. A mismatch means that two live blocks overlap.
 */
#ifndef BENCH_TAGGED_H
#define BENCH_TAGGED_H

#include "bench.h"

enum { TAGGED_BYTES_MIN = 8 };

static inline unsigned char *tagged_new(size_t size) {
    unsigned char *block = bench_must(bench_malloc(size));
    uint32_t tag = (uint32_t)size;
    memcpy(block, &tag, sizeof tag);
    block[size - 1] = (unsigned char)tag;
    return block;
}

static inline size_t tagged_size(const unsigned char *block) {
    uint32_t tag;
    memcpy(&tag, block, sizeof tag);
    if (__builtin_expect(tag < TAGGED_BYTES_MIN || block[tag - 1] != (unsigned char)tag, 0)) {
        bench_die("a live block has lost its content");
    }
    return tag;
}

/* The tag is cleared: where two owners share one block, the second one finds that here. */
static inline void tagged_free(unsigned char *block) {
    (void)tagged_size(block);
    memset(block, 0, sizeof(uint32_t));
    bench_free(block);
}

static inline struct bench_span tagged_arg_span(struct bench_args *args, uint32_t min,
                                                uint32_t max) {
    struct bench_span span = bench_arg_span(args, min, max);
    if (span.min < TAGGED_BYTES_MIN) {
        bench_usage(args);
    }
    return span;
}

#endif
