/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>

enum {
    SECONDS_MAX = 10000000, THREADS_MAX = 64, EPOCH_MAX = 3600, LIVE_MAX = 65536,
    EPOCHS_MAX = 100000, EPOCH_USUAL = 10, EPOCHS_USUAL_MIN = 12
};

static const char usage[] =
    "usage: soak [--seconds N] [--threads N] [--seed N] [--epoch SECONDS] [--live MIB]\n"
    "            [--csv FILE] [--no-count] [--without PART]...\n"
    "Runs a mixed load with checks on the malloc of the process and reports each epoch.\n"
    "  --seconds N      how long (3600)\n"
    "  --threads N      load threads (2)\n"
    "  --seed N         of all choices (1)\n"
    "  --epoch SECONDS  about how long an epoch takes (10; in short runs a twelfth, at least 1)\n"
    "  --live MIB       blocks that are always live (64)\n"
    "  --csv FILE       the epochs' figures as CSV too\n"
    "  --no-count       do not count system calls; counting slows down those about memory\n"
    "  --without PART   leave a part out: steady, ramp, growth, large, hand-over, churn, calloc,\n"
    "                   aligned; an allocator may be known to fail in one\n";

__attribute__((format(printf, 1, 2))) _Noreturn static void refuse(const char *format, ...) {
    va_list list;
    fputs("soak: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

static uint32_t number(const char *option, const char *text, uint32_t min, uint32_t max) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || errno != 0 || value < min || value > max) {
        refuse("--%s '%s' is not a number from %u to %u", option, text, min, max);
    }
    return (uint32_t)value;
}

static uint32_t part_bit(const char *name) {
    char names[128] = "";
    for (uint32_t kind = 0; kind < PART_KINDS; kind++) {
        if (strcmp(name, part_kinds[kind].name) == 0) {
            return 1u << kind;
        }
        strcat(strcat(names, kind == 0 ? "" : ", "), part_kinds[kind].name);
    }
    refuse("--without '%s' is no part; parts are %s", name, names);
}

/* Short runs get shorter epochs, for else there would be nothing to take a mean of. */
static uint32_t usual_epoch(uint32_t seconds) {
    uint32_t part = seconds / EPOCHS_USUAL_MIN;
    return part < 1 ? 1 : part < EPOCH_USUAL ? part : EPOCH_USUAL;
}

static void check_together(struct options *options) {
    if (options->epoch_seconds == 0) {
        options->epoch_seconds = usual_epoch(options->seconds);
    }
    if (options->epoch_seconds > options->seconds) {
        refuse("--epoch %u is longer than the whole run of --seconds %u; it may be 1 to %u",
               options->epoch_seconds, options->seconds, options->seconds);
    }
    if (options->seconds / options->epoch_seconds > EPOCHS_MAX) {
        refuse("--seconds %u with --epoch %u makes more than %d epochs; --epoch must be %u or more",
               options->seconds, options->epoch_seconds, EPOCHS_MAX,
               (options->seconds + EPOCHS_MAX - 1) / EPOCHS_MAX);
    }
    if (options->without == (1u << PART_KINDS) - 1) {
        refuse("--without leaves out all %d parts; one must remain", PART_KINDS);
    }
    if (options->csv != NULL && !report_open_csv(options->csv)) {
        refuse("--csv '%s' cannot be written: %s", options->csv, strerror(errno));
    }
}

_Noreturn static void refuse_option(const char *argument, int option) {
    static const char valid[] = "--seconds, --threads, --seed, --epoch, --live, --csv, --no-count, "
                                "--without";
    if (option == ':') {
        refuse("%s needs a value", argument);
    }
    refuse("'%s' is no option; valid are %s", argument, valid);
}

struct options options_read(int count, char **arguments) {
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'}, {"threads", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 'r'},    {"epoch", required_argument, NULL, 'e'},
        {"live", required_argument, NULL, 'l'},    {"csv", required_argument, NULL, 'c'},
        {"no-count", no_argument, NULL, 'n'},      {"without", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {
        .seconds = 3600, .threads = 2, .seed = 1, .live_mib = 64, .count = true};
    for (;;) {
        int at = optind, option = getopt_long(count, arguments, "+:", known, NULL);
        if (option == -1) {
            break;
        }
        switch (option) {
        case 's': options.seconds = number("seconds", optarg, 1, SECONDS_MAX); break;
        case 't': options.threads = number("threads", optarg, 1, THREADS_MAX); break;
        case 'r': options.seed = number("seed", optarg, 0, UINT32_MAX); break;
        case 'e': options.epoch_seconds = number("epoch", optarg, 1, EPOCH_MAX); break;
        case 'l': options.live_mib = number("live", optarg, 1, LIVE_MAX); break;
        case 'c': options.csv = optarg; break;
        case 'n': options.count = false; break;
        case 'w': options.without |= part_bit(optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: refuse_option(arguments[at], option);
        }
    }
    if (optind != count) {
        refuse_option(arguments[optind], '?');
    }
    check_together(&options);
    return options;
}
