/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <hakmem/hakmem.h>

enum { ERRNO_MARK = 4242 }; /* no call sets such an errno */

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* A call returned NULL for a request that is valid. */
static void refused(size_t size, size_t align, int error)
{
    FUZZ_CHECK(error == ENOMEM, "%zu bytes aligned to %zu: errno is %d, not ENOMEM", size, align,
               error);
    model_failed(size, align);
}

/* ---- new blocks ---- */

/* p was returned for an ordinary request; errno was ERRNO_MARK before. */
static void take(unsigned slot, void *p, size_t size)
{
    if (p == NULL) {
        refused(size, 1, errno);
        return;
    }
    model_enter(slot, p, size, 1);
}

static void check_good(unsigned slot, size_t size)
{
    size_t good = hak_good_size(size);
    size_t usable = model_blocks[slot].usable;
    FUZZ_CHECK(model_blocks[slot].address == NULL || good <= usable,
               "good size %zu of %zu bytes, usable size %zu", good, size, usable);
}

void call_malloc(unsigned slot, size_t size)
{
    errno = ERRNO_MARK;
    take(slot, hak_malloc(size), size);
    check_good(slot, size);
}

void call_calloc(unsigned slot, size_t count, size_t size)
{
    size_t bytes;
    bool overflows = __builtin_mul_overflow(count, size, &bytes);
    errno = ERRNO_MARK;
    void *p = hak_calloc(count, size);
    if (overflows) {
        FUZZ_CHECK(p == NULL && errno == ENOMEM, "calloc(%zu, %zu) is %p, errno %d", count, size, p,
                   errno);
        return;
    }
    if (p != NULL) {
        model_check_zero(p, bytes);
    }
    take(slot, p, bytes);
    check_good(slot, bytes);
}

static void *posix_memalign_result(size_t align, size_t size, int *error)
{
    static char untouched;
    void *p = &untouched;
    errno = ERRNO_MARK;
    *error = hak_posix_memalign(&p, align, size);
    FUZZ_CHECK(errno == ERRNO_MARK, "posix_memalign set errno to %d", errno);
    if (*error == 0) {
        FUZZ_CHECK(p != &untouched && p != NULL, "posix_memalign gives no block");
        return p;
    }
    FUZZ_CHECK(p == &untouched, "posix_memalign failed and changed the pointer");
    return NULL;
}

static void *aligned_result(enum call_aligned kind, size_t align, size_t size, int *error)
{
    if (kind == CALL_POSIX_MEMALIGN) {
        return posix_memalign_result(align, size, error);
    }
    errno = ERRNO_MARK;
    void *p = kind == CALL_MEMALIGN ? hak_memalign(align, size) : hak_aligned_alloc(align, size);
    *error = errno;
    return p;
}

/* The alignment the block must have; 0 if the call must refuse it with EINVAL. */
static size_t aligned_expected(enum call_aligned kind, size_t align)
{
    if (kind == CALL_MEMALIGN) {
        size_t up = 1;
        while (up < align && up <= SIZE_MAX / 4) {
            up *= 2;
        }
        return align <= up ? up : align <= 2 * up ? 2 * up : 0;
    }
    bool whole = kind == CALL_ALIGNED_ALLOC || align % sizeof(void *) == 0;
    return is_power_of_two(align) && whole ? align : 0;
}

void call_aligned(enum call_aligned kind, unsigned slot, size_t align, size_t size)
{
    int error = 0;
    size_t expected = aligned_expected(kind, align);
    void *p = aligned_result(kind, align, size, &error);
    if (expected == 0) {
        FUZZ_CHECK(p == NULL && error == EINVAL, "alignment %zu: result %p, error %d", align, p,
                   error);
    } else if (p == NULL) {
        refused(size, expected, error);
    } else {
        model_enter(slot, p, size, expected);
    }
}

void call_page_aligned(unsigned slot, size_t size, bool whole_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    errno = ERRNO_MARK;
    void *p = whole_pages ? hak_pvalloc(size) : hak_valloc(size);
    if (p == NULL) {
        refused(size, page, errno);
        return;
    }
    size_t up = size == 0 ? page : (size + page - 1) / page * page;
    model_enter(slot, p, whole_pages ? up : size, page);
}

