/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>

#include "system.h"

enum {
    STEADY_BATCHES = 64, STEADY_BATCH = 32, STEADY_SHORT_LIVED = 16,
    RAMP_SHARE = 4, RAMP_MEAN_BYTES = 800, RAMP_MIN_BLOCKS = 64,
    GROW_BUFFERS = 16, GROW_FIRST = 24, GROW_LAST = 256 * 1024,
    LARGE_BLOCKS = 64, LARGE_HELD = 4, LARGE_LOG2_MIN = 16, LARGE_LOG2_MAX = 22,
    MAIL_BLOCKS = 4096, MAIL_BATCH = 32, MAIL_SPINS = 64,
    CHURN_THREADS = 2, CHURN_BLOCKS = 256, CHURN_BATCHES = 16, STACK_BYTES = 1024 * 1024,
    CALLOC_BLOCKS = 1024, CALLOC_HELD = 32, CALLOC_BIG = 32,
    ALIGNED_BLOCKS = 4096, ALIGNED_HELD = 64, ALIGNED_LOG2_MIN = 5, ALIGNED_LOG2_MAX = 16,
    SCRATCH_MIN = 512
};

static inline uint64_t draw(struct worker *worker) {
    return bench_rng_next(&worker->actor.rng);
}

static inline size_t draw_below(struct worker *worker, size_t bound) {
    return bench_pick((uint32_t)(draw(worker) >> 32), bound);
}

/* 13 of 16 up to 256 bytes, 2 of 16 up to 2 KiB, 1 of 16 up to 16 KiB; on average 827. */
static size_t small_size(uint64_t random) {
    static const struct bench_span spans[3] = {{8, 256}, {257, 2048}, {2049, 16384}};
    unsigned sixteenth = (unsigned)(random >> 60);
    return bench_span_size(spans[(sixteenth >= 13) + (sixteenth >= 15)], random);
}

/* ---- the base set ---- */

void worker_start(struct worker *worker, uint32_t thread, uint32_t seed, size_t live_bytes) {
    const struct bench_rng sizes = bench_rng_seed(seed, UINT32_MAX - thread);
    struct bench_rng rng = sizes;
    worker->actor.thread = thread;
    worker->actor.part = "start";
    worker->actor.latencies = table_map(1, sizeof *worker->actor.latencies);
    actor_seed(&worker->actor, seed, thread);
    for (size_t bytes = 0; bytes < live_bytes; worker->base_count++) {
        bytes += small_size(bench_rng_next(&rng));
    }
    worker->base = table_map(worker->base_count, sizeof *worker->base);
    rng = sizes;
    for (uint32_t i = 0; i < worker->base_count; i++) {
        worker->base[i].size = (uint32_t)small_size(bench_rng_next(&rng));
    }
    size_t ramp = live_bytes / RAMP_SHARE / RAMP_MEAN_BYTES;
    worker->ramp_count = ramp < RAMP_MIN_BLOCKS ? RAMP_MIN_BLOCKS : (uint32_t)ramp;
    worker->scratch = table_map(ramp < SCRATCH_MIN ? SCRATCH_MIN : ramp, sizeof(struct block));
    worker->stack = stack_map(STACK_BYTES);
}

void base_fill(struct worker *worker) {
    for (uint32_t i = 0; i < worker->base_count; i++) {
        block_malloc(&worker->actor, &worker->base[i], worker->base[i].size);
    }
}

void base_empty(struct worker *worker) {
    for (uint32_t i = 0; i < worker->base_count; i++) {
        block_free(&worker->actor, &worker->base[i]);
    }
}

/* ---- steady: random blocks of the base set give way to new ones of their sizes ---- */

/* Starts the search at a random slot; small base sets may have fewer slots than a batch. */
static uint32_t free_one_of_base(struct worker *worker) {
    size_t slot = draw_below(worker, worker->base_count);
    for (uint32_t tried = 0; worker->base[slot].address == NULL; tried++) {
        if (tried == worker->base_count) {
            return UINT32_MAX;
        }
        slot = slot + 1 == worker->base_count ? 0 : slot + 1;
    }
    block_free(&worker->actor, &worker->base[slot]);
    return (uint32_t)slot;
}

static void steady_batch(struct worker *worker) {
    struct block brief[STEADY_SHORT_LIVED];
    uint32_t slots[STEADY_BATCH];
    for (uint32_t i = 0; i < STEADY_BATCH; i++) {
        slots[i] = free_one_of_base(worker);
    }
    for (uint32_t i = 0; i < STEADY_SHORT_LIVED; i++) {
        block_malloc(&worker->actor, &brief[i], small_size(draw(worker)));
    }
    /* In the order of the frees, so that no block simply gets its old place back. */
    for (uint32_t i = 0; i < STEADY_BATCH; i++) {
        if (slots[i] != UINT32_MAX) {
            struct block *block = &worker->base[slots[i]];
            block_malloc(&worker->actor, block, block->size);
        }
    }
    for (uint32_t i = 0; i < STEADY_SHORT_LIVED; i++) {
        block_free(&worker->actor, &brief[i]);
    }
}

