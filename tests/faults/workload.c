/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <hakmem/hakmem.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "calls.h"
#include "check.h"
#include "child.h"
#include "held.h"
#include "memory.h"

/* Numbers of blocks, by the step that holds them. */
enum {
    SMALL = 0,    SMALL_COUNT = 200,
    LARGE = 1200, LARGE_COUNT = 24,
    MOVED = 1300, MOVED_COUNT = 8,
    GROWN = 1400, GROWN_COUNT = 3,
    CREW = 1500,  CREW_EACH = 40,
    BRIEF = 4000, BRIEF_COUNT = 40,
};
enum { CREW_COUNT = 6, OLD_MS = 300 }; /* memory older than this is given back */

/* The classes of the first ones only are used everywhere: each class of each heap has slabs, and each
 * of those is given back by a call of its own. */
static const size_t sizes[] = {48, 1000, 200, 9000, 16, 3000, 30000, 65000};
enum { SIZES_FEW = 4, SIZES_ALL = 8 };

static void take_mixed(unsigned from, unsigned count, unsigned size_count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i % 32 == 31) {
            held_take_zeroed(from + i, 100000 + i * 1000);
        } else {
            held_take(from + i, sizes[i % size_count]);
        }
    }
}

static void drop_every(unsigned from, unsigned count, unsigned step)
{
    for (unsigned i = 0; i < count; i += step) {
        held_drop(from + i);
    }
}

static void take_and_drop_brief(void)
{
    take_mixed(BRIEF, BRIEF_COUNT, SIZES_FEW);
    held_drop_all(BRIEF, BRIEF + BRIEF_COUNT);
}

/* ---- one thread ---- */

static void small_blocks(void)
{
    take_mixed(SMALL, SMALL_COUNT, SIZES_ALL);
    drop_every(SMALL, SMALL_COUNT, 2);
    take_and_drop_brief();
}

static void large_blocks(size_t bytes)
{
    for (unsigned i = 0; i < LARGE_COUNT; i++) {
        held_take(LARGE + i, bytes + i * 5000);
    }
    drop_every(LARGE, LARGE_COUNT, 2);
    for (unsigned i = 0; i < LARGE_COUNT; i += 2) {
        held_take_zeroed(LARGE + i, bytes / 64 + i * 5000);
    }
}

static void let_memory_age(void)
{
    drop_every(LARGE, LARGE_COUNT, 3);
    calls_pass_time(OLD_MS);
    take_and_drop_brief();
    calls_pass_time(OLD_MS);
    drop_every(LARGE, LARGE_COUNT, 4);
    take_and_drop_brief();
}

/* Blocks side by side have no room to grow: their pages go elsewhere. What is freed then has to
 * become ordinary memory again. */
static void grow_by_moving(size_t large_bytes)
{
    size_t bytes = large_bytes / 32 > WORKLOAD_MIB ? large_bytes / 32 : WORKLOAD_MIB + 5000;
    for (unsigned i = 0; i < MOVED_COUNT; i++) {
        held_take(MOVED + i, bytes);
    }
    for (unsigned i = 0; i < MOVED_COUNT; i++) {
        held_resize(MOVED + i, bytes + bytes / 2 + i * 70000);
    }
    drop_every(MOVED, MOVED_COUNT, 2);
    for (unsigned i = 0; i < MOVED_COUNT; i++) {
        held_resize(MOVED + i, i % 4 == 1 ? bytes / 8 : bytes * 2);
    }
    for (unsigned i = 0; i < MOVED_COUNT; i += 2) {
        held_take_zeroed(MOVED + i, bytes);
    }
}

static void grow_step_by_step(void)
{
    for (unsigned i = 0; i < GROWN_COUNT; i++) {
        held_take(GROWN + i, 600);
        for (size_t bytes = 1200; bytes < 2 * WORKLOAD_MIB; bytes *= 2) {
            held_resize(GROWN + i, bytes + i * 100);
        }
    }
}

static void aligned_blocks(void)
{
    for (unsigned i = 0; i < BRIEF_COUNT; i++) {
        size_t alignment = (size_t)32 << i % 18;
        held_take_aligned(BRIEF + i, alignment, i % 3 == 0 ? 100 : alignment + 100);
    }
    held_drop_all(BRIEF, BRIEF + BRIEF_COUNT);
}

/* ---- threads that take turns ---- */

struct member {
    pthread_t thread;
    sem_t turn;
    unsigned number;
    bool runs;
};

static struct member crew[CREW_COUNT];
static sem_t turn_is_over;

static unsigned first_of(unsigned number)
{
    return CREW + number % CREW_COUNT * CREW_EACH;
}

static void end_turn(struct member *m)
{
    sem_post(&turn_is_over);
    while (sem_wait(&m->turn) != 0) {
        CHECK(errno == EINTR);
    }
}

