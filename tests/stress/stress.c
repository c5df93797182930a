/* SPDX-License-Identifier: MIT */
/*
 * Goal: under any mix of threads, sizes and orders, every block belongs to its holder alone,
 * keeps its bytes, and meets the promises of the call that made it.
 *
 * Method: each thread runs rounds of random operations (slot.c) on blocks whose bytes carry a
 * pattern (block.c); blocks travel between threads (mailbox.c) and threads end and are
 * replaced in the middle of a round. Between rounds all threads rest and the heap validates
 * itself. All choices follow from the seed; only the interleaving of the threads does not.
 *
 * Prints one line at the end; the first mismatch aborts with a report (support.h).
 */
#include "api.h"
#include "mailbox.h"
#include "options.h"
#include "slot.h"
#include "support.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One part in MAIL_SHARE of the live bytes may be on its way between threads, each way. */
#define MAIL_SHARE 8

struct worker {
    struct slot slot;
    pthread_t thread;      /* runs the slot now */
    pthread_t predecessor; /* ran it before and may still be ending */
    bool has_predecessor;
    uint64_t threads; /* that ran the slot so far */
};

static struct {
    struct options options;
    struct worker *workers;
    struct timespec start;
    unsigned rounds;
    bool stop;                /* written by main while all workers wait at `resume` */
    pthread_barrier_t pause;  /* all workers and main: the round is over */
    pthread_barrier_t resume; /* all workers and main: the heap has been checked */
} run;

/* --- parting: a thread that allocates and frees while it ends ---------------------------- */

#define PARTING_ROUNDS 2
#define PARTING_SIZE_LOG2 15

static pthread_key_t parting_key;

struct parting {
    struct actor actor;
    struct block block;
    unsigned rounds_left;
};

/* Destructor of the key: re-arms itself once, so that it also runs after other destructors. */
static void part(void *argument)
{
    struct parting *parting = argument;
    struct block block;
    block_free(&parting->actor, &parting->block);
    size_t size = (size_t)1 << rng_below(&parting->actor.rng, PARTING_SIZE_LOG2);
    bool held = block_malloc(&parting->actor, &block, size);
    parting->block = block;
    if (held && --parting->rounds_left > 0 && pthread_setspecific(parting_key, parting) == 0)
        return;
    if (held)
        block_free(&parting->actor, &block);
    API(free)(parting);
}

/* Leaves something for the end of this thread; without memory the thread ends plainly. */
static void prepare_parting(struct slot *slot)
{
    uint64_t *rng = &slot->actor.rng;
    struct parting *parting = api_seen(API(malloc)(sizeof *parting));
    if (parting == NULL)
        return;
    parting->actor = (struct actor){.id = slot->actor.id, .rng = rng_next(rng),
                                    .serial = rng_next(rng)};
    parting->rounds_left = PARTING_ROUNDS;
    size_t size = (size_t)1 << rng_below(rng, PARTING_SIZE_LOG2);
    if (!block_malloc(&parting->actor, &parting->block, size)) {
        API(free)(parting);
        return;
    }
    if (pthread_setspecific(parting_key, parting) != 0) {
        block_free(&parting->actor, &parting->block);
        API(free)(parting);
    }
}

/* --- workers ------------------------------------------------------------------------------ */

static void *work(void *argument);

static void join_predecessor(struct worker *worker)
{
    if (worker->has_predecessor)
        pthread_join(worker->predecessor, NULL);
    worker->has_predecessor = false;
}

/* True: a new thread runs the slot, the caller must end without touching it again. */
static bool hand_over(struct worker *worker)
{
    pthread_t successor;
    join_predecessor(worker);
    prepare_parting(&worker->slot);
    worker->predecessor = pthread_self();
    worker->has_predecessor = true;
    if (pthread_create(&successor, NULL, work, worker) == 0)
        return true;
    worker->has_predecessor = false; /* no thread to be had: carry on with this one */
    return false;
}

