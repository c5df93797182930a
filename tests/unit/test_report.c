/* SPDX-License-Identifier: MIT */
/*
 * Goal: a report is exactly one line in one write, whatever is put into it, and errno survives.
 * Method: capture stderr; fill the buffer up to, at and beyond its end; die in a child.
 */
#include "os/report.h"

#include <sys/socket.h>

#include "unit.h"

static void write_pieces(void *context)
{
    struct report r;
    report_begin(&r);
    report_text(&r, "a=");
    report_number(&r, 0);
    report_span(&r, " b=!!", 3);
    report_number(&r, UINT64_MAX);
    report_text(&r, " p=");
    report_pointer(&r, context);
    report_text(&r, " ");
    report_pointer(&r, NULL);
    report_end(&r);
}

static void test_pieces(void **state)
{
    (void)state;
    assert_string_equal(unit_stderr_of(write_pieces, (void *)(uintptr_t)0xdeadbeef90),
                        "hakmem: a=0 b=18446744073709551615 p=0xdeadbeef90 0x0\n");
}

/* A line that is `length` long without its newline, if there is room for it. */
static void write_long(void *context)
{
    size_t length = *(size_t *)context;
    struct report r;
    report_begin(&r);
    while (r.length < length) {
        size_t before = r.length;
        report_span(&r, "0123456789", length - r.length < 10 ? length - r.length : 10);
        if (r.length == before) {
            break;
        }
    }
    report_text(&r, "");
    report_end(&r);
}

static void test_truncation_at_the_end(void **state)
{
    (void)state;
    size_t room = sizeof((struct report *)0)->text;
    for (size_t length = room - 3; length <= room + 12; length++) {
        const char *text = unit_stderr_of(write_long, &length);
        size_t whole = length + 1 < room ? length + 1 : room;
        assert_int_equal(strlen(text), whole);
        assert_ptr_equal(strchr(text, '\n'), text + whole - 1);
        assert_memory_equal(text, "hakmem: 0123456789", 18);
    }
}

static void write_after_full(void *context)
{
    struct report *r = context;
    char text[2000];
    memset(text, 'x', sizeof text);
    report_begin(r);
    report_span(r, text, sizeof text);
    report_number(r, UINT64_MAX);
    report_pointer(r, r);
    report_text(r, "y");
    report_end(r);
}

static void test_nothing_is_written_past_the_buffer(void **state)
{
    (void)state;
    struct {
        struct report r;
        char guard[64];
    } s;
    memset(&s, 0x5a, sizeof s);
    const char *text = unit_stderr_of(write_after_full, &s.r);
    assert_int_equal(strlen(text), sizeof s.r.text);
    assert_null(strchr(text, 'y'));
    for (size_t i = 0; i < sizeof s.guard; i++) {
        assert_int_equal(s.guard[i], 0x5a);
    }
}

/* A datagram socket keeps writes apart: one receive is one write. */
static void one_write(void *context)
{
    (void)context;
    int pair[2];
    char text[256];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    CHECK(dup2(pair[0], STDERR_FILENO) >= 0);
    write_pieces(NULL);
    ssize_t n = recv(pair[1], text, sizeof text, MSG_DONTWAIT);
    CHECK(n > 0 && text[n - 1] == '\n');
    CHECK(recv(pair[1], text, sizeof text, MSG_DONTWAIT) < 0);
}

static void test_one_line_is_one_write(void **state)
{
    (void)state;
    unit_child(one_write, NULL);
}

static void closed_stderr(void *context)
{
    (void)context;
    close(STDERR_FILENO);
    errno = ERANGE;
    write_pieces(NULL);
    int after = errno;
    _exit(after == ERANGE ? 0 : 1);
}

static void test_errno_survives_a_closed_stderr(void **state)
{
    (void)state;
    unit_child(closed_stderr, NULL);
}

static void die(void *context)
{
    report_fail("box", "the reason is", context);
}

static void test_fail(void **state)
{
    (void)state;
    void *p = (void *)(uintptr_t)0x123;
    unit_child_dies(die, p, "box: the reason is", p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_truncation_at_the_end),
        cmocka_unit_test(test_nothing_is_written_past_the_buffer),
        cmocka_unit_test(test_one_line_is_one_write),
        cmocka_unit_test(test_errno_survives_a_closed_stderr),
        cmocka_unit_test(test_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
