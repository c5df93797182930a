/* SPDX-License-Identifier: MIT */
/*
 * Parsing messages (JSON, XML, RPC): each of the CYCLES receives a message into a fresh buffer
 * of 16 to 64 KiB, makes NODES nodes of MIN..MAX bytes from it, and frees all of them in a mixed
 * order, the buffer in the middle. A large block thus comes and goes between small ones.
 * Ops: per message NODES + 1 mallocs and as many frees.
 */
#include "tagged.h"

static const struct bench_span buffer_span = {16 << 10, 64 << 10};

struct parser {
    unsigned char **nodes;
    uint32_t *order; /* a permutation of 0 .. node_count-1 */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t node_count, cycles;
};

/* A message is a token, 4 random bytes, for each node, at equal distances. */
static unsigned char *receive(struct parser *parser, size_t stride, size_t size) {
    unsigned char *buffer = bench_must(bench_malloc(size));
    memset(buffer, (int)stride, size);
    for (uint32_t i = 0; i < parser->node_count; i++) {
        uint32_t token = (uint32_t)bench_rng_next(&parser->rng);
        memcpy(buffer + i * stride, &token, sizeof token);
    }
    return buffer;
}

/* Returns the bytes in all nodes. */
static size_t parse(struct parser *parser, const unsigned char *buffer, size_t stride) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < parser->node_count; i++) {
        uint32_t token;
        memcpy(&token, buffer + i * stride, sizeof token);
        size_t size = bench_span_size(parser->span, token);
        parser->nodes[i] = tagged_new(size);
        bytes += size;
    }
    return bytes;
}

static void handle_message(struct parser *parser) {
    size_t size = bench_span_size(buffer_span, bench_rng_next(&parser->rng));
    size_t stride = size / parser->node_count;
    unsigned char *buffer = receive(parser, stride, size);
    size_t bytes = parse(parser, buffer, stride);
    for (uint32_t i = 0; i < parser->node_count; i++) {
        if (i == parser->node_count / 2) {
            bench_free(buffer);
        }
        unsigned char *node = parser->nodes[parser->order[i]];
        bytes -= tagged_size(node);
        bench_free(node);
    }
    if (bytes != 0) {
        bench_die("a message's nodes have changed their sizes");
    }
}

static void warm_up(void *state) {
    struct parser *parser = state;
    for (uint32_t cycle = 0; cycle < parser->cycles / 20 + 1; cycle++) {
        handle_message(parser);
    }
}

static void work(void *state) {
    struct parser *parser = state;
    for (uint32_t cycle = 0; cycle < parser->cycles; cycle++) {
        handle_message(parser);
    }
}

static void clean_up(void *state) {
    (void)state; /* every message is freed at its end */
}

/* Fisher-Yates shuffle. */
static void shuffle(struct parser *parser) {
    for (uint32_t i = 0; i < parser->node_count; i++) {
        size_t other = bench_slot(i + 1, bench_rng_next(&parser->rng));
        parser->order[i] = parser->order[other];
        parser->order[other] = i;
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_message CYCLES [NODES MIN MAX SEED] "
                                        "(NODES <= 4096, MIN >= 8) (default 300 16 128 1)"};
    struct parser parser = {0};
    parser.cycles = bench_arg(&args, 1);
    parser.node_count = bench_arg_or(&args, 1, 300);
    parser.span = tagged_arg_span(&args, 16, 128);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (parser.node_count > buffer_span.min / sizeof(uint32_t)) {
        bench_usage(&args);
    }
    parser.rng = bench_rng_seed(seed, 0);
    parser.nodes = bench_table(parser.node_count, sizeof *parser.nodes);
    parser.order = bench_table(parser.node_count, sizeof *parser.order);
    shuffle(&parser);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &parser, sizeof parser, 1);
    uint64_t ops = 2 * (parser.node_count + 1ull) * parser.cycles;
    bench_report("bench_message", 1, ops, &result, "cycles:%u;nodes:%u;min:%u;max:%u;seed:%u",
                 parser.cycles, parser.node_count, parser.span.min, parser.span.max, seed);
    return 0;
}
