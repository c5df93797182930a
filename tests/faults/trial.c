/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include <hakmem/hakmem.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"
#include "child.h"
#include "held.h"
#include "memory.h"
#include "workload.h"

enum { HANG_SECONDS = 600, DIAGNOSES_MAX = 10, OUT_FROM_CALL = 20 };

static const struct world worlds[] = {
    {"wide", 0, FAULTS_LARGE_MIB *(size_t)MEMORY_MIB},
    {"narrow", (size_t)768 * MEMORY_MIB, (size_t)4 * MEMORY_MIB},
};
enum { WORLD_COUNT = sizeof worlds / sizeof *worlds };

static int plan_fd;
static struct calls_plan *plan;

const struct world *trial_world(const char *name)
{
    for (int i = 0; i < WORLD_COUNT; i++) {
        if (strcmp(worlds[i].name, name) == 0) {
            return &worlds[i];
        }
    }
    return NULL;
}

/* ---- the process under test ---- */

int trial_work(const char *work, const struct world *world)
{
    struct calls_plan *given = calls_plan();
    if (strcmp(work, "contend") == 0) {
        workload_contend();
    } else {
        workload_run(world->large_bytes);
    }
    CHECK(hak_check());
    given->closed = true;
    given->requests_refused = held_refused;
    given->others_failed = held_failed;
    held_strict = true;
    workload_run(world->large_bytes);
    CHECK(hak_check());
    CHECK(calls_taken_is_clean());
    given->resident_bytes = memory_rss_bytes();
    return 0;
}

/* ---- the parent ---- */

struct calls_plan *trial_share_plan(void)
{
    plan_fd = memfd_create("plan", 0);
    CHECK(plan_fd >= 0 && ftruncate(plan_fd, sizeof *plan) == 0);
    plan = calls_map_plan(plan_fd);
    CHECK(plan != NULL);
    return plan;
}

static void prepare(void *context)
{
    const struct world *world = context;
    const struct rlimit limit = {world->address_limit_bytes, world->address_limit_bytes};
    const struct rlimit no_core = {0, 0};
    CHECK(dup2(plan_fd, CALLS_FD) == CALLS_FD);
    CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
    CHECK(limit.rlim_cur == 0 || setrlimit(RLIMIT_AS, &limit) == 0);
    alarm(HANG_SECONDS);
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)) != NULL; text++) {
        n++;
    }
    return n;
}

/* One whole line for the first NULL; more only where refusals and successes alternate, and fewer
 * where the line itself could not be written. */
static bool diagnosis_is_right(const struct trial *t, const char *text)
{
    unsigned lines = count(text, "\n");
    bool whole = count(text, "hakmem: out of memory (ENOMEM): ") == lines &&
                 count(text, ", large blocks ") == lines;
    bool once = t->rule.first == t->rule.last && !t->out_of_memory;
    bool lossy = t->rule.call == CALL_WRITE && t->rule.error != EINTR &&
                 t->rule.error != ERROR_SHORT_WRITE;
    return whole && lines <= (once ? 1 : DIAGNOSES_MAX) &&
           (lossy || (lines != 0) == (plan->requests_refused != 0));
}

static void report(const struct trial *t, const char *what, const char *text)
{
    printf("BAD (%s): faults trial %s %s %d %d %u %u%s\n%s", what, t->world->name,
           calls_name(t->rule.call), t->rule.error, (int)t->rule.effect, t->rule.first,
           t->rule.last, t->out_of_memory ? " out" : "", text);
}

bool trial_is_good(const struct trial *t)
{
    static struct child_result result;
    const char *const argv[] = {"faults", t->work, t->world->name, NULL};
    memset(plan, 0, sizeof *plan);
    plan->rules[0] = t->rule;
    plan->rules[1] = (struct calls_rule){t->out_of_memory ? CALL_MPROTECT : CALL_NONE, ENOMEM,
                                         EFFECT_NOTHING, OUT_FROM_CALL, UINT_MAX};
    child_run_self(argv, prepare, (void *)(uintptr_t)t->world, &result);
    bool seen = plan->requests_refused + plan->others_failed != 0;
    const char *bad = !child_status_is_good(result.status, 0)       ? "its end"
                      : !diagnosis_is_right(t, result.err)          ? "its diagnosis"
                      : t->must_be_unseen && seen                   ? "the program noticed"
                      : plan->resident_bytes > t->resident_most     ? "its resident size"
                                                                    : NULL;
    if (bad != NULL) {
        report(t, bad, result.err);
    }
    return bad == NULL;
}
