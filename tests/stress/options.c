/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "api.h"
#include "support.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define LIVE_MIB_MAX (1U << 20)
#define SECONDS_MAX 1000000

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: stress [--seconds N] [--threads N] [--seed S] [--max-live-mib M]\n"
            "              [--profile %s]\n"
            "              [--may-fail] [--strict]\n",
            profile_names);
    exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || *text == '-' || value < min || value > max) {
        fprintf(stderr, "stress: bad number '%s' (%llu..%llu)\n", text, (unsigned long long)min,
                (unsigned long long)max);
        usage();
    }
    return value;
}

static const struct profile *profile(const char *name)
{
    const struct profile *found = profile_find(name);
    if (found == NULL) {
        fprintf(stderr, "stress: unknown profile '%s'\n", name);
        usage();
    }
    return found;
}

static uint64_t any_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return mix64((uint64_t)now.tv_sec * 1000000007U + (uint64_t)now.tv_nsec +
                 (uint64_t)getpid()) & 0xffffffff;
}

struct options options_read(int count, char **arguments)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 'r'},
        {"max-live-mib", required_argument, NULL, 'm'},
        {"profile", required_argument, NULL, 'p'},
        {"may-fail", no_argument, NULL, 'f'},
        {"strict", no_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.seconds = 5, .threads = 4, .seed = any_seed(),
                              .live_bytes_max = 256 * MIB, .profile = profile("mixed"),
                              .strict = API_IS_HAK};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 's': options.seconds = (unsigned)number(optarg, 0, SECONDS_MAX); break;
        case 't': options.threads = (unsigned)number(optarg, 1, THREADS_MAX); break;
        case 'r': options.seed = number(optarg, 0, UINT64_MAX); break;
        case 'm': options.live_bytes_max = number(optarg, 1, LIVE_MIB_MAX) * MIB; break;
        case 'p': options.profile = profile(optarg); break;
        case 'f': options.may_fail = true; break;
        case 'x': options.strict = true; break;
        default: usage();
        }
    }
    if (optind != count)
        usage();
    return options;
}
