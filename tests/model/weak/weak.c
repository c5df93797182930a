/* SPDX-License-Identifier: MIT */
/*
 * Goal: the allocator's own code keeps its promises on a machine as weak as C11 allows, and each of its
 * orders is needed: with any one of them relaxed, the machine finds a mistake.
 * Method: episodes of a random program (play.c) on the machine (machine.h), each in a child
 * process, from a seed of its own.
 *
 *     weak [--seed N] [--episodes N]              all episodes must pass
 *     weak --relax FUNCTION:OPERATION ...         one of the episodes must fail
 *
 * The first line has the seed (--seed time takes it from the clock); a failing episode is repeated with
 * its own seed and --episodes 1.
 */
#include "weak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "machine.h"
#include "random.h"

enum { BOX_BLOCKS = 32 };

static struct parcel {
    struct block block;
    struct clock knowledge;
} box[BOX_BLOCKS];
static size_t box_count;
static uint64_t box_dice;

bool weak_post(struct block b)
{
    if (box_count == BOX_BLOCKS) {
        return false;
    }
    box[box_count++] = (struct parcel){b, machine_knowledge()};
    return true;
}

struct block weak_fetch(void)
{
    if (box_count == 0) {
        return (struct block){0};
    }
    size_t i = random_below(&box_dice, box_count);
    struct parcel found = box[i];
    box[i] = box[--box_count];
    machine_learn(&found.knowledge);
    return found.block;
}

struct options {
    uint64_t seed;
    unsigned long episodes;
    struct machine_relaxed relaxed;
};

static bool episode_passes(uint64_t seed, struct machine_relaxed relaxed)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child_begin();
        box_dice = seed;
        machine_relax(relaxed);
        machine_start(seed);
        play(seed);
        _exit(0);
    }
    return child_ended_well(pid);
}

static struct machine_relaxed parse_relaxed(char *text)
{
    char *colon = strchr(text, ':');
    CHECK(colon != NULL);
    *colon = '\0';
    return (struct machine_relaxed){text, colon + 1};
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.seed = 1, .episodes = 600};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) {
            bool from_clock = strcmp(argv[i + 1], "time") == 0;
            o.seed = from_clock ? (uint64_t)time(NULL) : strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--episodes") == 0) {
            o.episodes = strtoul(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--relax") == 0) {
            o.relaxed = parse_relaxed(argv[i + 1]);
        } else {
            CHECK(!"known option");
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    printf("--seed %llu --episodes %lu\n", (unsigned long long)o.seed, o.episodes);
    fflush(stdout);
    for (unsigned long i = 0; i < o.episodes; i++) {
        if (!episode_passes(o.seed + i, o.relaxed)) {
            printf("episode %lu fails: --seed %llu --episodes 1\n", i, (unsigned long long)(o.seed + i));
            return o.relaxed.function != NULL ? 0 : 1;
        }
    }
    printf("no episode fails\n");
    return o.relaxed.function != NULL ? 1 : 0;
}
