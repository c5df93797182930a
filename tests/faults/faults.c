/* SPDX-License-Identifier: MIT */
/*
 * Goal: whichever call to the system is refused, and with whichever errno, the allocator goes on: no
 * crash, no byte lost, NULL and ENOMEM at the edge and nowhere else, at most one line of diagnosis,
 * and everything works again afterwards. A single refusal is never seen by the program at all.
 *
 * Method: a fixed piece of work (workload.h) makes so many calls of each kind (calls.h). It is done
 * again in a fresh process (trial.h) for the first call, the second and so on, letting that call
 * fail, or it and the next one, or all from there on; with each errno, and also when part of the
 * call's work was done. Then the work is done once more without refusals: now nothing may be NULL,
 * and hak_check() has to agree.
 *
 *   faults CALL WORLD [--thorough]   all trials of one call ("memory": any of the memory calls)
 *   faults trial WORLD CALL ERRNO EFFECT FIRST LAST [out]   one trial, as a failure names it
 * Worlds: "wide", and "narrow" with a limited address space, where the heap grows piece by piece.
 * With --thorough each call is refused with each errno. Without, each is refused with its first one,
 * once and twice, and one in RARELY (of the calls that are made by the hundred: one in SELDOM) with each.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"
#include "trial.h"

enum { ERRORS_MAX = 6, EFFECTS_MAX = 2, RARELY = 8, SELDOM = 24, SLACK_BYTES = 2 * MEMORY_MIB };

struct kind {
    enum call call;
    int errors[ERRORS_MAX];           /* the most plausible first; 0 ends */
    enum effect effects[EFFECTS_MAX]; /* besides EFFECT_NOTHING; that ends */
    unsigned flags;
};

enum {
    FREQUENT = 1, /* not each n without --thorough */
    LEAVES = 2,   /* memory may stay with threads that are gone */
    OUT = 4,      /* made only when memory is out */
    CONTENDED = 8 /* made only when threads wait for each other, so often as it happens */
};

