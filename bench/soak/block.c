/* SPDX-License-Identifier: MIT */
#include "block.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "system.h"

enum { WORD = 8, PAGE = 4096, DIRT = 0xa5, INSIDE_MIN = 64, LINE_MAX_BYTES = 512 };

static uint32_t run_seed;
static uint64_t clock_cost; /* ticks between two readings with nothing between them */
static uint64_t first_ticks, first_ns;

/* ---- failure ---- */

void soak_fail(const struct actor *actor, const char *format, ...) {
    static atomic_flag failed = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&failed)) {
        own_yield(); /* another thread is about to end the process: one line only */
    }
    char line[LINE_MAX_BYTES];
    size_t used = (size_t)snprintf(line, sizeof line, "soak: ");
    va_list list;
    va_start(list, format);
    used += (size_t)vsnprintf(line + used, sizeof line - used, format, list);
    va_end(list);
    if (used < sizeof line) {
        snprintf(line + used, sizeof line - used, " (part %s, epoch %u, thread %u, seed %u)\n",
                 actor->part, actor->epoch, actor->thread, run_seed);
    }
    write_all(STDERR_FILENO, line, strlen(line));
    _exit(1); /* no exit handlers: they would run on a heap that is known to be broken */
}

/* ---- clock ---- */

void block_start(uint32_t seed) {
    run_seed = seed;
    first_ticks = latency_ticks();
    first_ns = clock_ns(CLOCK_MONOTONIC);
    clock_cost = UINT64_MAX;
    for (int i = 0; i < LATENCY_EMPTY_PAIRS; i++) {
        uint64_t before = latency_ticks();
        uint64_t cost = latency_ticks() - before;
        clock_cost = cost < clock_cost ? cost : clock_cost;
    }
}

double latency_ns_of_tick(void) {
    double ns = (double)(clock_ns(CLOCK_MONOTONIC) - first_ns);
    return ns / (double)(latency_ticks() - first_ticks);
}

static void next_timed(struct actor *actor) {
    uint64_t random = bench_rng_next(&actor->timed_rng);
    actor->timed_in = 1 + (uint32_t)bench_pick((uint32_t)(random >> 32), 2 * OPS_PER_TIMED - 1);
}

void actor_seed(struct actor *actor, uint64_t seed, uint64_t stream) {
    actor->rng = bench_rng_seed(seed, 2 * stream);
    actor->timed_rng = bench_rng_seed(seed, 2 * stream + 1);
    next_timed(actor);
}

/* 0: this op is not timed. */
static inline uint64_t op_begin(struct actor *actor) {
    actor->ops++;
    return __builtin_expect(--actor->timed_in == 0, 0) ? latency_ticks() : 0;
}

__attribute__((noinline)) static void op_record(struct actor *actor, uint64_t ticks) {
    struct latencies *latencies = actor->latencies;
    ticks = ticks > clock_cost ? ticks - clock_cost : 0;
    latencies->count[latency_bucket(ticks)]++;
    latencies->timed++;
    latencies->greatest = ticks > latencies->greatest ? ticks : latencies->greatest;
    next_timed(actor);
}

static inline void op_end(struct actor *actor, uint64_t begin) {
    if (__builtin_expect(begin != 0, 0)) {
        op_record(actor, latency_ticks() - begin);
    }
}

/* ---- pattern ---- */

static inline uint64_t pattern_key(const struct block *block) {
    uint64_t key = (uint64_t)(uintptr_t)block->address ^ ((uint64_t)block->serial << 32);
    key = (key + block->size) * UINT64_C(0xbf58476d1ce4e5b9);
    return key ^ (key >> 29);
}

