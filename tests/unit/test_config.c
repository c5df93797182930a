/* SPDX-License-Identifier: MIT */
/*
 * Goal: the table of settings is sound, each setting is read by its name, and what is wrong gives
 * one line and the default.
 * Method: the table itself is walked by including it; settings are loaded from made-up
 * environments; the start of a process is seen in children.
 */
#include "run/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "environment.h"
#include "hakmem/hakmem.h"

struct row {
    const char *name;
    uint64_t value_default, min, max;
    const char *word, *words;
    const char *text;
};

#define SETTING_BOOL(name, def, text) {#name, def, 0, 1, NULL, NULL, text},
#define SETTING_INT(name, def, min, max, text) {#name, def, min, max, NULL, NULL, text},
#define SETTING_SIZE(name, def, min, max, text) {#name, def, min, max, NULL, NULL, text},
#define SETTING_ENUM(name, def, values, text) {#name, 0, 0, 0, def, values, text},
static const struct row rows[SETTING_COUNT] = {
#include "run/config.def"
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        assert_in_range(strlen(rows[i].name), 1, 32);
        for (const char *c = rows[i].name; *c != '\0'; c++) {
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
        }
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
        }
        size_t length = strlen(rows[i].text);
        assert_true(length > 10 && rows[i].text[length - 1] == '.');
    }
}

static void test_defaults_are_in_range(void **state)
{
    (void)state;
    environment_load("A=1", NULL);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        assert_true(rows[i].min <= rows[i].value_default);
        assert_true(rows[i].value_default <= rows[i].max);
        assert_int_equal(setting_get((enum setting_id)i), rows[i].value_default);
        if (rows[i].words != NULL) {
            size_t first = strcspn(rows[i].words, "|");
            assert_int_equal(first, strlen(rows[i].word));
            assert_memory_equal(rows[i].words, rows[i].word, first);
        }
    }
}

static void test_every_setting_is_found_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char entry[200];
        int n = snprintf(entry, sizeof entry, "HAKMEM_%s=", rows[i].name);
        for (char *c = entry; *c != '\0'; c++) {
            *c = (char)toupper((unsigned char)*c);
        }
        const char *word = rows[i].words == NULL ? NULL : strrchr(rows[i].words, '|');
        snprintf(entry + n, sizeof entry - (size_t)n, "%s", word != NULL ? word + 1 : "1");
        assert_string_equal(environment_load(entry, NULL), "");
        assert_int_not_equal(setting_get((enum setting_id)i), 0);
    }
}

static void test_routes(void **state)
{
    (void)state;
    environment_load("HAKMEM_ROUTE=tiny-first", NULL);
    assert_int_equal(setting_get(SETTING_route), ROUTE_TINY_FIRST);
    environment_load("HAKMEM_ROUTE=tiny-only", NULL);
    assert_int_equal(setting_get(SETTING_route), ROUTE_TINY_ONLY);
    environment_load("HAKMEM_ROUTE=pool-only", NULL);
    assert_int_equal(setting_get(SETTING_route), ROUTE_POOL_ONLY);
}

/* ---- whole processes ---- */

static void set_entry(void *entry)
{
    CHECK(putenv(entry) == 0);
}

static const char *stderr_of_child(char *entry)
{
    static struct child_result result;
    const char *const argv[] = {"unit_config", "allocate", NULL};
    child_run_self(argv, set_entry, entry, &result);
    assert_true(WIFEXITED(result.status));
    assert_int_equal(WEXITSTATUS(result.status), 0);
    return result.err;
}

static void test_a_process_with_a_bad_setting_starts(void **state)
{
    (void)state;
    static char bad[] = "HAKMEM_ROUTE=bogus";
    static char quiet[] = "HAKMEM_ROUTE=?bogus";
    static char unknown[] = "HAKMEM_ROUT=1";
    static char foreign[] = "HAKMEMX=1";
    assert_string_equal(stderr_of_child(bad),
                        "hakmem: HAKMEM_ROUTE=bogus is not valid; valid is "
                        "tiny-first|tiny-only|pool-only; using tiny-first\n");
    assert_string_equal(stderr_of_child(quiet), "");
    assert_string_equal(stderr_of_child(unknown),
                        "hakmem: unknown setting HAKMEM_ROUT is ignored; the nearest is "
                        "HAKMEM_ROUTE\n");
    assert_string_equal(stderr_of_child(foreign), "");
}

static void test_banner_and_help_have_every_setting(void **state)
{
    (void)state;
    static char verbose[] = "HAKMEM_VERBOSE=1";
    static char help[] = "HAKMEM_HELP=1";
    const char *const banner = strdup(stderr_of_child(verbose));
    const char *const text = strdup(stderr_of_child(help));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "HAKMEM_%s", rows[i].name);
        for (char *c = name; *c != '\0'; c++) {
            *c = (char)toupper((unsigned char)*c);
        }
        assert_non_null(strstr(banner, name));
        assert_non_null(strstr(text, name));
        assert_non_null(strstr(text, rows[i].text));
    }
    assert_non_null(strstr(banner, "HAKMEM_VERBOSE=1 (environment)"));
    assert_non_null(strstr(banner, "HAKMEM_HELP=0 (default)"));
    free((void *)(uintptr_t)banner);
    free((void *)(uintptr_t)text);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "allocate") == 0) {
        void *p = hak_malloc(100);
        hak_free(p);
        return p == NULL;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_defaults_are_in_range),
        cmocka_unit_test(test_every_setting_is_found_by_its_name),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_a_process_with_a_bad_setting_starts),
        cmocka_unit_test(test_banner_and_help_have_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