static const struct kind kinds[] = {
    {CALL_MMAP, {ENOMEM, EINVAL, EAGAIN, EPERM, EEXIST, ENOSYS}, {EFFECT_UNMAP}, 0},
    {CALL_MUNMAP, {ENOMEM, EINVAL}, {0}, 0},
    {CALL_MPROTECT, {ENOMEM, EACCES, EINVAL, EPERM}, {EFFECT_HALF}, 0},
    {CALL_MADVISE, {EAGAIN, EINVAL, ENOMEM}, {EFFECT_HALF}, FREQUENT},
    {CALL_MREMAP, {ENOMEM, EINVAL, EAGAIN, EFAULT, EPERM, ENOSYS}, {EFFECT_UNMAP, EFFECT_TAKE}, 0},
    {CALL_GETRLIMIT, {EPERM, ENOSYS}, {0}, 0},
    {CALL_CLOCK, {EINVAL, ENOSYS}, {0}, FREQUENT},
    {CALL_KEY, {EAGAIN, ENOMEM}, {0}, LEAVES},
    {CALL_SPECIFIC, {ENOMEM, EINVAL}, {0}, LEAVES},
    {CALL_ATFORK, {ENOMEM}, {0}, 0},
    {CALL_OPEN, {EMFILE, ENOENT, EACCES, ENOSYS}, {0}, OUT},
    {CALL_READ, {EIO, EINTR, EAGAIN}, {0}, OUT},
    {CALL_WRITE, {EINTR, ERROR_SHORT_WRITE, EAGAIN, EPIPE, EBADF}, {0}, OUT},
    {CALL_FUTEX, {EINTR, EAGAIN, ENOSYS, EINVAL}, {0}, CONTENDED},
    {CALL_MEMORY, {ENOMEM, EPERM}, {0}, FREQUENT},
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

enum pattern { PATTERN_ONCE, PATTERN_TWICE, PATTERN_FROM, PATTERN_COUNT };

struct campaign {
    const struct world *world;
    const struct kind *kind;
    bool thorough;
    size_t resident_most;
    unsigned trials, refused, seen, bad;
};

static struct calls_plan *plan;

static bool run_trial(struct campaign *c, struct calls_rule rule)
{
    unsigned flags = c->kind->flags;
    struct trial trial = {
        .world = c->world,
        .work = flags & CONTENDED ? "contend" : "work",
        .rule = rule,
        .out_of_memory = flags & OUT,
        .must_be_unseen = rule.first == rule.last && !(flags & OUT),
        .resident_most = flags & LEAVES ? SIZE_MAX : c->resident_most,
    };
    bool good = trial_is_good(&trial);
    c->trials++;
    c->refused += plan->refused;
    c->seen += plan->requests_refused + plan->others_failed;
    c->bad += !good;
    return good;
}

/* Call number n; that and the next, which is often a second try; all from there on. Signals do not
 * interrupt a call for ever. */
static uint32_t last_of(enum pattern pattern, const struct calls_rule *rule)
{
    uint32_t n = rule->first;
    bool ends = rule->error == EINTR && rule->call == CALL_WRITE;
    return pattern == PATTERN_ONCE ? n : pattern == PATTERN_TWICE || ends ? n + 1 : UINT_MAX;
}

/* The patterns before `end`; all kinds of memory calls together are refused from there on at least. */
static void run_patterns(struct campaign *c, struct calls_rule rule, enum pattern end)
{
    bool last_only = c->kind->call == CALL_MEMORY && end != PATTERN_COUNT;
    enum pattern p = last_only ? PATTERN_FROM : PATTERN_ONCE;
    do {
        rule.last = last_of(p, &rule);
        run_trial(c, rule);
    } while (++p < end);
}

/* The first errno and what may have happened by then for each n, or each n that is looked at, the second
 * try failing too; the other errnos where `each` is true; all that in all patterns where `all` is. */
static void run_number(struct campaign *c, uint32_t n)
{
    const struct kind *kind = c->kind;
    struct calls_rule rule = {kind->call, kind->errors[0], EFFECT_NOTHING, n, n};
    bool frequent = kind->flags & FREQUENT;
    bool each = c->thorough || n % (frequent ? SELDOM : RARELY) == 1;
    bool all = c->thorough && (!frequent || n % RARELY == 1);
    if (frequent && !each) {
        return;
    }
    run_patterns(c, rule, each ? PATTERN_COUNT : PATTERN_FROM);
    for (int k = 0; k < EFFECTS_MAX && kind->effects[k] != 0; k++) {
        rule.effect = kind->effects[k];
        bool loses = rule.effect >= EFFECT_UNMAP;
        run_patterns(c, rule, all ? PATTERN_COUNT : loses ? PATTERN_FROM : PATTERN_TWICE);
    }
    rule.effect = EFFECT_NOTHING;
    all = all || kind->flags & CONTENDED;
    for (int i = 1; i < ERRORS_MAX && kind->errors[i] != 0 && each; i++) {
        rule.error = kind->errors[i];
        run_patterns(c, rule, all ? PATTERN_COUNT : PATTERN_TWICE);
    }
}

static int run_kind(struct campaign *c)
{
    const struct calls_rule no_rule = {.call = CALL_NONE, .first = 1};
    enum call call = c->kind->call;
    c->resident_most = SIZE_MAX;
    CHECK(run_trial(c, no_rule));
    unsigned count = c->kind->flags & CONTENDED ? 1 : plan->counts[call];
    c->resident_most = plan->resident_bytes + SLACK_BYTES;
    for (uint32_t n = 1; n <= count; n++) {
        run_number(c, n);
    }
    printf("faults: %s, %s: %u calls, %u trials, %u refusals of which the program saw %u, %u bad\n",
           calls_name(call), c->world->name, count, c->trials, c->refused, c->seen, c->bad);
    return c->bad == 0 && count != 0 ? 0 : 1;
}

/* ---- the command ---- */

static const struct kind *find_kind(const char *name)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strcmp(calls_name(kinds[i].call), name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* argv: CALL ERRNO EFFECT FIRST LAST [out] */
static int run_by_hand(const struct world *world, char **argv)
{
    struct trial trial = {
        .world = world,
        .work = calls_find(argv[0]) == CALL_FUTEX ? "contend" : "work",
        .rule = {calls_find(argv[0]), atoi(argv[1]), (enum effect)atoi(argv[2]),
                 (uint32_t)strtoul(argv[3], NULL, 10), (uint32_t)strtoul(argv[4], NULL, 10)},
        .out_of_memory = argv[5] != NULL,
        .resident_most = SIZE_MAX,
    };
    bool good = trial_is_good(&trial);
    for (int i = 0; i < CALL_COUNT; i++) {
        printf("%s %u, ", calls_name((enum call)i), plan->counts[i]);
    }
    printf("refused %u; the program saw %u requests and %u others refused\n", plan->refused,
           plan->requests_refused, plan->others_failed);
    return good ? 0 : 1;
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: faults CALL wide|narrow [--thorough]\n"
                    "       faults trial wide|narrow CALL ERRNO EFFECT FIRST LAST [out]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    const struct world *world = argc > 2 ? trial_world(argv[2]) : NULL;
    allocator_expect();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (world != NULL && (strcmp(argv[1], "work") == 0 || strcmp(argv[1], "contend") == 0)) {
        return trial_work(argv[1], world);
    }
    plan = trial_share_plan();
    if (world != NULL && argc >= 8 && strcmp(argv[1], "trial") == 0) {
        return run_by_hand(world, argv + 3);
    }
    const struct kind *kind = world != NULL ? find_kind(argv[1]) : NULL;
    if (kind == NULL) {
        usage();
    }
    struct campaign campaign = {world, kind, argc > 3, 0, 0, 0, 0, 0};
    return run_kind(&campaign);
}
