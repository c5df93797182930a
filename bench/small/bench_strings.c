/* SPDX-License-Identifier: MIT */
/*
 * Scripts, templates, log lines: ALIVE strings are kept; each of the CYCLES frees a random one
 * and builds a new one of MIN..MAX characters by appending pieces of 8 to 15. The buffer starts
 * with 16 bytes, doubles when it is full, and is cut to the string's length at the end.
 * Ops: per string one malloc, one realloc for each doubling and one for the cut, one free.
 */
#include "bench.h"

enum { ROOM_AT_FIRST = 16, PIECE_MIN = 8 };

static const char source[] = "the quick brown fox jumps over the lazy dog";

struct string {
    char *text;
    uint32_t length;
};

struct strings {
    struct string *alive;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t count, cycles;
    uint64_t ops;
};

/* A piece never needs more than one doubling: it is shorter than the smallest buffer. */
static struct string build(struct strings *strings, uint64_t random) {
    const size_t wanted = bench_span_size(strings->span, random);
    const size_t piece = PIECE_MIN + (random >> 32) % 8;
    size_t room = ROOM_AT_FIRST, length = 0;
    char *text = bench_must(bench_malloc(room));
    while (length < wanted) {
        size_t added = wanted - length < piece ? wanted - length : piece;
        if (length + added + 1 > room) {
            room *= 2;
            text = bench_must(bench_realloc(text, room));
            strings->ops++;
        }
        memcpy(text + length, source, added);
        length += added;
    }
    text[length] = '\0';
    text = bench_must(bench_realloc(text, length + 1));
    strings->ops += 2;
    return (struct string){text, (uint32_t)length};
}

static void drop(struct strings *strings, struct string string) {
    if (string.text[0] != source[0] || string.text[string.length] != '\0') {
        bench_die("a string has lost its content");
    }
    bench_free(string.text);
    strings->ops++;
}

static void run_cycles(struct strings *strings, uint32_t cycles) {
    strings->ops = 0;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&strings->rng);
        struct string *slot = &strings->alive[bench_slot(strings->count, random)];
        drop(strings, *slot);
        *slot = build(strings, random);
    }
}

static void warm_up(void *state) {
    struct strings *strings = state;
    for (uint32_t i = 0; i < strings->count; i++) {
        strings->alive[i] = build(strings, bench_rng_next(&strings->rng));
    }
    run_cycles(strings, strings->count);
}

static void work(void *state) {
    struct strings *strings = state;
    run_cycles(strings, strings->cycles);
}

static void clean_up(void *state) {
    struct strings *strings = state;
    uint64_t ops = strings->ops;
    for (uint32_t i = 0; i < strings->count; i++) {
        drop(strings, strings->alive[i]);
    }
    strings->ops = ops; /* only those of the timed part */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_strings CYCLES [ALIVE MIN MAX SEED] (default 20000 16 400 1)"};
    struct strings strings = {0};
    strings.cycles = bench_arg(&args, 1);
    strings.count = bench_arg_or(&args, 1, 20000);
    strings.span = bench_arg_span(&args, 16, 400);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    strings.rng = bench_rng_seed(seed, 0);
    strings.alive = bench_table(strings.count, sizeof *strings.alive);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &strings, sizeof strings, 1);
    bench_report("bench_strings", 1, strings.ops, &result,
                 "cycles:%u;alive:%u;min:%u;max:%u;seed:%u", strings.cycles, strings.count,
                 strings.span.min, strings.span.max, seed);
    return 0;
}
