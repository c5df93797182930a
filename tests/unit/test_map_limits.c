/* SPDX-License-Identifier: MIT */
/*
 * Goal: under a limit of the address space that others use up, growth is refused and nothing is
 * lost; when they give room back, it goes on.
 * Method: this program again under RLIMIT_AS; mappings of its own, without access, take all that the
 * allocator has not reserved yet.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "hakmem/hakmem.h"
#include "map/run.h"
#include "os/os.h"
#include "unit.h"

#define LIMIT_BYTES ((size_t)512 << 20)
#define PIECE_BYTES ((size_t)1 << 20)
enum { PIECES_MAX = 1024, MIB_GRANULES = 16 };

/* Far from where the kernel puts mappings by itself: they are not in the allocator's way. */
#define FAR_AWAY ((char *)0x100000000000)
static void *pieces[PIECES_MAX];

static size_t use_up_address_space(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t n = 0;
    for (; n < PIECES_MAX; n++) {
        pieces[n] = mmap(FAR_AWAY + n * PIECE_BYTES, PIECE_BYTES, PROT_NONE, flags, -1, 0);
        if (pieces[n] == MAP_FAILED) {
            break;
        }
    }
    return n;
}

/* Takes runs of 1 MiB until there are no more; returns how many. */
static size_t fill_with_runs(void)
{
    static uint32_t taken[2 * PIECES_MAX];
    size_t n = 0;
    while (n < 2 * PIECES_MAX && (taken[n] = run_alloc(MIB_GRANULES, 1)) != RUN_NONE) {
        memory_fill(map_address(taken[n]), PIECE_BYTES, n);
        run_mark_dirty(taken[n], MIB_GRANULES);
        n++;
    }
    CHECK(run_check());
    for (size_t i = 0; i < n; i++) {
        CHECK(memory_holds(map_address(taken[i]), PIECE_BYTES, i));
        run_free(taken[i]);
    }
    CHECK(run_check());
    return n;
}

static int run_as_child(void)
{
    CHECK(unit_start(NULL) == 0 && map_is_thrifty());
    size_t used_up = use_up_address_space();
    CHECK(used_up > 0);
    size_t little = fill_with_runs();
    for (size_t i = 0; i < used_up; i++) {
        CHECK(munmap(pieces[i], PIECE_BYTES) == 0);
    }
    size_t much = fill_with_runs();
    print_message("%zu MiB were used up, %zu left, %zu in the end\n", used_up, little, much);
    CHECK(little < 16 && much > used_up / 2);
    CHECK(hak_check());
    return 0;
}

static void limit_address_space(void *unused)
{
    (void)unused;
    const struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void test_others_use_up_the_address_space(void **state)
{
    (void)state;
    static struct child_result result;
    const char *const argv[] = {"unit_map_limits", "child", NULL};
    if (UNIT_HAS_SHADOW) {
        skip();
    }
    child_run_self(argv, limit_address_space, NULL, &result);
    print_message("%s", result.err);
    assert_true(WIFEXITED(result.status));
    assert_int_equal(WEXITSTATUS(result.status), 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_use_up_the_address_space),
    };
    return argc > 1 ? run_as_child() : cmocka_run_group_tests(tests, NULL, NULL);
}
