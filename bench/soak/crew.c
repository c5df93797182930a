/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include "system.h"

enum {
    PARTS = PART_KINDS * PART_ROUNDS,
    CONTROL_TRIES = 5, CONTROL_TRY_STEPS = 1000000
};

enum order { RUN, FINISH };

struct member {
    struct worker worker;
    pthread_t thread;
    uint64_t load_ns, control_ns, control_cpu_ns; /* of the last epoch */
    uint64_t control_sum; /* kept, so that the compiler cannot drop the loop */
};

/* Written by the main thread while all members wait for the next turn. */
static struct {
    struct member *members;
    uint32_t threads, seed, without, control_steps;
    enum order order;
    uint32_t epoch, units;
    _Atomic uint32_t turn;    /* raised by main: publishes the order */
    _Atomic uint32_t working; /* members that have not ended their turn; 0 publishes results */
} crew;

/* ---- control ---- */

__attribute__((noinline)) static uint64_t control_loop(uint64_t sum, uint32_t steps) {
    for (uint32_t i = 0; i < steps; i++) {
        sum = (sum ^ (sum >> 29)) * UINT64_C(0xbf58476d1ce4e5b9) + i;
    }
    return sum;
}

static void control_slice(struct member *member) {
    uint64_t start = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    member->control_sum = control_loop(member->control_sum, crew.control_steps);
    member->control_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    member->control_ns += clock_ns(CLOCK_MONOTONIC) - start;
}

/* Steps per slice, so that the slices of an epoch take CONTROL_NOMINAL_MS on a quiet machine. */
static void control_calibrate(struct member *member) {
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < CONTROL_TRIES; i++) {
        uint64_t start = clock_ns(CLOCK_MONOTONIC);
        member->control_sum = control_loop(member->control_sum, CONTROL_TRY_STEPS);
        uint64_t ns = clock_ns(CLOCK_MONOTONIC) - start;
        shortest = ns < shortest ? ns : shortest;
    }
    double slice_ns = CONTROL_NOMINAL_MS * 1e6 / PARTS;
    crew.control_steps = (uint32_t)(slice_ns * CONTROL_TRY_STEPS / (double)(shortest + 1)) + 1;
}

/* ---- a member ---- */

static void part_order(uint8_t kinds[PARTS]) {
    struct bench_rng rng = bench_rng_seed(~crew.seed, crew.epoch);
    for (uint32_t i = 0; i < PARTS; i++) {
        uint32_t other = (uint32_t)bench_pick((uint32_t)(bench_rng_next(&rng) >> 32), i + 1);
        kinds[i] = kinds[other];
        kinds[other] = (uint8_t)(i % PART_KINDS);
    }
    uint32_t steady = 0;
    while (kinds[steady] != PART_STEADY) {
        steady++;
    }
    kinds[steady] = kinds[PARTS - 1];
    kinds[PARTS - 1] = PART_STEADY;
}

static void run_epoch(struct member *member) {
    struct actor *actor = &member->worker.actor;
    uint8_t kinds[PARTS] = {0};
    part_order(kinds);
    actor_seed(actor, crew.seed, (uint64_t)crew.epoch * crew.threads + actor->thread);
    actor->epoch = crew.epoch < EPOCH_WARM_UP ? crew.epoch : 0;
    member->load_ns = member->control_ns = member->control_cpu_ns = 0;
    for (uint32_t i = 0; i < PARTS; i++) {
        const struct part *part = &part_kinds[kinds[i]];
        actor->part = part->name;
        uint64_t start = clock_ns(CLOCK_MONOTONIC);
        uint32_t units = crew.without >> kinds[i] & 1 ? 0 : crew.units;
        for (uint32_t unit = 0; unit < units; unit++) {
            part->run(&member->worker, unit);
        }
        member->load_ns += clock_ns(CLOCK_MONOTONIC) - start;
        control_slice(member);
    }
}

static void end_turn(void) {
    if (atomic_fetch_sub_explicit(&crew.working, 1, memory_order_acq_rel) == 1) {
        own_wake(&crew.working);
    }
}

