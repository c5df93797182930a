/* SPDX-License-Identifier: MIT */
/*
 * Databases, symbol tables, caches: a hash table with chained nodes of 24 to 144 bytes; the key
 * decides the size. Each of the CYCLES looks up a random one of KEYS keys. One look-up in four
 * only reads; the others delete the node, or insert it where it was missing, so that about half
 * of the keys are present. Ops: the inserts (malloc) and deletes (free).
 */
#include "bench.h"

struct node {
    struct node *next;
    uint32_t key, value_bytes;
    unsigned char value[];
};

struct table {
    struct node **buckets;
    struct bench_rng rng;
    uint32_t bucket_count, keys, cycles;
    uint64_t ops;
};

/* Multiplicative hashing (Knuth); its high bits choose the bucket, the low ones the size. */
static uint32_t hash(uint32_t key) {
    return key * 2654435769u;
}

static struct node **find(const struct table *table, uint32_t key) {
    struct node **link = &table->buckets[bench_pick(hash(key), table->bucket_count)];
    while (*link != NULL && (*link)->key != key) {
        link = &(*link)->next;
    }
    return link;
}

static void insert(struct node **link, uint32_t key) {
    uint32_t value_bytes = 8 + 8 * (hash(key) % 16);
    struct node *node = bench_must(bench_malloc(sizeof *node + value_bytes));
    node->next = NULL;
    node->key = key;
    node->value_bytes = value_bytes;
    node->value[value_bytes - 1] = (unsigned char)key;
    *link = node;
}

static void check(const struct node *node) {
    if (node->value[node->value_bytes - 1] != (unsigned char)node->key) {
        bench_die("a node has lost its value");
    }
}

static void drop(struct node **link) {
    struct node *node = *link;
    check(node);
    *link = node->next;
    bench_free(node);
}

static void run_cycles(struct table *table, uint32_t cycles) {
    table->ops = 0;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&table->rng);
        uint32_t key = (uint32_t)bench_slot(table->keys, random);
        struct node **link = find(table, key);
        bool only_read = random % 4 == 0;
        if (only_read && *link != NULL) {
            check(*link);
        } else if (!only_read && *link != NULL) {
            drop(link);
            table->ops++;
        } else if (!only_read) {
            insert(link, key);
            table->ops++;
        }
    }
}

static void warm_up(void *state) {
    struct table *table = state;
    for (uint32_t key = 0; key < table->keys; key++) {
        if (bench_rng_next(&table->rng) >> 63 != 0) {
            insert(find(table, key), key);
        }
    }
    run_cycles(table, table->keys);
}

static void work(void *state) {
    struct table *table = state;
    run_cycles(table, table->cycles);
}

static void clean_up(void *state) {
    const struct table *table = state;
    for (uint32_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i] != NULL) {
            drop(&table->buckets[i]);
        }
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_hash CYCLES [KEYS SEED] (default 20000 1)"};
    struct table table = {0};
    table.cycles = bench_arg(&args, 1);
    table.keys = bench_arg_or(&args, 1, 20000);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    table.rng = bench_rng_seed(seed, 0);
    table.bucket_count = table.keys / 2 + 1;
    table.buckets = bench_table(table.bucket_count, sizeof(struct node *));

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &table, sizeof table, 1);
    bench_report("bench_hash", 1, table.ops, &result, "cycles:%u;keys:%u;seed:%u", table.cycles,
                 table.keys, seed);
    return 0;
}
