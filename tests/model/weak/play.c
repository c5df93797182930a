/* SPDX-License-Identifier: MIT */
/*
 * What runs on the machine: threads that allocate, write, pass on, check and free blocks, purge, exit
 * and fork, and at the end a thread that frees what is left and finds that nothing was lost.
 */
#include <hakmem/hakmem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "machine.h"
#include "random.h"
#include "run/init.h"
#include "slab/adopt.h"
#include "slab/pages.h"
#include "slab/remote.h"
#include "watch/stats.h"
#include "weak.h"

enum { LOCALS = 20, THREADS_MAX = 7, OPS_MAX = 160, PURGES = 8, EDGE_BYTES = 16, HOARD = 40, TICKS = 60 };

/* The first allocation happens on the machine. */
const bool init_can_wait = true;

struct player {
    uint64_t dice;
    unsigned ops;
    struct block own[LOCALS];
};

/* Few classes, and those of few blocks per slab, so that slabs come and go. */
static size_t random_bytes(uint64_t *dice)
{
    static const size_t sizes[] = {16, 1000, 2100, 2100, 30000, 60000, 60000, 60000, 100000, 300000};
    return sizes[random_below(dice, sizeof sizes / sizeof sizes[0])];
}

/* The ends of a block carry its address and size: an access of another thread's is a race, and a
 * block that was handed out twice is seen by both. */
static unsigned char mark_of(struct block b, size_t i)
{
    return (unsigned char)((uintptr_t)b.start >> 4 ^ b.bytes ^ i * 37);
}

static void write_ends(struct block b)
{
    for (size_t i = 0; i < EDGE_BYTES; i++) {
        size_t at = i < EDGE_BYTES / 2 ? i : b.bytes - EDGE_BYTES + i;
        b.start[at] = mark_of(b, i);
    }
}

static void check_ends(struct block b)
{
    for (size_t i = 0; i < EDGE_BYTES; i++) {
        size_t at = i < EDGE_BYTES / 2 ? i : b.bytes - EDGE_BYTES + i;
        CHECK(b.start[at] == mark_of(b, i));
    }
}

static struct block make(uint64_t *dice)
{
    struct block b = {.bytes = random_bytes(dice)};
    bool zero = random_below(dice, 4) == 0;
    b.start = zero ? hak_calloc(1, b.bytes) : hak_malloc(b.bytes);
    if (b.start != NULL) {
        CHECK(!zero || (b.start[0] == 0 && b.start[b.bytes / 2] == 0 && b.start[b.bytes - 1] == 0));
        write_ends(b);
    }
    return b;
}

static void discard(struct block b)
{
    if (b.start != NULL) {
        check_ends(b);
        hak_free(b.start);
    }
}

static struct block resize(struct block b, uint64_t *dice)
{
    size_t bytes = random_bytes(dice);
    check_ends(b);
    unsigned char *start = hak_realloc(b.start, bytes);
    if (start == NULL) {
        return b;
    }
    CHECK(start[0] == mark_of(b, 0));
    b = (struct block){start, bytes};
    write_ends(b);
    return b;
}

/* What fork promises of the child. Large blocks that other threads were about to make or free may be
 * half there, and are nobody's. */
static void check_child(void)
{
    CHECK(run_check() && adopt_check());
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        CHECK(heaps[id].state == HEAP_LOST || (heap_check(&heaps[id]) && remote_check(&heaps[id])));
    }
}