/* ---- blocks that change ---- */

static void *realloc_result(void *p, size_t count, size_t size, bool as_array)
{
    errno = ERRNO_MARK;
    return as_array ? hak_reallocarray(p, count, size) : hak_realloc(p, count * size);
}

/* Size 0 frees the block; otherwise it is as it was. */
static void realloc_null(unsigned slot, const struct block *old, size_t bytes, bool overflows)
{
    int error = errno;
    if (bytes == 0 && !overflows) {
        FUZZ_CHECK(error == ERRNO_MARK, "realloc to 0 bytes set errno to %d", error);
        return;
    }
    FUZZ_CHECK(error == ENOMEM, "realloc to %zu bytes: errno is %d, not ENOMEM", bytes, error);
    if (!overflows) {
        FUZZ_CHECK(bytes > old->usable, "realloc from %zu to %zu bytes is refused", old->usable,
                   bytes);
        model_failed(bytes, 1);
    }
    model_return(slot, old);
}

static void realloc_any(unsigned slot, size_t count, size_t size, bool as_array)
{
    size_t bytes;
    bool overflows = __builtin_mul_overflow(count, size, &bytes);
    bool is_new = model_blocks[slot].address == NULL;
    struct block old = is_new ? (struct block){0} : model_leave(slot);
    void *p = realloc_result(old.address, count, size, as_array);
    FUZZ_CHECK(p == NULL || !overflows, "reallocarray(%zu, %zu) is %p", count, size, p);
    if (is_new && !overflows) {
        take(slot, p, bytes);
    } else if (is_new) {
        FUZZ_CHECK(errno == ENOMEM, "reallocarray(%zu, %zu) set errno to %d", count, size, errno);
    } else if (p == NULL) {
        realloc_null(slot, &old, bytes, overflows);
    } else {
        FUZZ_CHECK(bytes != 0, "realloc to 0 bytes is %p", p);
        model_check_kept(&old, p, bytes);
        model_enter(slot, p, bytes, 1);
    }
}

void call_realloc(unsigned slot, size_t size)
{
    realloc_any(slot, 1, size, false);
}

void call_reallocarray(unsigned slot, size_t count, size_t size)
{
    realloc_any(slot, count, size, true);
}

void call_free(enum call_free kind, unsigned slot)
{
    struct block b = model_leave(slot);
    errno = ERRNO_MARK;
    if (kind == CALL_FREE_SIZED && b.align > 1) {
        hak_free_aligned_sized(b.address, b.align, b.size);
    } else if (kind == CALL_FREE_SIZED) {
        hak_free_sized(b.address, b.size);
    } else if (kind == CALL_FREE_REALLOC) {
        FUZZ_CHECK(hak_realloc(b.address, 0) == NULL, "realloc to 0 bytes gives a block");
    } else {
        hak_free(b.address);
    }
    FUZZ_CHECK(errno == ERRNO_MARK, "free set errno to %d", errno);
}

/* ---- without a block ---- */

void call_good_size(size_t size)
{
    size_t good = hak_good_size(size);
    FUZZ_CHECK(good >= size, "good size %zu of %zu bytes", good, size);
    FUZZ_CHECK(hak_good_size(good) == good, "good size %zu of %zu bytes can be bettered", good,
               size);
}

void call_foreign(unsigned which, size_t size)
{
    static char variable[64];
    char local[64];
    void *foreign[] = {NULL, variable, local, (void *)(uintptr_t)4096, (void *)UINTPTR_MAX};
    size_t n = sizeof foreign / sizeof *foreign;
    void *p = foreign[which % n];
    errno = ERRNO_MARK;
    hak_free(p);
    FUZZ_CHECK(errno == ERRNO_MARK, "free of a foreign pointer set errno to %d", errno);
    FUZZ_CHECK(hak_usable_size(p) == 0, "a foreign pointer has a usable size");
    if (p != NULL && size != 0) {
        FUZZ_CHECK(hak_realloc(p, size) == NULL && errno == ENOMEM,
                   "realloc of a foreign pointer did not fail with ENOMEM (errno %d)", errno);
    }
}