/* offset: a multiple of WORD. Places that coincide hold the same word. */
static inline uint64_t pattern_word(uint64_t key, size_t offset) {
    return (key + offset) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline size_t last_place(size_t size) {
    return (size - 1) & ~(size_t)(WORD - 1);
}

static inline size_t inside_place(const struct block *block) {
    return bench_pick(block->serial, block->size / WORD) * WORD;
}

static inline size_t place_bytes(size_t size, size_t offset) {
    return size - offset < WORD ? size - offset : WORD;
}

static inline void place_write(const struct block *block, uint64_t key, size_t offset) {
    uint64_t word = pattern_word(key, offset);
    if (__builtin_expect(block->size - offset >= WORD, 1)) {
        memcpy(block->address + offset, &word, WORD);
    } else {
        memcpy(block->address + offset, &word, block->size - offset);
    }
}

static void pattern_write(const struct block *block) {
    uint64_t key = pattern_key(block);
    size_t last = last_place(block->size);
    place_write(block, key, 0);
    place_write(block, key, last);
    if (block->size >= INSIDE_MIN) {
        place_write(block, key, inside_place(block));
    }
    for (size_t offset = PAGE; offset < last; offset += PAGE) {
        place_write(block, key, offset);
    }
}

__attribute__((noinline, cold)) _Noreturn static void
lost(const struct actor *actor, const struct block *block, const unsigned char *address,
     size_t offset, const char *when) {
    uint64_t word = pattern_word(pattern_key(block), offset);
    const unsigned char *wanted = (const unsigned char *)&word;
    size_t i = 0;
    while (i + 1 < place_bytes(block->size, offset) && address[offset + i] == wanted[i]) {
        i++;
    }
    soak_fail(actor, "%s, the block of %u bytes at %p holds 0x%02x at offset %zu, not 0x%02x",
              when, block->size, (const void *)address, address[offset + i], offset + i,
              wanted[i]);
}

/*
 * block says what was written, address where it must stand now (realloc moves it); of its bytes
 * the first `kept` must still be there. No place is half checked.
 */
static inline void pattern_check(struct actor *actor, const struct block *block,
                                 const unsigned char *address, size_t kept, const char *when) {
    uint64_t key = pattern_key(block);
    size_t last = last_place(block->size);
    size_t places[3] = {0, last, block->size >= INSIDE_MIN ? inside_place(block) : 0};
    actor->blocks_checked++;
    for (size_t i = 0; i < 3; i++) {
        size_t bytes = place_bytes(block->size, places[i]);
        uint64_t word = pattern_word(key, places[i]);
        if (places[i] + bytes <= kept &&
            __builtin_expect(memcmp(address + places[i], &word, bytes) != 0, 0)) {
            lost(actor, block, address, places[i], when);
        }
    }
    for (size_t offset = PAGE; offset < last && offset + WORD <= kept; offset += PAGE) {
        uint64_t word = pattern_word(key, offset);
        if (__builtin_expect(memcmp(address + offset, &word, WORD) != 0, 0)) {
            lost(actor, block, address, offset, when);
        }
    }
}

/* ---- a new block ---- */

/*
 * What any object that fits may need, up to 16. Some allocators give a block of less than 16
 * bytes no more than the largest power of two in it, which is all that C demands.
 */
static size_t natural_alignment(size_t size) {
    return size >= 16 ? 16 : size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

struct request {
    const char *call;
    size_t size, alignment;
};

static inline void take(struct actor *actor, struct block *block, struct request request,
                        void *address) {
    if (__builtin_expect(address == NULL, 0)) {
        soak_fail(actor, "%s of %zu bytes failed: %s", request.call, request.size,
                  strerror(errno));
    }
    if (__builtin_expect(((uintptr_t)address & (request.alignment - 1)) != 0, 0)) {
        soak_fail(actor, "%s of %zu bytes gave %p, which is not a multiple of %zu", request.call,
                  request.size, address, request.alignment);
    }
    block->address = address;
    block->size = (uint32_t)request.size;
    block->serial = (uint32_t)(bench_rng_next(&actor->rng) >> 32);
}

void block_malloc(struct actor *actor, struct block *block, size_t size) {
    uint64_t begin = op_begin(actor);
    void *address = malloc(size);
    op_end(actor, begin);
    take(actor, block, (struct request){"malloc", size, natural_alignment(size)}, address);
    pattern_write(block);
}

static void zero_check(struct actor *actor, const struct block *block) {
    const unsigned char *bytes = block->address;
    size_t offset = 0;
    uint64_t word = 0;
    for (; offset + WORD <= block->size && word == 0; offset += WORD) {
        memcpy(&word, bytes + offset, WORD);
    }
    offset = word == 0 ? offset : offset - WORD;
    for (; offset < block->size; offset++) {
        if (bytes[offset] != 0) {
            soak_fail(actor, "calloc of %u bytes gave %p, which holds 0x%02x at offset %zu, not 0",
                      block->size, (const void *)bytes, bytes[offset], offset);
        }
    }
    actor->bytes_zero_checked += block->size;
}

void block_calloc(struct actor *actor, struct block *block, size_t size) {
    uint64_t begin = op_begin(actor);
    void *address = calloc(1, size);
    op_end(actor, begin);
    take(actor, block, (struct request){"calloc", size, natural_alignment(size)}, address);
    zero_check(actor, block);
    pattern_write(block);
}

/* aligned_alloc where it may be called: for multiples of the alignment. */
void block_aligned(struct actor *actor, struct block *block, size_t alignment, size_t size) {
    bool whole = (size & (alignment - 1)) == 0;
    void *address = NULL;
    uint64_t begin = op_begin(actor);
    if (whole) {
        address = aligned_alloc(alignment, size);
    } else {
        int error = posix_memalign(&address, alignment, size);
        if (__builtin_expect(error != 0, 0)) {
            address = NULL;
            errno = error;
        }
    }
    op_end(actor, begin);
    const char *call = whole ? "aligned_alloc" : "posix_memalign";
    take(actor, block, (struct request){call, size, alignment}, address);
    pattern_write(block);
}

/* ---- the end of a block ---- */

void block_realloc(struct actor *actor, struct block *block, size_t size) {
    const struct block old = *block;
    pattern_check(actor, &old, old.address, old.size, "before realloc");
    uint64_t begin = op_begin(actor);
    void *address = realloc(old.address, size);
    op_end(actor, begin);
    take(actor, block, (struct request){"realloc", size, natural_alignment(size)}, address);
    pattern_check(actor, &old, block->address, size < old.size ? size : old.size,
                  "after realloc");
    pattern_write(block);
}

void block_free(struct actor *actor, struct block *block) {
    pattern_check(actor, block, block->address, block->size, "before free");
    uint64_t begin = op_begin(actor);
    free(block->address);
    op_end(actor, begin);
    block->address = NULL;
}

void block_dirty(struct block *block) {
    memset(block->address, DIRT, block->size);
    pattern_write(block);
}