/* Takes blocks; frees those of the thread before; takes what came back from the thread after;
 * leaves with blocks in its hands. */
static void *take_turns(void *argument)
{
    struct member *m = argument;
    unsigned own = first_of(m->number);
    unsigned other = first_of(m->number + CREW_COUNT - 1);
    while (sem_wait(&m->turn) != 0) {
        CHECK(errno == EINTR);
    }
    take_mixed(own, CREW_EACH, SIZES_FEW);
    end_turn(m);
    drop_every(other, CREW_EACH, 2);
    end_turn(m);
    for (unsigned i = 0; i < CREW_EACH; i += 2) {
        held_take(own + i, sizes[i / 2 % SIZES_FEW]);
    }
    return NULL;
}

static void crew_start(void)
{
    CHECK(sem_init(&turn_is_over, 0, 0) == 0);
    for (unsigned i = 0; i < CREW_COUNT; i++) {
        struct member *m = &crew[i];
        m->number = i;
        CHECK(sem_init(&m->turn, 0, 0) == 0);
        m->runs = pthread_create(&m->thread, NULL, take_turns, m) == 0;
        if (!m->runs) {
            held_count_failure();
        }
    }
}

static void crew_turn(void)
{
    for (unsigned i = 0; i < CREW_COUNT; i++) {
        if (crew[i].runs) {
            sem_post(&crew[i].turn);
            while (sem_wait(&turn_is_over) != 0) {
                CHECK(errno == EINTR);
            }
        }
    }
}

/* One after another, so that each ends before the next one goes on. */
static void crew_end(void)
{
    for (unsigned i = 0; i < CREW_COUNT; i++) {
        if (crew[i].runs) {
            sem_post(&crew[i].turn);
            CHECK(pthread_join(crew[i].thread, NULL) == 0);
        }
        sem_destroy(&crew[i].turn);
    }
    sem_destroy(&turn_is_over);
}

static void *leave_blocks(void *unused)
{
    take_mixed(BRIEF, BRIEF_COUNT, SIZES_FEW);
    return unused;
}

static void short_threads(void)
{
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, leave_blocks, NULL) != 0) {
            held_count_failure();
            continue;
        }
        CHECK(pthread_join(thread, NULL) == 0);
        held_drop_all(BRIEF, BRIEF + BRIEF_COUNT);
    }
}

/* ---- fork ---- */

static _Noreturn void live_in_child(void)
{
    child_begin();
    held_check(0, HELD_MAX);
    held_drop_all(SMALL, LARGE);
    held_drop_all(CREW, BRIEF); /* of threads that this process does not have */
    short_threads();
    take_mixed(SMALL, SMALL_COUNT / 2, SIZES_FEW);
    calls_pass_time(OLD_MS);
    held_drop_all(0, HELD_MAX);
    hak_purge();
    CHECK(hak_check());
    _exit(0);
}

static void fork_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        live_in_child();
    }
    if (pid < 0) {
        held_count_failure();
        return;
    }
    CHECK(child_ended_well(pid));
}

/* ---- threads in each other's way ---- */

enum { CONTENDERS = 4, CONTEND_ROUNDS = 4000, CONTEND_EACH = 8 };

static void *contend(void *argument)
{
    unsigned own = *(unsigned *)argument;
    char *blocks[CONTEND_EACH] = {NULL};
    for (unsigned i = 0; i < CONTEND_ROUNDS; i++) {
        char **block = &blocks[i % CONTEND_EACH];
        CHECK(*block == NULL || memory_holds(*block, sizeof own, own));
        hak_free(*block);
        *block = hak_malloc(i % 4 == 3 ? 5000 : (size_t)70000 * (1 + i % 5));
        CHECK(*block != NULL);
        memory_fill(*block, sizeof own, own);
    }
    for (unsigned i = 0; i < CONTEND_EACH; i++) {
        CHECK(memory_holds(blocks[i], sizeof own, own));
        hak_free(blocks[i]);
    }
    return NULL;
}

void workload_contend(void)
{
    pthread_t threads[CONTENDERS];
    unsigned numbers[CONTENDERS];
    for (unsigned i = 0; i < CONTENDERS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, contend, &numbers[i]) == 0);
    }
    for (unsigned i = 0; i < CONTENDERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* ---- all of it ---- */

void workload_run(size_t large_bytes)
{
    small_blocks();
    large_blocks(large_bytes);
    let_memory_age();
    grow_by_moving(large_bytes);
    grow_step_by_step();
    aligned_blocks();
    crew_start();
    crew_turn();
    fork_child();
    crew_turn();
    crew_end();
    short_threads();
    held_check(0, HELD_MAX);
    hak_purge();
    take_and_drop_brief();
    held_drop_all(0, HELD_MAX);
    hak_purge();
}
