/* SPDX-License-Identifier: MIT */
/*
 * Goal: no environment confuses the parser of settings: each entry has exactly the effect that the
 * documentation says, and at most one line of warning.
 * Method: an input is an environment, entries with a zero byte between them; the parser, compiled
 * over a table with a setting of every type, is compared with a second one written from the
 * documentation, entry by entry. Last the banner and the help are printed.
 */
#include "run/config.c"

#include <errno.h>
#include <stdlib.h>

#include "fuzz.h"

enum { ENTRIES_MAX = 32, ENTRY_BYTES = 1500, LINE_BYTES_MAX = 1000 };

static char entries[ENTRIES_MAX][ENTRY_BYTES];
static const char *environment[ENTRIES_MAX + 1];
static char line[LINE_BYTES_MAX + 1]; /* the last one written */
static size_t lines;
static uint64_t shown_set; /* a bit for each line: it says that a setting is from the environment */

/* ---- the system, as far as the parser needs it ---- */

const char *const *os_environment(void)
{
    return environment;
}

bool os_is_secure(void)
{
    return false;
}

void os_write_stderr(const char *text, size_t length)
{
    FUZZ_CHECK(length > 8 && length <= LINE_BYTES_MAX, "a line of %zu bytes", length);
    FUZZ_CHECK(memcmp(text, "hakmem: ", 8) == 0 && text[length - 1] == '\n',
               "a line without its ends");
    memcpy(line, text, length);
    line[length] = '\0';
    shown_set |= (uint64_t)(strstr(line, " (environment)\n") != NULL) << lines % 64;
    lines++;
}

_Noreturn void os_abort(void)
{
    fuzz_fail("the parser ended the process");
}

/* ---- what an entry means ---- */

struct state {
    uint64_t value[SETTING_COUNT];
    bool is_set[SETTING_COUNT];
    size_t warnings;
};

static const char *const names[SETTING_COUNT] = {"FLAG",   "NUMBER", "WIDE",   "BYTES",
                                                 "COLOUR", "HELP",   "VERBOSE"};
static const uint64_t defaults[SETTING_COUNT] = {1, 7, 0, 4096, 0, 0, 0};

/* The index of the word, or -1. */
static int which_of(const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* Decimal digits up to the last number that can be written; *end: what follows them. */
static bool read_digits(const char *text, uint64_t *value, const char **end)
{
    size_t digits = strspn(text, "0123456789");
    char *stop;
    errno = 0;
    *value = strtoull(text, &stop, 10);
    *end = text + digits;
    /* 2^64 - 7 and above are refused: their last digit would not fit for sure. */
    return digits != 0 && errno == 0 && *value < UINT64_MAX - 5;
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    const char *end;
    return read_digits(text, value, &end) && *end == '\0' && *value >= least && *value <= most;
}

static bool read_bytes(const char *text, uint64_t *value)
{
    static const char *const units[] = {"", "K", "KiB", "M", "MiB", "G", "GiB"};
    static const uint64_t factors[] = {1, 1 << 10, 1 << 10, 1 << 20, 1 << 20, 1 << 30, 1 << 30};
    const char *end;
    int unit = read_digits(text, value, &end) ? which_of(end, units, 7) : -1;
    return unit >= 0 && !__builtin_mul_overflow(*value, factors[unit], value) && *value >= 1024 &&
           *value <= 1073741824;
}

static bool read_value(enum setting_id id, const char *text, uint64_t *value)
{
    static const char *const digits[] = {"0", "1"};
    static const char *const colours[] = {"red", "green", "bluegreen"};
    int word;
    switch (id) {
    case SETTING_number:
        return read_number(text, 3, 1000, value);
    case SETTING_wide:
        return read_number(text, 0, UINT64_MAX, value);
    case SETTING_bytes:
        return read_bytes(text, value);
    case SETTING_colour:
        word = which_of(text, colours, 3);
        break;
    default:
        word = which_of(text, digits, 2);
        break;
    }
    *value = (uint64_t)word;
    return word >= 0;
}

static void expect_entry(struct state *s, const char *entry)
{
    char name[ENTRY_BYTES];
    if (strncmp(entry, "HAKMEM_", 7) != 0) {
        return;
    }
    size_t length = strcspn(entry + 7, "=");
    memcpy(name, entry + 7, length);
    name[length] = '\0';
    const char *text = entry + 7 + length + (entry[7 + length] == '=');
    bool quiet = *text == '?';
    int id = which_of(name, names, SETTING_COUNT);
    uint64_t value = 0;
    bool good = id >= 0 && read_value((enum setting_id)id, text + quiet, &value);
    if (id >= 0) {
        s->value[id] = good ? value : defaults[id];
        s->is_set[id] = good;
    }
    s->warnings += !good && !quiet;
}

/* ---- the input ---- */

static void read_entries(const uint8_t *data, size_t size)
{
    size_t n = 0;
    while (n < ENTRIES_MAX && fuzz_next_text(&data, &size, entries[n], ENTRY_BYTES)) {
        environment[n] = entries[n];
        n++;
    }
    environment[n] = NULL;
}

static void check_banner(const struct state *s)
{
    lines = 0;
    shown_set = 0;
    config_print_banner();
    FUZZ_CHECK(lines == SETTING_COUNT + 1, "the banner has %zu lines", lines);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        FUZZ_CHECK((shown_set >> (i + 1) & 1) == s->is_set[i], "the banner is wrong about where %s "
                   "comes from", names[i]);
    }
    lines = 0;
    config_print_help();
    FUZZ_CHECK(lines == SETTING_COUNT, "the help has %zu lines", lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state expected = {.warnings = 0};
    memcpy(expected.value, defaults, sizeof defaults);
    memset(from_environment, 0, sizeof from_environment);
    read_entries(data, size);
    for (size_t i = 0; environment[i] != NULL; i++) {
        fuzz_trace("%s", environment[i]);
        expect_entry(&expected, environment[i]);
    }
    lines = 0;
    FUZZ_CHECK(config_load(), "the environment was not read");
    for (int i = 0; i < SETTING_COUNT; i++) {
        uint64_t value = setting_get((enum setting_id)i);
        FUZZ_CHECK(value == expected.value[i], "%s is %llu, not %llu", names[i],
                   (unsigned long long)value, (unsigned long long)expected.value[i]);
    }
    FUZZ_CHECK(lines == expected.warnings, "%zu warnings, not %zu", lines, expected.warnings);
    check_banner(&expected);
    return 0;
}
