/* SPDX-License-Identifier: MIT */
#include "run/config.h"

#include <string.h>

#include "os/os.h"
#include "os/report.h"

enum setting_type { TYPE_BOOL, TYPE_INT, TYPE_SIZE, TYPE_ENUM };

struct setting {
    const char *name;
    enum setting_type type;
    uint64_t value_default, min, max;
    const char *words; /* of an enum, separated by '|'; the first is the default */
    const char *text;
};

#define SETTING_BOOL(name, def, text) {#name, TYPE_BOOL, def, 0, 1, "0|1", text},
#define SETTING_INT(name, def, min, max, text) {#name, TYPE_INT, def, min, max, NULL, text},
#define SETTING_SIZE(name, def, min, max, text) {#name, TYPE_SIZE, def, min, max, NULL, text},
#define SETTING_ENUM(name, def, values, text) {#name, TYPE_ENUM, 0, 0, 0, values, text},
static const struct setting table[SETTING_COUNT] = {
#include "run/config.def"
};

static uint64_t values[SETTING_COUNT];
static bool from_environment[SETTING_COUNT];

static const char prefix[] = "HAKMEM_";
enum { PREFIX_LENGTH = sizeof prefix - 1, NAME_MAX_LENGTH = 40 };

/* ---- names ---- */

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool name_is(const char *name, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '\0' || upper(name[i]) != text[i]) {
            return false;
        }
    }
    return name[length] == '\0';
}

/* Levenshtein's edit distance, one row at a time. */
static unsigned edit_distance(const char *name, const char *text, size_t length)
{
    unsigned row[NAME_MAX_LENGTH + 1];
    size_t n = length < NAME_MAX_LENGTH ? length : NAME_MAX_LENGTH;
    for (size_t i = 0; i <= n; i++) {
        row[i] = (unsigned)i;
    }
    for (size_t j = 0; name[j] != '\0'; j++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)j + 1;
        for (size_t i = 1; i <= n; i++) {
            unsigned best = diagonal + (upper(name[j]) != text[i - 1]);
            diagonal = row[i];
            best = row[i] + 1 < best ? row[i] + 1 : best;
            best = row[i - 1] + 1 < best ? row[i - 1] + 1 : best;
            row[i] = best;
        }
    }
    return row[n];
}

static void report_name(struct report *r, const char *name)
{
    report_text(r, prefix);
    for (; *name != '\0'; name++) {
        char c = upper(*name);
        report_span(r, &c, 1);
    }
}

static void warn_unknown(const char *text, size_t length)
{
    size_t nearest = 0;
    unsigned best = NAME_MAX_LENGTH;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        unsigned d = edit_distance(table[i].name, text, length);
        if (d < best) {
            best = d;
            nearest = i;
        }
    }
    struct report r;
    report_begin(&r);
    report_text(&r, "unknown setting ");
    report_text(&r, prefix);
    report_span(&r, text, length);
    report_text(&r, " is ignored; the nearest is ");
    report_name(&r, table[nearest].name);
    report_end(&r);
}

/* ---- values ---- */

static bool word_index(const char *words, const char *text, uint64_t *index)
{
    size_t length = strlen(text);
    for (*index = 0;; ++*index) {
        size_t n = strcspn(words, "|");
        if (n == length && memcmp(words, text, n) == 0) {
            return true;
        }
        if (words[n] == '\0') {
            return false;
        }
        words += n + 1;
    }
}

static bool unit_shift(const char *unit, unsigned *shift)
{
    static const struct { const char *name; unsigned shift; } units[] = {
        {"", 0}, {"KiB", 10}, {"K", 10}, {"MiB", 20}, {"M", 20}, {"GiB", 30}, {"G", 30},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].name, unit) == 0) {
            *shift = units[i].shift;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct setting *s, const char *text, uint64_t *value)
{
    uint64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > UINT64_MAX / 10 - 1) {
            return false;
        }
        n = n * 10 + (uint64_t)(*p - '0');
    }
    unsigned shift = 0;
    bool unit_ok = s->type == TYPE_SIZE ? unit_shift(p, &shift) : *p == '\0';
    if (p == text || !unit_ok || n > s->max >> shift || n << shift < s->min) {
        return false;
    }
    *value = n << shift;
    return true;
}

static bool parse(const struct setting *s, const char *text, uint64_t *value)
{
    return s->words != NULL ? word_index(s->words, text, value) : parse_number(s, text, value);
}

static void report_range(struct report *r, const struct setting *s)
{
    if (s->words != NULL) {
        report_text(r, s->words);
    } else {
        report_number(r, s->min);
        report_text(r, "..");
        report_number(r, s->max);
    }
}

static void report_value(struct report *r, const struct setting *s, uint64_t value)
{
    if (s->type != TYPE_ENUM) {
        report_number(r, value);
        return;
    }
    const char *word = s->words;
    while (value-- != 0) {
        word += strcspn(word, "|") + 1;
    }
    report_span(r, word, strcspn(word, "|"));
}

static void warn_value(const struct setting *s, const char *text)
{
    struct report r;
    report_begin(&r);
    report_name(&r, s->name);
    report_text(&r, "=");
    report_text(&r, text);
    report_text(&r, " is not valid; valid is ");
    report_range(&r, s);
    report_text(&r, "; using ");
    report_value(&r, s, s->value_default);
    report_end(&r);
}

/* ---- load ---- */

/* `entry` is NAME=value without the prefix. */
static void load_entry(const char *entry)
{
    size_t length = strcspn(entry, "=");
    const char *text = entry + length + (entry[length] == '=');
    bool quiet = *text == '?';
    text += quiet;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (name_is(table[i].name, entry, length)) {
            from_environment[i] = parse(&table[i], text, &values[i]);
            if (!from_environment[i]) {
                values[i] = table[i].value_default;
                if (!quiet) {
                    warn_value(&table[i], text);
                }
            }
            return;
        }
    }
    if (!quiet) {
        warn_unknown(entry, length);
    }
}

bool config_load(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        values[i] = table[i].value_default;
    }
    if (os_is_secure()) {
        return true;
    }
    const char *const *entry = os_environment();
    if (entry == NULL) {
        return false;
    }
    for (; *entry != NULL; entry++) {
        if (strncmp(*entry, prefix, PREFIX_LENGTH) == 0) {
            load_entry(*entry + PREFIX_LENGTH);
        }
    }
    return true;
}

uint64_t setting_get(enum setting_id id)
{
    return values[id];
}

/* ---- print ---- */

void config_print_help(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct report r;
        report_begin(&r);
        report_name(&r, table[i].name);
        report_text(&r, " (");
        report_range(&r, &table[i]);
        report_text(&r, ", default ");
        report_value(&r, &table[i], table[i].value_default);
        report_text(&r, "): ");
        report_text(&r, table[i].text);
        report_end(&r);
    }
}

void config_print_banner(void)
{
    struct report r;
    report_begin(&r);
    report_text(&r, "version " HAKMEM_VERSION " (" HAKMEM_BUILD " build) is loaded");
    report_end(&r);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        report_begin(&r);
        report_name(&r, table[i].name);
        report_text(&r, "=");
        report_value(&r, &table[i], values[i]);
        report_text(&r, from_environment[i] ? " (environment)" : " (default)");
        report_end(&r);
    }
}
