/* SPDX-License-Identifier: MIT */
#include "held.h"

#include <hakmem/hakmem.h>
#include <stdint.h>

#include "check.h"
#include "memory.h"

enum {
    WHOLE_BYTES = 32 << 10,  /* blocks up to this are filled whole */
    SPOTS = 16,              /* larger ones at so many places and at both ends */
    SPOT_BYTES = 64,
    EDGE_BYTES = WHOLE_BYTES / SPOTS,
    ERRNO_MARK = 12345,
};

bool held_strict;
atomic_uint held_refused;
atomic_uint held_failed;
atomic_uint held_calls;
void (*held_before)(unsigned call);

static struct {
    char *start;
    size_t bytes;
} held[HELD_MAX];

/* ---- contents ---- */

static void mark(char *start, size_t bytes, unsigned key)
{
    if (bytes <= WHOLE_BYTES) {
        memory_fill(start, bytes, key);
        return;
    }
    memory_fill(start, EDGE_BYTES, key);
    for (size_t i = 1; i < SPOTS; i++) {
        memory_fill(start + bytes / SPOTS * i, SPOT_BYTES, key + i);
    }
    memory_fill(start + bytes - SPOT_BYTES, SPOT_BYTES, key);
}

/* The first `kept` bytes of a block that was marked when it had `bytes`. */
static bool is_marked(const char *start, size_t bytes, size_t kept, unsigned key)
{
    if (bytes <= WHOLE_BYTES) {
        return memory_holds(start, kept, key);
    }
    bool whole = memory_holds(start, kept < EDGE_BYTES ? kept : EDGE_BYTES, key);
    for (size_t i = 1; i < SPOTS && bytes / SPOTS * i + SPOT_BYTES <= kept; i++) {
        whole = whole && memory_holds(start + bytes / SPOTS * i, SPOT_BYTES, key + i);
    }
    return whole && (kept < bytes || memory_holds(start + bytes - SPOT_BYTES, SPOT_BYTES, key));
}

static bool is_zero(const char *start, size_t bytes)
{
    bool zero = memory_is_zero(start, bytes <= WHOLE_BYTES ? bytes : EDGE_BYTES);
    for (size_t at = 0; at + SPOT_BYTES <= bytes; at += EDGE_BYTES) {
        zero = zero && memory_is_zero(start + at, SPOT_BYTES);
    }
    return zero;
}

/* ---- calls ---- */

static void before(void)
{
    unsigned call = atomic_fetch_add(&held_calls, 1);
    if (held_before != NULL) {
        held_before(call);
    }
    errno = ERRNO_MARK;
}

void held_count_failure(void)
{
    CHECK(!held_strict);
    atomic_fetch_add(&held_failed, 1);
}

static bool granted(const void *p)
{
    if (p != NULL) {
        return true;
    }
    CHECK(errno == ENOMEM);
    CHECK(!held_strict);
    atomic_fetch_add(&held_refused, 1);
    return false;
}

static bool put(unsigned at, char *p, size_t bytes)
{
    if (!granted(p)) {
        return false;
    }
    mark(p, bytes, at);
    held[at].start = p;
    held[at].bytes = bytes;
    return true;
}

bool held_take(unsigned at, size_t bytes)
{
    held_drop(at);
    before();
    return put(at, hak_malloc(bytes), bytes);
}

bool held_take_zeroed(unsigned at, size_t bytes)
{
    held_drop(at);
    before();
    char *p = hak_calloc(1, bytes);
    CHECK(p == NULL || is_zero(p, bytes));
    return put(at, p, bytes);
}

bool held_take_aligned(unsigned at, size_t alignment, size_t bytes)
{
    held_drop(at);
    before();
    char *p = hak_aligned_alloc(alignment, bytes);
    CHECK((uintptr_t)p % alignment == 0);
    return put(at, p, bytes);
}

bool held_resize(unsigned at, size_t bytes)
{
    char *old = held[at].start;
    size_t old_bytes = held[at].bytes;
    if (old == NULL) {
        return false;
    }
    before();
    char *p = hak_realloc(old, bytes);
    if (!granted(p)) {
        CHECK(is_marked(old, old_bytes, old_bytes, at));
        return false;
    }
    CHECK(is_marked(p, old_bytes, old_bytes < bytes ? old_bytes : bytes, at));
    return put(at, p, bytes);
}

void held_drop(unsigned at)
{
    held_check(at, at + 1);
    errno = ERRNO_MARK;
    hak_free(held[at].start);
    CHECK(errno == ERRNO_MARK);
    held[at].start = NULL;
    held[at].bytes = 0;
}

void held_check(unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at++) {
        size_t bytes = held[at].bytes;
        CHECK(held[at].start == NULL || is_marked(held[at].start, bytes, bytes, at));
    }
}

void held_drop_all(unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at++) {
        held_drop(at);
    }
}
