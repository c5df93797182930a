/* SPDX-License-Identifier: MIT */
/*
 * settings: prints the table of settings the library is built from (run/config.def) as text,
 * as man page source or as a Markdown page, so that no document repeats it by hand.
 */
#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

enum setting_kind { KIND_ENUM, KIND_INT, KIND_SIZE, KIND_BOOL };

struct setting {
    enum setting_kind kind;
    const char *name;         /* lower case, without HAKMEM_ */
    const char *text_default; /* KIND_ENUM */
    const char *choices;      /* KIND_ENUM: "a|b|c" */
    uint64_t number_default;  /* the others; KIND_INT as int64_t */
    uint64_t min;
    uint64_t max;
    const char *sentence;
};

#define SETTING_ENUM(name, value, choices, sentence)                                           \
    {KIND_ENUM, #name, value, choices, 0, 0, 0, sentence},
#define SETTING_INT(name, value, min, max, sentence)                                           \
    {KIND_INT, #name, "", "", (uint64_t)(value), (uint64_t)(min), (uint64_t)(max), sentence},
#define SETTING_SIZE(name, value, min, max, sentence)                                          \
    {KIND_SIZE, #name, "", "", (uint64_t)(value), (uint64_t)(min), (uint64_t)(max), sentence},
#define SETTING_BOOL(name, value, sentence)                                                    \
    {KIND_BOOL, #name, "", "", (uint64_t)(value), 0, 1, sentence},

static const struct setting settings[] = {
#include "run/config.def"
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

/* How one output form writes the parts of an entry. */
struct form {
    void (*begin)(void);
    void (*entry)(const char *name, const struct setting *setting);
};

static void environment_name(const char *name, char *out, size_t size)
{
    snprintf(out, size, "HAKMEM_%s", name);
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
}

/* A number as its kind is written: 64MiB, -1, 1. */
static void number_text(const struct setting *setting, uint64_t number, char *out, size_t size)
{
    char bytes[TEXT_BYTES_MAX];
    if (setting->kind == KIND_INT) {
        snprintf(out, size, "%lld", (long long)(int64_t)number);
    } else if (setting->kind == KIND_BOOL || number == 0) {
        snprintf(out, size, "%d", number != 0);
    } else if (number >= (uint64_t)PTRDIFF_MAX) {
        snprintf(out, size, "unlimited");
    } else {
        snprintf(out, size, "%s", text_bytes(bytes, number));
    }
}

static void default_text(const struct setting *setting, char *out, size_t size)
{
    if (setting->kind == KIND_ENUM) {
        snprintf(out, size, "%s", setting->text_default);
    } else {
        number_text(setting, setting->number_default, out, size);
    }
}

/* Valid values; `separator` stands between the choices of an enum. */
static void values_text(const struct setting *setting, const char *separator, char *out,
                        size_t size)
{
    if (setting->kind == KIND_BOOL) {
        snprintf(out, size, "0%s1", separator);
    } else if (setting->kind == KIND_ENUM) {
        size_t used = 0;
        for (const char *at = setting->choices; *at != '\0' && used + 1 < size; at++) {
            used += (size_t)snprintf(out + used, size - used, "%.*s",
                                     *at == '|' ? (int)strlen(separator) : 1,
                                     *at == '|' ? separator : at);
        }
    } else {
        char min[TEXT_BYTES_MAX];
        char max[TEXT_BYTES_MAX];
        number_text(setting, setting->min, min, sizeof(min));
        number_text(setting, setting->max, max, sizeof(max));
        snprintf(out, size, "%s to %s", min, max);
    }
}

/* roff: a hyphen is \-, a backslash \e, a period or quote at the start needs \&. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'') {
        fputs("\\&", stdout);
    }
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            fputs("\\-", stdout);
        } else if (*text == '\\') {
            fputs("\\e", stdout);
        } else {
            putchar(*text);
        }
    }
}

static void print_markdown(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("|*_<`\\", *text) != NULL) {
            putchar('\\');
        }
        putchar(*text);
    }
}

static void begin_nothing(void)
{
}

static void entry_text(const char *name, const struct setting *setting)
{
    char values[256];
    char value[64];
    values_text(setting, "|", values, sizeof(values));
    default_text(setting, value, sizeof(value));
    printf("%s=%s  (default %s)\n    %s\n", name, values, value, setting->sentence);
}

static void entry_man(const char *name, const struct setting *setting)
{
    char values[256];
    char value[64];
    values_text(setting, "|", values, sizeof(values));
    default_text(setting, value, sizeof(value));
    printf(".TP\n\\fB%s\\fR=\\fI", name);
    print_roff(values);
    printf("\\fR\n");
    print_roff(setting->sentence);
    printf("\n(default: ");
    print_roff(value);
    printf(")\n");
}

static void begin_markdown(void)
{
    puts("# Settings\n\n"
         "Printed by `hakmem settings --markdown` from `src/run/config.def`; change that file, "
         "not this one.\n\n"
         "Every setting is an environment variable. An unknown name or a bad value gives one "
         "warning on stderr, and the default is used.\n\n"
         "| variable | values | default | meaning |\n"
         "|---|---|---|---|");
}

static void entry_markdown(const char *name, const struct setting *setting)
{
    char values[256];
    char value[64];
    values_text(setting, "`, `", values, sizeof(values));
    default_text(setting, value, sizeof(value));
    bool is_list = setting->kind == KIND_ENUM || setting->kind == KIND_BOOL;
    const char *quote = is_list ? "`" : "";
    printf("| `%s` | %s%s%s | `%s` | ", name, quote, values, quote, value);
    print_markdown(setting->sentence);
    printf(" |\n");
}

int settings_main(int argc, char **argv)
{
    struct form form = {begin_nothing, entry_text};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--man") == 0) {
            form = (struct form){begin_nothing, entry_man};
        } else if (strcmp(argv[i], "--markdown") == 0) {
            form = (struct form){begin_markdown, entry_markdown};
        } else {
            return usage_error("settings: unknown argument %s", argv[i]);
        }
    }
    form.begin();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char name[128];
        environment_name(settings[i].name, name, sizeof(name));
        form.entry(name, &settings[i]);
    }
    return EXIT_OK;
}