static void fork_once(uint64_t *dice)
{
    discard(make(dice)); /* starts the allocator, which fork does not wait for */
    int pid = machine_fork();
    if (pid == 0) {
        check_child();
        for (int i = 0; i < LOCALS; i++) {
            discard(make(dice));
        }
        hak_purge();
        check_child();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void step(struct player *p)
{
    struct block *own = &p->own[random_below(&p->dice, LOCALS)];
    size_t what = random_below(&p->dice, 100);
    if (what < 45) {
        discard(*own);
        *own = make(&p->dice);
    } else if (what < 65) {
        if (own->start != NULL && weak_post(*own)) {
            own->start = NULL;
        }
    } else if (what < 85) {
        discard(weak_fetch());
    } else if (what < 97) {
        discard(*own);
        own->start = NULL;
    } else if (what < 99) {
        *own = own->start != NULL ? resize(*own, &p->dice) : *own;
    } else if (random_below(&p->dice, 4) != 0) {
        hak_purge();
    } else {
        fork_once(&p->dice);
    }
}

static void live(void *player)
{
    struct player *p = player;
    for (unsigned i = 0; i < p->ops; i++) {
        step(p);
    }
    bool posts = random_below(&p->dice, 2) == 0; /* what is left is freed here, or elsewhere */
    for (unsigned i = 0; i < LOCALS; i++) {
        struct block b = p->own[i];
        if (b.start != NULL && !(posts && weak_post(b))) {
            discard(b);
        }
    }
}

static struct block take_home(struct heap *h)
{
    struct block b = {NULL, 30000};
    void *p = NULL;
    heap_enter(h);
    heap_take(h, class_of_size(b.bytes), 1, NULL, &p);
    heap_leave(h);
    b.start = p;
    if (b.start != NULL) {
        write_ends(b);
    }
    return b;
}

static void put_home(struct heap *h, struct block b)
{
    if (b.start != NULL) {
        check_ends(b);
        heap_enter(h);
        heap_put(h, class_of_size(b.bytes), b.start);
        heap_leave(h);
    }
}

/* A heap whose slabs become free block by block, without a list in between ... */
static void hoard(void *player)
{
    struct player *p = player;
    struct block hoard[HOARD];
    hak_free(hak_malloc(16)); /* starts the allocator */
    struct heap *h = heap_acquire();
    if (h == NULL) {
        return; /* there are as many as there may be */
    }
    for (size_t i = 0; i < HOARD; i++) {
        hoard[i] = take_home(h);
    }
    for (size_t n = 0; n < HOARD; n++) {
        size_t i = random_below(&p->dice, HOARD);
        put_home(h, hoard[i]);
        hoard[i] = random_below(&p->dice, 8) == 0 ? take_home(h) : (struct block){NULL, 0};
    }
    for (size_t i = 0; i < HOARD; i++) {
        put_home(h, hoard[i]);
    }
    heap_pool(h);
}

/* ... while another thread gives their pages back. */
static void tick(void *unused)
{
    (void)unused;
    hak_free(hak_malloc(16)); /* starts the allocator */
    for (int i = 0; i < TICKS; i++) {
        pages_tick();
    }
}

/* Everything that was freed is home, or nothing is left under way that a purge could not fetch. */
static void check_nothing_lost(void)
{
    for (struct block b = weak_fetch(); b.start != NULL; b = weak_fetch()) {
        discard(b);
    }
    struct stats s = {0};
    for (int i = 0; i < PURGES; i++) {
        hak_purge();
        s = stats_collect();
        if (s.live_bytes == 0 && s.large_count == 0) {
            break;
        }
    }
    CHECK(s.live_bytes == 0);
    CHECK(s.large_count == 0);
    CHECK(hak_check());
}

void play(uint64_t seed)
{
    static struct player players[2 * THREADS_MAX];
    uint64_t dice = seed;
    size_t threads = 2 + random_below(&dice, THREADS_MAX - 1);
    bool with_hoard = random_below(&dice, 4) == 0;
    threads = with_hoard ? 1 + threads / 4 : threads;
    for (size_t generation = 0; generation < 2; generation++) {
        for (size_t i = 0; i < threads; i++) {
            struct player *p = &players[generation * THREADS_MAX + i];
            p->dice = random_next(&dice);
            p->ops = (unsigned)random_below(&dice, OPS_MAX);
            machine_spawn(i == 0 && with_hoard ? hoard : live, p);
        }
        if (with_hoard) {
            machine_spawn(tick, NULL);
        }
        machine_join_all();
    }
    check_nothing_lost();
}