static void steady(struct worker *worker, uint32_t unit) {
    (void)unit;
    for (uint32_t i = 0; i < STEADY_BATCHES; i++) {
        steady_batch(worker);
    }
}

/* ---- ramp: a quarter of the base set on top, freed first-in, last-in or at random ---- */

static void shuffle(struct worker *worker, struct block *blocks, uint32_t count) {
    for (uint32_t i = count; i > 1; i--) {
        size_t other = draw_below(worker, i);
        struct block kept = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = kept;
    }
}

static void ramp(struct worker *worker, uint32_t unit) {
    struct block *blocks = worker->scratch;
    const uint32_t count = worker->ramp_count;
    for (uint32_t i = 0; i < count; i++) {
        block_malloc(&worker->actor, &blocks[i], small_size(draw(worker)));
    }
    if (unit % 3 == 2) {
        shuffle(worker, blocks, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        block_free(&worker->actor, &blocks[unit % 3 == 0 ? i : count - 1 - i]);
    }
}

/* ---- growth: buffers that grow by half, side by side, then shrink ---- */

static void growth(struct worker *worker, uint32_t unit) {
    (void)unit;
    struct actor *actor = &worker->actor;
    struct block buffers[GROW_BUFFERS];
    for (uint32_t i = 0; i < GROW_BUFFERS; i++) {
        block_malloc(actor, &buffers[i], GROW_FIRST);
    }
    for (size_t size = GROW_FIRST; size < GROW_LAST;) {
        size += size / 2;
        for (uint32_t i = 0; i < GROW_BUFFERS; i++) {
            block_realloc(actor, &buffers[i], size + draw_below(worker, size / 16 + 1));
        }
    }
    for (uint32_t i = 0; i < GROW_BUFFERS; i++) {
        block_realloc(actor, &buffers[i], buffers[i].size / 3);
    }
    for (uint32_t i = 0; i < GROW_BUFFERS; i++) {
        block_free(actor, &buffers[i]);
    }
}

/* ---- large: 64 KiB to 4 MiB, each page touched, a few held at a time ---- */

/* One size from each of equal steps of the logarithm: every unit asks for about as much. */
static size_t large_size(struct worker *worker, uint32_t step) {
    const uint32_t steps_per_doubling = 256;
    uint32_t range = (LARGE_LOG2_MAX - LARGE_LOG2_MIN) * steps_per_doubling;
    uint32_t at = (uint32_t)(step * range / LARGE_BLOCKS + draw_below(worker, range / LARGE_BLOCKS));
    size_t low = (size_t)1 << (LARGE_LOG2_MIN + at / steps_per_doubling);
    return low + low * (at % steps_per_doubling) / steps_per_doubling;
}

static void large(struct worker *worker, uint32_t unit) {
    (void)unit;
    struct block held[LARGE_HELD] = {{NULL, 0, 0}};
    size_t first = draw_below(worker, LARGE_BLOCKS);
    for (uint32_t i = 0; i < LARGE_BLOCKS; i++) {
        /* 7 has no factor in common with LARGE_BLOCKS: each step once, sizes in disorder */
        uint32_t step = (uint32_t)(first + 7 * i) % LARGE_BLOCKS;
        struct block *block = &held[i % LARGE_HELD];
        if (block->address != NULL) {
            block_free(&worker->actor, block);
        }
        block_malloc(&worker->actor, block, large_size(worker, step));
    }
    for (uint32_t i = 0; i < LARGE_HELD; i++) {
        block_free(&worker->actor, &held[i]);
    }
}

/* ---- hand-over: what one thread allocates, the next one frees ---- */

static bool mail_send(struct worker *worker) {
    struct mail *mail = worker->outbox;
    uint64_t sent = atomic_load_explicit(&mail->sent, memory_order_relaxed); /* own field */
    uint64_t taken = atomic_load_explicit(&mail->taken, memory_order_acquire);
    if (sent + MAIL_BATCH - taken > MAIL_SLOTS) {
        return false;
    }
    for (uint32_t i = 0; i < MAIL_BATCH; i++) {
        struct block *slot = &mail->slots[sent++ % MAIL_SLOTS];
        block_malloc(&worker->actor, slot, small_size(draw(worker)));
    }
    atomic_store_explicit(&mail->sent, sent, memory_order_release);
    return true;
}

static bool mail_take(struct worker *worker) {
    struct mail *mail = worker->inbox;
    uint64_t taken = atomic_load_explicit(&mail->taken, memory_order_relaxed); /* own field */
    uint64_t sent = atomic_load_explicit(&mail->sent, memory_order_acquire);
    if (sent - taken < MAIL_BATCH) {
        return false; /* whole batches only are sent */
    }
    for (uint32_t i = 0; i < MAIL_BATCH; i++) {
        block_free(&worker->actor, &mail->slots[taken++ % MAIL_SLOTS]);
    }
    atomic_store_explicit(&mail->taken, taken, memory_order_release);
    return true;
}

/* All threads run the same number of units, so each one receives as many blocks as it sends. */
static void hand_over(struct worker *worker, uint32_t unit) {
    (void)unit;
    uint32_t to_send = MAIL_BLOCKS / MAIL_BATCH, to_take = to_send, spins = 0;
    while (to_send > 0 || to_take > 0) {
        bool sent = to_send > 0 && mail_send(worker);
        bool taken = to_take > 0 && mail_take(worker);
        to_send -= sent;
        to_take -= taken;
        if (!sent && !taken && ++spins % MAIL_SPINS == 0) {
            own_yield();
        }
    }
}

/* ---- churn: short-lived threads free their parent's blocks and leave it their own ---- */

struct errand {
    struct worker *worker;
    _Atomic uint32_t done;
};

static void *errand_main(void *argument) {
    struct errand *errand = argument;
    struct worker *worker = errand->worker;
    for (uint32_t i = 0; i < CHURN_BLOCKS; i++) {
        block_free(&worker->actor, &worker->scratch[i]);
    }
    for (uint32_t i = 0; i < CHURN_BATCHES; i++) {
        steady_batch(worker);
    }
    for (uint32_t i = 0; i < CHURN_BLOCKS; i++) {
        block_malloc(&worker->actor, &worker->scratch[i], small_size(draw(worker)));
    }
    atomic_store_explicit(&errand->done, 1, memory_order_release);
    own_wake(&errand->done);
    return NULL;
}

/*
 * pthread_join would wait by a system call of libc, which the count could not tell from one of
 * the allocator; a try never waits. The own stack spares libc the system calls for one.
 */
static void run_errand(struct worker *worker) {
    struct errand errand = {worker, 0};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, worker->stack, STACK_BYTES);
    int error = pthread_create(&thread, &attributes, errand_main, &errand);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        soak_fail(&worker->actor, "a thread could not be created: %s", strerror(error));
    }
    own_wait_while(&errand.done, 0);
    while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
        own_yield();
    }
}

