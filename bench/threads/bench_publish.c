/* SPDX-License-Identifier: MIT */
/*
 * Read-mostly data, as routing tables, configurations and schema caches are: one thread builds
 * a new immutable version of a hash map of NODES nodes of MIN..MAX bytes and publishes it by an
 * atomic pointer, VERSIONS times; the THREADS - 1 others look keys up in the version they hold
 * and change to the current one now and then. Versions are reference-counted: the last thread
 * that lets go of one, mostly a reader, frees all of its nodes at once. The lookups of the
 * readers are not counted; a version costs 2 * (NODES + 1) ops.
 */
#include <stdatomic.h>

#include "bench.h"
#include "wait.h"

enum { BUCKETS = 1024, LOOKUPS = 64 /* between two looks at the current version */ };

struct node {
    struct node *next;
    uint32_t key, version;
    uint32_t size; /* of the value in bytes */
    unsigned char value[];
};

struct version {
    _Atomic uint32_t holders; /* threads, and `current` while it points here */
    uint32_t number;
    struct node *buckets[BUCKETS];
};

/* NULL for the short time in which a thread changes or copies the pointer. */
static _Atomic(struct version *) current;

struct member {
    alignas(BENCH_CACHE_LINE) struct version *held; /* by a reader */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t nodes, versions;
    uint32_t last; /* number of the last version of this phase */
    bool writes;
};

static struct version *build(struct member *member, uint32_t number) {
    struct version *version = bench_must(bench_malloc(sizeof *version));
    *version = (struct version){.holders = 1, .number = number};
    for (uint32_t key = 0; key < member->nodes; key++) {
        size_t size = bench_span_size(member->span, bench_rng_next(&member->rng));
        struct node *node = bench_must(bench_malloc(size));
        struct node **bucket = &version->buckets[key % BUCKETS];
        *node = (struct node){*bucket, key, number, (uint32_t)(size - sizeof *node)};
        memset(node->value, (unsigned char)(key + number), node->size);
        *bucket = node;
    }
    return version;
}

/*
 * acq_rel: release, so that this thread's reads come before the frees of whoever is last;
 * acquire, so that the last one's frees come after the reads of all others.
 */
static void let_go(struct version *version) {
    if (atomic_fetch_sub_explicit(&version->holders, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        for (struct node *node = version->buckets[bucket], *next; node != NULL; node = next) {
            next = node->next;
            bench_free(node);
        }
    }
    bench_free(version);
}

/* Takes the pointer away from all others until set_current. acquire: pairs with that. */
static struct version *take_current(void) {
    struct version *version;
    uint32_t spins = 0;
    while ((version = atomic_exchange_explicit(&current, NULL, memory_order_acquire)) == NULL) {
        bench_wait(&spins);
    }
    return version;
}

/* release: publishes the nodes of a new version, and what was done while the pointer was taken. */
static void set_current(struct version *version) {
    atomic_store_explicit(&current, version, memory_order_release);
}

static struct version *hold_current(void) {
    struct version *version = take_current();
    /* relaxed: cannot be the first or last holder, as `current` still counts as one */
    atomic_fetch_add_explicit(&version->holders, 1, memory_order_relaxed);
    set_current(version);
    return version;
}

static void write_versions(struct member *member, uint32_t from) {
    for (uint32_t number = from; number != member->last + 1; number++) {
        struct version *version = build(member, number);
        struct version *old = take_current();
        set_current(version);
        let_go(old);
    }
}

static void look_up(const struct version *version, uint32_t key) {
    const struct node *node = version->buckets[key % BUCKETS];
    while (node != NULL && node->key != key) {
        node = node->next;
    }
    if (node == NULL || node->version != version->number ||
        node->value[node->size - 1] != (unsigned char)(key + version->number)) {
        bench_die("a node changed while its version was in use");
    }
}

/* Ends with the last version, so that all earlier ones have been freed. */
static void read_versions(struct member *member) {
    while (member->held->number != member->last) {
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            uint32_t random = (uint32_t)bench_rng_next(&member->rng);
            look_up(member->held, (uint32_t)bench_pick(random, member->nodes));
        }
        /* relaxed: only compared; a held version cannot be freed and come back as another */
        if (atomic_load_explicit(&current, memory_order_relaxed) != member->held) {
            struct version *old = member->held;
            member->held = hold_current();
            let_go(old);
        }
    }
}

static void warm_up(void *state) {
    struct member *member = state;
    member->last = member->versions / 20 + 1;
    if (member->writes) {
        set_current(build(member, 0));
        write_versions(member, 1);
    } else {
        member->held = hold_current(); /* waits for the first version */
        read_versions(member);
    }
}

static void work(void *state) {
    struct member *member = state;
    const uint32_t from = member->last + 1;
    member->last += member->versions;
    if (member->writes) {
        write_versions(member, from);
    } else {
        read_versions(member);
    }
}

static void clean_up(void *state) {
    struct member *member = state;
    let_go(member->writes ? take_current() : member->held);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_publish VERSIONS [THREADS NODES MIN MAX SEED] (default "
                              "2 1000 32 128 1; VERSIONS <= 1000000000, THREADS >= 2, MIN >= 32)"};
    uint32_t versions = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 2, 2);
    uint32_t nodes = bench_arg_or(&args, 1, 1000);
    struct bench_span span = bench_arg_span(&args, 32, 128);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (versions > 1000000000 || span.min < 32) {
        bench_usage(&args);
    }

    struct member *members = bench_table(threads, sizeof *members);
    for (uint32_t i = 0; i < threads; i++) {
        members[i] = (struct member){.rng = bench_rng_seed(seed, i), .span = span, .nodes = nodes,
                                     .versions = versions, .writes = i == 0};
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, members, sizeof *members, threads);
    bench_report("bench_publish", threads, 2ull * versions * (nodes + 1ull), &result,
                 "versions:%u;threads:%u;nodes:%u;min:%u;max:%u;seed:%u", versions, threads, nodes,
                 span.min, span.max, seed);
    return 0;
}
