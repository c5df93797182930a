/* SPDX-License-Identifier: MIT */
/*
 * Growing arrays side by side (std::vector, Rust's Vec, lists of interpreters): in each of the
 * CYCLES, VECTORS empty vectors of 8-byte items grow, a random one by 1 to 32 items at a time,
 * until they hold LENGTH items on average; then all are read and freed. A few vectors are chosen
 * often and grow long. Every other one grows by half, the rest double, as if pushing one item
 * after the other. Ops: the reallocs and, per cycle, VECTORS frees.
 */
#include "bench.h"

enum { ROOM_AT_FIRST = 4 };

struct vector {
    uint64_t *items;
    size_t length, room;
};

struct crowd {
    struct vector *vectors;
    struct bench_rng rng;
    uint32_t count, length, cycles;
    uint64_t ops;
};

/* A pick of a pick: the first vectors are chosen far more often than the last ones. */
static size_t choose(const struct crowd *crowd, uint64_t random) {
    size_t end = 1 + bench_slot(crowd->count, random);
    return bench_pick((uint32_t)random, end);
}

static size_t grown(size_t room, bool doubles) {
    if (room < ROOM_AT_FIRST) {
        return ROOM_AT_FIRST;
    }
    return doubles ? 2 * room : room + room / 2;
}

static void make_room(struct crowd *crowd, size_t index, size_t needed) {
    struct vector *vector = &crowd->vectors[index];
    while (vector->room < needed) {
        vector->room = grown(vector->room, index % 2 == 0);
        vector->items = bench_must(
            bench_realloc(vector->items, vector->room * sizeof *vector->items));
        crowd->ops++;
    }
}

/* Item i of vector v is v + i. */
static void push_back(struct crowd *crowd, size_t index, size_t count) {
    struct vector *vector = &crowd->vectors[index];
    size_t end = vector->length + count;
    make_room(crowd, index, end);
    for (size_t i = vector->length; i < end; i++) {
        vector->items[i] = index + i;
    }
    vector->length = end;
}

static void check(const struct vector *vector, size_t index) {
    uint64_t difference = 0;
    for (size_t i = 0; i < vector->length; i++) {
        difference |= vector->items[i] ^ (index + i);
    }
    if (difference != 0) {
        bench_die("a vector has lost an item");
    }
}

static void one_cycle(struct crowd *crowd) {
    const uint64_t items = (uint64_t)crowd->count * crowd->length;
    for (uint64_t pushed = 0; pushed < items;) {
        uint64_t random = bench_rng_next(&crowd->rng);
        size_t index = choose(crowd, random);
        size_t run = 1 + random % 32;
        push_back(crowd, index, run);
        pushed += run;
    }
    for (uint32_t i = 0; i < crowd->count; i++) {
        check(&crowd->vectors[i], i);
        bench_free(crowd->vectors[i].items);
        crowd->vectors[i] = (struct vector){0};
    }
}

static void run_cycles(struct crowd *crowd, uint32_t cycles) {
    crowd->ops = (uint64_t)crowd->count * cycles; /* the frees */
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        one_cycle(crowd);
    }
}

static void warm_up(void *state) {
    struct crowd *crowd = state;
    run_cycles(crowd, crowd->cycles / 20 + 1);
}

static void work(void *state) {
    struct crowd *crowd = state;
    run_cycles(crowd, crowd->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees its vectors */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_vector CYCLES [VECTORS LENGTH SEED] (default 1000 512 1)"};
    struct crowd crowd = {0};
    crowd.cycles = bench_arg(&args, 1);
    crowd.count = bench_arg_or(&args, 1, 1000);
    crowd.length = bench_arg_or(&args, 1, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    crowd.rng = bench_rng_seed(seed, 0);
    crowd.vectors = bench_table(crowd.count, sizeof *crowd.vectors);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &crowd, sizeof crowd, 1);
    bench_report("bench_vector", 1, crowd.ops, &result, "cycles:%u;vectors:%u;length:%u;seed:%u",
                 crowd.cycles, crowd.count, crowd.length, seed);
    return 0;
}
