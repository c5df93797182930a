/* SPDX-License-Identifier: MIT */
/*
 * Goal: every type of setting accepts exactly its valid values, with units and at the edges of its
 * range, and warns once about anything else, unless it is asked not to.
 * Method: the parser compiled over a table of its own (fixture/run/config.def), without the rest of
 * the library.
 */
#include "run/config.c"

#include "environment.h"

/* Loads HAKMEM_<assignment>; true if nothing was said. */
static bool load(const char *assignment)
{
    char entry[300];
    snprintf(entry, sizeof entry, "HAKMEM_%s", assignment);
    return environment_load(entry, NULL)[0] == '\0';
}

static void expect(enum setting_id id, const char *assignment, uint64_t value)
{
    assert_true(load(assignment));
    assert_int_equal(setting_get(id), value);
}

/* Refused with one line that names the value; the default is used. */
static void refuse(enum setting_id id, const char *assignment, uint64_t value_default)
{
    char entry[300];
    snprintf(entry, sizeof entry, "HAKMEM_%s", assignment);
    const char *text = environment_load(entry, NULL);
    assert_memory_equal(text, "hakmem: ", 8);
    assert_non_null(strstr(text, entry));
    assert_non_null(strstr(text, " is not valid; valid is "));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(setting_get(id), value_default);
}

static void test_bool(void **state)
{
    (void)state;
    expect(SETTING_flag, "FLAG=0", 0);
    expect(SETTING_flag, "FLAG=1", 1);
    refuse(SETTING_flag, "FLAG=", 1);
    refuse(SETTING_flag, "FLAG=2", 1);
    refuse(SETTING_flag, "FLAG=01", 1);
    refuse(SETTING_flag, "FLAG=yes", 1);
    refuse(SETTING_flag, "FLAG=0|1", 1);
}

static void test_number(void **state)
{
    (void)state;
    expect(SETTING_number, "NUMBER=3", 3);
    expect(SETTING_number, "NUMBER=1000", 1000);
    expect(SETTING_number, "NUMBER=0042", 42);
    refuse(SETTING_number, "NUMBER=2", 7);
    refuse(SETTING_number, "NUMBER=1001", 7);
    refuse(SETTING_number, "NUMBER=", 7);
    refuse(SETTING_number, "NUMBER=-5", 7);
    refuse(SETTING_number, "NUMBER=+5", 7);
    refuse(SETTING_number, "NUMBER= 5", 7);
    refuse(SETTING_number, "NUMBER=5 ", 7);
    refuse(SETTING_number, "NUMBER=0x10", 7);
    refuse(SETTING_number, "NUMBER=5K", 7); /* a unit is for sizes */
    refuse(SETTING_number, "NUMBER=18446744073709551621", 7); /* 2^64 + 5 */
    refuse(SETTING_number, "NUMBER=99999999999999999999999999999999", 7);
    expect(SETTING_wide, "WIDE=1844674407370955160", UINT64_MAX / 10 - 1);
    refuse(SETTING_wide, "WIDE=18446744073709551616", 0);
}

static void test_size(void **state)
{
    (void)state;
    expect(SETTING_bytes, "BYTES=1024", 1024);
    expect(SETTING_bytes, "BYTES=1K", 1024);
    expect(SETTING_bytes, "BYTES=64KiB", 65536);
    expect(SETTING_bytes, "BYTES=5M", (uint64_t)5 << 20);
    expect(SETTING_bytes, "BYTES=5MiB", (uint64_t)5 << 20);
    expect(SETTING_bytes, "BYTES=1G", (uint64_t)1 << 30);
    expect(SETTING_bytes, "BYTES=1GiB", (uint64_t)1 << 30);
    expect(SETTING_bytes, "BYTES=1073741824", (uint64_t)1 << 30);
    refuse(SETTING_bytes, "BYTES=1023", 4096);
    refuse(SETTING_bytes, "BYTES=0K", 4096);
    refuse(SETTING_bytes, "BYTES=1073741825", 4096);
    refuse(SETTING_bytes, "BYTES=2G", 4096);
    refuse(SETTING_bytes, "BYTES=1025M", 4096);
    refuse(SETTING_bytes, "BYTES=K", 4096);
    refuse(SETTING_bytes, "BYTES=5k", 4096);
    refuse(SETTING_bytes, "BYTES=5KB", 4096);
    refuse(SETTING_bytes, "BYTES=5 K", 4096);
    refuse(SETTING_bytes, "BYTES=17179869184G", 4096); /* 2^64 bytes: shifts to 0 */
    refuse(SETTING_bytes, "BYTES=17179869185G", 4096);
}

