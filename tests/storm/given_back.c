/* SPDX-License-Identifier: MIT */
/*
 * Goal: memory is given back. After any load, with all blocks freed and malloc_trim(0) called, the
 * process is at most 2 MiB larger than at the start.
 * Method: loads of several shapes, each in a fresh process and of a given peak: one thread or many,
 * small blocks or large ones, freed by their own thread or by another, threads that end or that
 * stay. The start is measured when the program's own tables and threads are there; after
 * the load the main thread trims once and reads the resident size from smaps_rollup.
 * Nobody but a thread itself can reach its lists. So threads that stay trim too, twice: what the first
 * time sends home is there the second time. Threads that fall asleep without it ("threads-idle")
 * keep a share of the peak, which has its bound as well.
 *
 *   given_back [--peak-mib N] [SHAPE...]   all shapes, or some; prints what each leaves behind
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"
#include "random.h"

enum { THREADS = 8, SLOTS = 1 << 20, ALLOWED_BYTES = 2 * MEMORY_MIB, ROUNDS = 3 };

static char **slots; /* of all threads */
static size_t peak_bytes;
static uint64_t seed;

/* ---- blocks ---- */

struct range {
    size_t from, to; /* slots */
    size_t bytes;    /* to hold at most */
    uint64_t random;
};

typedef size_t size_fn(uint64_t *random);

static size_t small_size(uint64_t *random)
{
    return random_size(random, 10);
}

static size_t mid_size(uint64_t *random)
{
    return 2048 + random_below(random, 62 * MEMORY_KIB);
}

static size_t mixed_size(uint64_t *random)
{
    return random_size(random, random_below(random, 100) == 0 ? 22 : 12);
}

static size_t large_size(uint64_t *random)
{
    return random_size(random, 24) + 64 * MEMORY_KIB;
}

static void fill_range(struct range *range, size_fn *size)
{
    size_t sum = 0;
    for (size_t i = range->from; i < range->to; i++) {
        size_t bytes = size(&range->random);
        if (sum + bytes > range->bytes) {
            break;
        }
        sum += bytes;
        slots[i] = random_below(&range->random, 4) == 0 ? calloc(1, bytes) : malloc(bytes);
        CHECK(slots[i] != NULL);
        memset(slots[i], 1, bytes);
    }
}

/* Every step-th block from `first` on, so that several threads or rounds can share the work. */
static void free_range(const struct range *range, size_t first, size_t step)
{
    for (size_t i = range->from + first; i < range->to; i += step) {
        free(slots[i]);
        slots[i] = NULL;
    }
}

static void empty_range(const struct range *range)
{
    free_range(range, 0, 1);
}

/* ---- one thread ---- */

static struct range whole(void)
{
    return (struct range){0, SLOTS, peak_bytes, seed};
}

static void fill_and_empty(size_fn *size)
{
    struct range range = whole();
    for (int round = 0; round < ROUNDS; round++) {
        fill_range(&range, size);
        free_range(&range, 0, 2);
        empty_range(&range);
    }
}

static void small_blocks(void)
{
    fill_and_empty(small_size);
}

static void mid_blocks(void)
{
    fill_and_empty(mid_size);
}

static void mixed_blocks(void)
{
    fill_and_empty(mixed_size);
}

static void large_blocks(void)
{
    fill_and_empty(large_size);
}

/* Blocks are replaced at random for a long time: those that live longest are strewn about. */
static void replaced_blocks(void)
{
    struct range range = {0, peak_bytes / 512 < SLOTS ? peak_bytes / 512 : SLOTS, peak_bytes, seed};
    for (size_t i = 0; i < 6 * range.to; i++) {
        size_t at = random_below(&range.random, range.to);
        free(slots[at]);
        slots[at] = malloc(random_size(&range.random, 10));
        CHECK(slots[at] != NULL);
    }
    empty_range(&range);
}

/* A vector per slot, all growing in turn, so that none can stay in its place. */
static void growing_blocks(void)
{
    enum { VECTORS = 16 };
    for (size_t bytes = 1000; bytes < peak_bytes / VECTORS; bytes += bytes / 2) {
        for (size_t i = 0; i < VECTORS; i++) {
            slots[i] = realloc(slots[i], bytes);
            CHECK(slots[i] != NULL);
            memset(slots[i], 1, bytes);
        }
    }
    empty_range(&(struct range){0, VECTORS, 0, 0});
}

static void aligned_blocks(void)
{
    struct range range = {0, 2000, 0, seed};
    for (size_t i = 0; i < range.to; i++) {
        size_t bytes = peak_bytes / range.to;
        slots[i] = aligned_alloc((size_t)64 << i % 16, bytes);
        CHECK(slots[i] != NULL);
        memset(slots[i], 1, bytes);
    }
    empty_range(&range);
}

/* ---- threads: each has a share of the slots ---- */

static struct worker {
    pthread_t thread;
    struct range own;
    const struct range *other; /* whose blocks it frees */
    bool stays, trims;
} workers[THREADS];
static pthread_barrier_t step;    /* the workers and the main thread */
static pthread_barrier_t trimmed; /* the workers */

static void load_of_worker(struct worker *w)
{
    for (int round = 0; round < ROUNDS; round++) {
        fill_range(&w->own, mixed_size);
        pthread_barrier_wait(&step);
        empty_range(w->other);
        pthread_barrier_wait(&step);
    }
}