/* True: the slot has a new thread. */
static bool run_round(struct worker *worker)
{
    struct slot *slot = &worker->slot;
    while (slot->phase < SLOT_PHASES) {
        slot->profile = profile_of_phase(run.options.profile, &slot->actor.rng);
        slot_phase(slot);
        bool leave = rng_below(&slot->actor.rng, 100) < slot->profile->handover_percent;
        if (leave && hand_over(worker))
            return true;
    }
    slot->phase = 0;
    slot->round++;
    return false;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->thread = pthread_self();
    worker->threads++;
    do {
        if (run_round(worker))
            return NULL;
        join_predecessor(worker); /* nobody may be ending while the heap is checked */
        pthread_barrier_wait(&run.pause);
        pthread_barrier_wait(&run.resume);
    } while (!run.stop);
    if (worker->slot.actor.id % 2 == 0)
        slot_empty(&worker->slot);
    return NULL;
}

/* The first thread of a slot waits until all have been created. */
static void *work_first(void *argument)
{
    pthread_barrier_wait(&run.resume);
    return work(argument);
}

/* --- the run ------------------------------------------------------------------------------ */

static void start_workers(void)
{
    const struct options *options = &run.options;
    size_t share = options->live_bytes_max / options->threads;
    run.workers = pages_map(options->threads * sizeof *run.workers);
    mail_start(options->threads, share / MAIL_SHARE);
    pthread_barrier_init(&run.pause, NULL, options->threads + 1);
    pthread_barrier_init(&run.resume, NULL, options->threads + 1);
    clock_gettime(CLOCK_MONOTONIC, &run.start);
    for (unsigned i = 0; i < options->threads; i++) {
        struct slot *slot = &run.workers[i].slot;
        slot_start(slot, i, options->threads, options->seed);
        slot->bytes_max = share - 2 * (share / MAIL_SHARE);
        slot->deadline = run.start;
        slot->deadline.tv_sec += options->seconds;
    }
    for (unsigned i = 0; i < options->threads; i++) {
        pthread_t first;
        int error = pthread_create(&first, NULL, work_first, &run.workers[i]);
        if (error != 0)
            stress_fail(i, NULL, 0, "no thread: %s", strerror(error));
    }
}

static double elapsed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - run.start.tv_sec) +
           (double)(now.tv_nsec - run.start.tv_nsec) * 1e-9;
}

static void check_heap(const char *when)
{
    if (!api_check())
        stress_fail(run.options.threads, NULL, 0, "hak_check() failed %s, round %u", when,
                    run.rounds);
}

static void supervise(void)
{
    pthread_barrier_wait(&run.resume);
    do {
        pthread_barrier_wait(&run.pause);
        check_heap("between rounds");
        run.rounds++;
        run.stop = elapsed() >= run.options.seconds;
        pthread_barrier_wait(&run.resume);
    } while (!run.stop);
    for (unsigned i = 0; i < run.options.threads; i++)
        pthread_join(run.workers[i].thread, NULL);
}

/* --- the end ------------------------------------------------------------------------------ */

/* What half of the workers left behind is freed here, after their threads have ended. */
static void finish(void)
{
    for (unsigned i = 0; i < run.options.threads; i++)
        slot_empty(&run.workers[i].slot);
    check_heap("with all blocks freed");
    api_purge();
    check_heap("after the purge");
}

/* Resident memory from /proc, without stdio: the figure is of the heap as it is now. */
static size_t rss_kib(void)
{
    char text[128];
    unsigned long long total, resident;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    if (sscanf(text, "%llu %llu", &total, &resident) != 2)
        return 0;
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE) / KIB;
}

static void report(void)
{
    uint64_t ops = 0, refused = 0, threads = 0;
    size_t rss = rss_kib();
    for (unsigned i = 0; i < run.options.threads; i++) {
        ops += run.workers[i].slot.actor.ops;
        refused += run.workers[i].slot.actor.refused;
        threads += run.workers[i].threads;
    }
    printf("stress: ops=%" PRIu64 " seconds=%.2f seed=%" PRIu64 " rss_end_kib=%zu profile=%s "
           "rounds=%u threads=%" PRIu64 " refused=%" PRIu64 "\n",
           ops, elapsed(), run.options.seed, rss, run.options.profile->name, run.rounds, threads,
           refused);
}

int main(int count, char **arguments)
{
    run.options = options_read(count, arguments);
    fail_set_seed(run.options.seed);
    fprintf(stderr, "stress: seed %" PRIu64 "\n", run.options.seed); /* also if it crashes */
    block_rules.may_fail = run.options.may_fail;
    block_rules.strict = run.options.strict;
    if (pthread_key_create(&parting_key, part) != 0)
        stress_fail(0, NULL, 0, "no thread-specific key");
    start_workers();
    supervise();
    finish();
    report();
    return 0;
}
