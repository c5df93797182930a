/* SPDX-License-Identifier: MIT */
/*
 * Compilers and interpreters: balanced binary trees with LEAVES leaves and nodes of 32 to 64
 * bytes. Each of the CYCLES builds a tree while the one before is still there, evaluates the new
 * tree, and tears the old one down, as a pass does that turns one syntax tree into another. All
 * trees have the same shape: with random ones, mispredicted branches would hide the allocator.
 * Ops: one malloc and one free per node, 2 LEAVES - 1 nodes per tree.
 */
#include "bench.h"

struct node {
    struct node *left, *right; /* both NULL in a leaf */
    uint64_t sum;              /* of the leaves below, or the leaf's own value */
    uint64_t attributes[];
};

struct forest {
    struct node *tree;
    struct bench_rng rng;
    uint32_t leaves, cycles;
};

static struct node *build(struct bench_rng *rng, uint32_t leaves) {
    uint64_t random = bench_rng_next(rng);
    size_t attributes = 1 + bench_pick((uint32_t)random, 5);
    struct node *node = bench_must(bench_malloc(sizeof *node + 8 * attributes));
    node->attributes[attributes - 1] = random;
    if (leaves == 1) {
        node->left = node->right = NULL;
        node->sum = random;
    } else {
        node->left = build(rng, leaves / 2);
        node->right = build(rng, leaves - leaves / 2);
        node->sum = node->left->sum + node->right->sum;
    }
    return node;
}

static uint64_t evaluate(const struct node *node) {
    return node->left == NULL ? node->sum : evaluate(node->left) + evaluate(node->right);
}

static void tear_down(struct node *node) {
    if (node->left != NULL) {
        tear_down(node->left);
        tear_down(node->right);
    }
    bench_free(node);
}

static void run_cycles(struct forest *forest, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        struct node *tree = build(&forest->rng, forest->leaves);
        if (evaluate(tree) != tree->sum) {
            bench_die("a tree has changed its leaves");
        }
        tear_down(forest->tree);
        forest->tree = tree;
    }
}

static void warm_up(void *state) {
    struct forest *forest = state;
    forest->tree = build(&forest->rng, forest->leaves);
    run_cycles(forest, forest->cycles / 20 + 1);
}

static void work(void *state) {
    struct forest *forest = state;
    run_cycles(forest, forest->cycles);
}

static void clean_up(void *state) {
    struct forest *forest = state;
    tear_down(forest->tree);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_tree CYCLES [LEAVES SEED] (default 5000 1)"};
    struct forest forest = {0};
    forest.cycles = bench_arg(&args, 1);
    forest.leaves = bench_arg_or(&args, 1, 5000);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    forest.rng = bench_rng_seed(seed, 0);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &forest, sizeof forest, 1);
    uint64_t nodes = 2ull * forest.leaves - 1;
    bench_report("bench_tree", 1, 2 * nodes * forest.cycles, &result,
                 "cycles:%u;leaves:%u;seed:%u", forest.cycles, forest.leaves, seed);
    return 0;
}