static void churn(struct worker *worker, uint32_t unit) {
    (void)unit;
    for (uint32_t thread = 0; thread < CHURN_THREADS; thread++) {
        for (uint32_t i = 0; i < CHURN_BLOCKS; i++) {
            block_malloc(&worker->actor, &worker->scratch[i], small_size(draw(worker)));
        }
        run_errand(worker);
        for (uint32_t i = 0; i < CHURN_BLOCKS; i++) {
            block_free(&worker->actor, &worker->scratch[i]);
        }
    }
}

/* ---- calloc: every byte must be zero, though the memory was left dirty before ---- */

static void zeroed(struct worker *worker, uint32_t unit) {
    (void)unit;
    struct block held[CALLOC_HELD] = {{NULL, 0, 0}};
    for (uint32_t i = 0; i < CALLOC_BLOCKS; i++) {
        struct block *block = &held[i % CALLOC_HELD];
        if (block->address != NULL) {
            block_free(&worker->actor, block);
        }
        size_t bound = i % (CALLOC_BLOCKS / CALLOC_BIG) == 0 ? 128 * 1024 : 2048;
        block_calloc(&worker->actor, block, 1 + draw_below(worker, bound));
        block_dirty(block);
    }
    for (uint32_t i = 0; i < CALLOC_HELD; i++) {
        block_free(&worker->actor, &held[i]);
    }
}

/* ---- aligned: 32 bytes to 64 KiB, the greater the rarer ---- */

static void aligned(struct worker *worker, uint32_t unit) {
    (void)unit;
    struct block held[ALIGNED_HELD] = {{NULL, 0, 0}};
    for (uint32_t i = 0; i < ALIGNED_BLOCKS; i++) {
        struct block *block = &held[i % ALIGNED_HELD];
        if (block->address != NULL) {
            block_free(&worker->actor, block);
        }
        /* the trailing zeros of a counter: each step half as often as the one before */
        unsigned log2 = ALIGNED_LOG2_MIN + (unsigned)__builtin_ctz(i + 1);
        size_t alignment = (size_t)1 << (log2 > ALIGNED_LOG2_MAX ? ALIGNED_LOG2_MAX : log2);
        size_t size = 1 + draw_below(worker, 4096);
        if (draw(worker) >> 63 != 0) { /* aligned_alloc takes whole multiples only */
            size = (size + alignment - 1) & ~(alignment - 1);
        }
        block_aligned(&worker->actor, block, alignment, size);
    }
    for (uint32_t i = 0; i < ALIGNED_HELD; i++) {
        block_free(&worker->actor, &held[i]);
    }
}

const struct part part_kinds[PART_KINDS] = {
    {"steady", steady}, {"ramp", ramp},   {"growth", growth}, {"large", large},
    {"hand-over", hand_over}, {"churn", churn}, {"calloc", zeroed}, {"aligned", aligned},
};
