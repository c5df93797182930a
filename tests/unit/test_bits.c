/* SPDX-License-Identifier: MIT */
/*
 * Goal: the bit functions agree with their definitions at every edge.
 * Method: each against a loop over single bits, for all powers of two, their neighbours, and
 * random words.
 */
#include "base/bits.h"

#include "unit.h"

enum { RANDOM_WORDS = 10000 };

static unsigned slow_first(uint64_t n)
{
    unsigned i = 0;
    while ((n >> i & 1) == 0) {
        i++;
    }
    return i;
}

static unsigned slow_log2(uint64_t n)
{
    unsigned i = 0;
    while ((n >>= 1) != 0) {
        i++;
    }
    return i;
}

static unsigned slow_count(uint64_t n)
{
    unsigned count = 0;
    for (; n != 0; n >>= 1) {
        count += (unsigned)(n & 1);
    }
    return count;
}

static void check_word(uint64_t n)
{
    assert_int_equal(bits_count(n), slow_count(n));
    assert_int_equal(bits_is_power_of_two(n), slow_count(n) == 1);
    if (n != 0) {
        assert_int_equal(bits_first(n), slow_first(n));
        assert_int_equal(bits_log2(n), slow_log2(n));
    }
}

static void test_edges(void **state)
{
    (void)state;
    check_word(0);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t power = (uint64_t)1 << i;
        check_word(power - 1);
        check_word(power);
        check_word(power + 1);
        check_word(~power);
    }
}

static void test_random_words(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    for (int i = 0; i < RANDOM_WORDS; i++) {
        uint64_t n = random_next(&random);
        check_word(n);
        check_word(n >> n % 64);
        check_word(n << n % 64);
    }
}

static void test_low(void **state)
{
    (void)state;
    for (unsigned n = 0; n <= 64; n++) {
        uint64_t word = bits_low(n);
        assert_int_equal(slow_count(word), n);
        assert_true(n == 64 || word >> n == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random_words),
        cmocka_unit_test(test_low),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