static void *member_main(void *argument) {
    struct member *member = argument;
    base_fill(&member->worker);
    end_turn();
    for (uint32_t turn = 0;; turn++) {
        own_wait_while(&crew.turn, turn);
        if (crew.order == FINISH) {
            break;
        }
        run_epoch(member);
        end_turn();
    }
    member->worker.actor.part = "end";
    base_empty(&member->worker);
    return NULL;
}

/* ---- main thread ---- */

static void wait_for_all(void) {
    uint32_t working;
    while ((working = atomic_load_explicit(&crew.working, memory_order_acquire)) != 0) {
        own_wait_while(&crew.working, working);
    }
}

static void next_turn(enum order order) {
    crew.order = order;
    atomic_store_explicit(&crew.working, crew.threads, memory_order_relaxed);
    atomic_fetch_add_explicit(&crew.turn, 1, memory_order_release);
    own_wake(&crew.turn);
}

void crew_start(uint32_t threads, uint32_t seed, size_t live_bytes, uint32_t without) {
    crew.threads = threads;
    crew.seed = seed;
    crew.without = without;
    crew.members = table_map(threads, sizeof *crew.members);
    control_calibrate(&crew.members[0]);
    for (uint32_t i = 0; i < threads; i++) {
        struct worker *worker = &crew.members[i].worker;
        worker_start(worker, i, seed, live_bytes / threads);
        worker->inbox = table_map(1, sizeof *worker->inbox);
        crew.members[i == 0 ? threads - 1 : i - 1].worker.outbox = worker->inbox;
    }
    atomic_store_explicit(&crew.working, threads, memory_order_relaxed);
    for (uint32_t i = 0; i < threads; i++) {
        struct member *member = &crew.members[i];
        int error = pthread_create(&member->thread, NULL, member_main, member);
        if (error != 0) {
            soak_fail(&member->worker.actor, "a thread could not be created: %s", strerror(error));
        }
    }
    wait_for_all();
}

static uint64_t all_ops(void) {
    uint64_t ops = 0;
    for (uint32_t i = 0; i < crew.threads; i++) {
        ops += crew.members[i].worker.actor.ops;
    }
    return ops;
}

struct crew_epoch crew_run(uint32_t number, uint32_t units) {
    uint64_t ops = all_ops(), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t load_ns = 0, control_ns = 0, control_cpu_ns = 0;
    crew.epoch = number;
    crew.units = units;
    next_turn(RUN);
    wait_for_all();
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    for (uint32_t i = 0; i < crew.threads; i++) {
        load_ns += crew.members[i].load_ns;
        control_ns += crew.members[i].control_ns;
        control_cpu_ns += crew.members[i].control_cpu_ns;
    }
    return (struct crew_epoch){
        .seconds = (double)load_ns * 1e-9 / crew.threads,
        .cpu_seconds = (double)(cpu - control_cpu_ns) * 1e-9,
        .control_ms = (double)control_ns * 1e-6 / crew.threads,
        .ops = all_ops() - ops,
    };
}

void crew_latencies_take(struct latencies *sum) {
    for (uint32_t i = 0; i < crew.threads; i++) {
        struct latencies *own = crew.members[i].worker.actor.latencies;
        for (unsigned bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
            sum->count[bucket] += own->count[bucket];
        }
        sum->timed += own->timed;
        sum->greatest = own->greatest > sum->greatest ? own->greatest : sum->greatest;
        memset(own, 0, sizeof *own);
    }
}

struct crew_checks crew_finish(void) {
    struct crew_checks checks = {0, 0};
    next_turn(FINISH);
    for (uint32_t i = 0; i < crew.threads; i++) {
        pthread_join(crew.members[i].thread, NULL);
        checks.blocks += crew.members[i].worker.actor.blocks_checked;
        checks.bytes_zero += crew.members[i].worker.actor.bytes_zero_checked;
    }
    return checks;
}