static void test_word(void **state)
{
    (void)state;
    expect(SETTING_colour, "COLOUR=red", 0);
    expect(SETTING_colour, "COLOUR=green", 1);
    expect(SETTING_colour, "COLOUR=bluegreen", 2);
    refuse(SETTING_colour, "COLOUR=blue", 0);
    refuse(SETTING_colour, "COLOUR=Red", 0);
    refuse(SETTING_colour, "COLOUR=", 0);
    refuse(SETTING_colour, "COLOUR=red|green", 0);
    refuse(SETTING_colour, "COLOUR=greener", 0);
}

static void test_a_question_mark_keeps_quiet(void **state)
{
    (void)state;
    expect(SETTING_number, "NUMBER=?5", 5);
    expect(SETTING_number, "NUMBER=?5000", 7);
    expect(SETTING_number, "NUMBER=?", 7);
    expect(SETTING_colour, "COLOUR=?green", 1);
    assert_true(load("NEW_IN_A_LATER_VERSION=?1"));
    assert_false(load("NEW_IN_A_LATER_VERSION=1"));
}

static void test_unknown_names(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *line;
    } cases[] = {
        {"HAKMEM_NUMBR=5", "NUMBR is ignored; the nearest is HAKMEM_NUMBER\n"},
        {"HAKMEM_COLOR=red", "COLOR is ignored; the nearest is HAKMEM_COLOUR\n"},
        {"HAKMEM_BYTESS=1", "BYTESS is ignored; the nearest is HAKMEM_BYTES\n"},
        {"HAKMEM_flag=1", "flag is ignored; the nearest is HAKMEM_"},
        {"HAKMEM_FLAGS", "FLAGS is ignored; the nearest is HAKMEM_FLAG\n"},
        {"HAKMEM_=1", " is ignored; the nearest is HAKMEM_"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = environment_load(cases[i].entry, NULL);
        assert_memory_equal(text, "hakmem: unknown setting HAKMEM_", 31);
        assert_memory_equal(text + 31, cases[i].line, strlen(cases[i].line));
    }
}

/* Longer than the table of distances, and longer than a line. */
static void test_long_names_and_values(void **state)
{
    (void)state;
    static char entry[5000];
    memset(entry, 'X', sizeof entry - 1);
    memcpy(entry, "HAKMEM_", 7);
    const char *text = environment_load(entry, NULL);
    assert_memory_equal(text, "hakmem: unknown setting HAKMEM_XXX", 34);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    memcpy(entry, "HAKMEM_NUMBER=", 14);
    text = environment_load(entry, NULL);
    assert_memory_equal(text, "hakmem: HAKMEM_NUMBER=XXX", 25);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(setting_get(SETTING_number), 7);
}

static void test_each_bad_entry_has_its_line(void **state)
{
    (void)state;
    const char *text = environment_load("HAKMEM_NUMBER=x", "HAKMEM_FLAG=x");
    assert_string_equal(text, "hakmem: HAKMEM_NUMBER=x is not valid; valid is 3..1000; using 7\n"
                              "hakmem: HAKMEM_FLAG=x is not valid; valid is 0|1; using 1\n");
}

static void print(void *unused)
{
    (void)unused;
    config_print_banner();
}

static void test_origins_in_the_banner(void **state)
{
    (void)state;
    environment_load("HAKMEM_VERBOSE=1", "HAKMEM_BYTES=2K");
    const char *text = unit_stderr_of(print, NULL);
    assert_non_null(strstr(text, "hakmem: HAKMEM_BYTES=2048 (environment)\n"));
    assert_non_null(strstr(text, "hakmem: HAKMEM_NUMBER=7 (default)\n"));
    assert_non_null(strstr(text, "hakmem: HAKMEM_COLOUR=red (default)\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins_in_the_banner), /* first: origins are kept */
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_word),
        cmocka_unit_test(test_a_question_mark_keeps_quiet),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_long_names_and_values),
        cmocka_unit_test(test_each_bad_entry_has_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