/* Waits once before the load, so that its stack is there, and once after it. */
static void *work(void *argument)
{
    struct worker *w = argument;
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    load_of_worker(w);
    for (int i = 0; w->trims && i < 2; i++) {
        malloc_trim(0);
        pthread_barrier_wait(&trimmed);
    }
    if (w->stays) {
        pthread_barrier_wait(&step);
        pthread_barrier_wait(&step);
    }
    return NULL;
}

/* Each frees the blocks of the worker `distance` further on. */
static void start_workers(size_t distance, bool stay, bool trim)
{
    CHECK(pthread_barrier_init(&step, NULL, THREADS + 1) == 0);
    CHECK(pthread_barrier_init(&trimmed, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        size_t share = SLOTS / THREADS;
        struct worker *w = &workers[i];
        w->own = (struct range){i * share, (i + 1) * share, peak_bytes / THREADS, seed + i};
        w->other = &workers[(i + distance) % THREADS].own;
        w->stays = stay;
        w->trims = trim;
        CHECK(pthread_create(&w->thread, NULL, work, w) == 0);
    }
    pthread_barrier_wait(&step);
}

/* The start was measured: the workers may begin. */
static void run_workers(void)
{
    pthread_barrier_wait(&step);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        pthread_barrier_wait(&step);
    }
    if (workers[0].stays) {
        pthread_barrier_wait(&step);
    }
}

static void join_workers(void)
{
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
}

static void start_that_end(void)
{
    start_workers(0, false, false);
}

static void start_that_end_and_swap(void)
{
    start_workers(1, false, false);
}

static void start_that_stay(void)
{
    start_workers(0, true, true);
}

static void start_that_stay_and_swap(void)
{
    start_workers(1, true, true);
}

static void start_that_sleep(void)
{
    start_workers(0, true, false);
}

static void run_and_join(void)
{
    run_workers();
    join_workers();
}

/* What ended threads left is freed by the main thread. */
static void *leave_blocks(void *range)
{
    fill_range(range, mixed_size);
    return NULL;
}

static void inherited_blocks(void)
{
    for (size_t round = 0; round < ROUNDS * THREADS; round++) {
        struct range range = {0, SLOTS, peak_bytes, seed + round};
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, leave_blocks, &range) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        empty_range(&range);
    }
}

/* ---- shapes ---- */

static const struct shape {
    const char *name;
    void (*start)(void); /* before the first measurement; may be NULL */
    void (*load)(void);
    size_t kept_percent; /* of the peak, besides ALLOWED_BYTES */
} shapes[] = {
    {"small", NULL, small_blocks, 0},
    {"mid", NULL, mid_blocks, 0},
    {"mixed", NULL, mixed_blocks, 0},
    {"large", NULL, large_blocks, 0},
    {"replaced", NULL, replaced_blocks, 0},
    {"growing", NULL, growing_blocks, 0},
    {"aligned", NULL, aligned_blocks, 0},
    {"inherited", NULL, inherited_blocks, 0},
    {"threads-end", start_that_end, run_and_join, 0},
    {"threads-end-swapped", start_that_end_and_swap, run_and_join, 0},
    {"threads-stay", start_that_stay, run_workers, 0},
    {"threads-stay-swapped", start_that_stay_and_swap, run_workers, 0},
    {"threads-idle", start_that_sleep, run_workers, 90},
};
enum { SHAPE_COUNT = sizeof shapes / sizeof *shapes };

static const struct shape *find_shape(const char *name)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    fprintf(stderr, "given_back: no shape is called %s\n", name);
    exit(2);
}

/* The process under test; the workers that stay end with it. */
static int run_shape(const struct shape *shape)
{
    slots = mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(slots != MAP_FAILED);
    free(malloc(100));
    if (shape->start != NULL) {
        shape->start();
    }
    malloc_trim(0);
    size_t base = memory_rss_bytes();
    shape->load();
    size_t before = memory_rss_above_bytes(base);
    malloc_trim(0);
    size_t after = memory_rss_above_bytes(base);
    bool good = after <= ALLOWED_BYTES + peak_bytes / 100 * shape->kept_percent;
    printf("given_back: %-21s peak %4zu MiB: %7zu KiB above the start, %6zu KiB after malloc_trim%s\n",
           shape->name, peak_bytes / MEMORY_MIB, before / MEMORY_KIB, after / MEMORY_KIB,
           good ? "" : ": TOO MUCH");
    fflush(stdout);
    _exit(good ? 0 : 1);
}

static bool run_in_child(const struct shape *shape)
{
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child_begin();
        run_shape(shape);
    }
    return child_ended_well(pid);
}

int main(int argc, char **argv)
{
    int next = 1;
    int bad = 0;
    allocator_expect();
    peak_bytes = (size_t)64 * MEMORY_MIB;
    if (argc > 2 && strcmp(argv[1], "--peak-mib") == 0) {
        peak_bytes = strtoull(argv[2], NULL, 10) * MEMORY_MIB;
        next = 3;
    }
    seed = random_seed();
    for (int i = 0; next == argc && i < SHAPE_COUNT; i++) {
        bad += !run_in_child(&shapes[i]);
    }
    for (; next < argc; next++) {
        bad += !run_in_child(find_shape(argv[next]));
    }
    return bad == 0 ? 0 : 1;
}
