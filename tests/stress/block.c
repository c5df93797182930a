/* SPDX-License-Identifier: MIT */
#include "block.h"

#include "api.h"
#include "support.h"

#include <errno.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define PAGE ((size_t)4096)

/* Blocks up to this size are compared byte for byte, larger ones as check_sampled() says. */
#define CHECK_ALL_MAX (64 * KIB)
#define PAGE_EDGE ((size_t)64)
#define PAGE_SAMPLES 4

/* A value no allocator sets, to see whether errno was touched. */
#define ERRNO_MARK 4242

struct block_rules block_rules;

/* Sanitizers call a block of 0 bytes 1 byte long, yet forbid to touch it: ours alone is used. */
static size_t patterned(const struct block *block)
{
    return block->size == 0 && !block_rules.strict ? 0 : block->usable;
}

/* --- pattern --------------------------------------------------------------------------- */

static uint64_t pattern_key(const struct block *block)
{
    uint64_t key = mix64((uint64_t)(uintptr_t)block->address);
    key = mix64(key ^ (uint64_t)block->size);
    return mix64(key ^ block->serial);
}

static inline uint64_t pattern_word(uint64_t key, size_t index)
{
    return (key + (uint64_t)index) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline unsigned char pattern_byte(uint64_t key, size_t offset)
{
    uint64_t word = pattern_word(key, offset / WORD);
    return ((const unsigned char *)&word)[offset % WORD];
}

static void pattern_write(unsigned char *address, uint64_t key, size_t bytes)
{
    size_t offset = 0;
    for (; offset + WORD <= bytes; offset += WORD) {
        uint64_t word = pattern_word(key, offset / WORD);
        memcpy(address + offset, &word, WORD);
    }
    for (; offset < bytes; offset++)
        address[offset] = pattern_byte(key, offset);
}

/* The first offset in [from, to) whose byte is wrong, or `to`. */
static size_t pattern_differs(const unsigned char *address, uint64_t key, size_t from, size_t to)
{
    size_t offset = from;
    for (; offset < to; offset++) {
        while (offset % WORD == 0 && offset + WORD <= to) {
            uint64_t word;
            memcpy(&word, address + offset, WORD);
            if (word != pattern_word(key, offset / WORD))
                break;
            offset += WORD;
        }
        if (offset < to && address[offset] != pattern_byte(key, offset))
            return offset;
    }
    return to;
}

/* --- checks ---------------------------------------------------------------------------- */

/* `pattern` says what was written, `address` where it must be now (they differ after realloc). */
struct pattern {
    const struct block *written;
    const unsigned char *address;
    uint64_t key;
    const char *when;
};

static void check_range(struct actor *who, const struct pattern *pattern, size_t from, size_t to)
{
    size_t offset = pattern_differs(pattern->address, pattern->key, from, to);
    if (offset == to)
        return;
    stress_fail(who->id, pattern->address, offset,
                "%s: byte is 0x%02x, not 0x%02x (size %zu, usable %zu, serial %llu)",
                pattern->when, pattern->address[offset], pattern_byte(pattern->key, offset),
                pattern->written->size, pattern->written->usable,
                (unsigned long long)pattern->written->serial);
}

/* Head, tail and a few random words of every page: each page is seen, few bytes are read. */
static void check_sampled(struct actor *who, const struct pattern *pattern, size_t bytes)
{
    size_t start = 0;
    while (start < bytes) {
        size_t end = start + PAGE - ((uintptr_t)pattern->address + start) % PAGE;
        if (end > bytes)
            end = bytes;
        size_t edge = end - start < PAGE_EDGE ? end - start : PAGE_EDGE;
        check_range(who, pattern, start, start + edge);
        check_range(who, pattern, end - edge, end);
        for (int i = 0; i < PAGE_SAMPLES; i++) {
            size_t offset = start + rng_below(&who->rng, end - start);
            check_range(who, pattern, offset, offset + WORD < end ? offset + WORD : end);
        }
        start = end;
    }
}

static void check_pattern(struct actor *who, const struct pattern *pattern, size_t bytes)
{
    if (bytes <= CHECK_ALL_MAX)
        check_range(who, pattern, 0, bytes);
    else
        check_sampled(who, pattern, bytes);
}

static void check_usable(struct actor *who, const struct block *block)
{
    size_t usable = API_USABLE(block->address);
    if (usable != block->usable)
        stress_fail(who->id, block->address, 0,
                    "usable size changed from %zu to %zu (size %zu, serial %llu)", block->usable,
                    usable, block->size, (unsigned long long)block->serial);
}

void block_check(struct actor *who, const struct block *block)
{
    struct pattern pattern = {block, block->address, pattern_key(block), "held block"};
    check_usable(who, block);
    check_pattern(who, &pattern, patterned(block));
}

static void check_zero(struct actor *who, const unsigned char *address, size_t bytes)
{
    size_t offset = 0;
    uint64_t word = 0;
    for (; offset + WORD <= bytes && word == 0; offset += WORD)
        memcpy(&word, address + offset, WORD);
    if (word != 0)
        offset -= WORD;
    for (; offset < bytes; offset++)
        if (address[offset] != 0)
            stress_fail(who->id, address, offset, "calloc(%zu): byte is 0x%02x, not 0", bytes,
                        address[offset]);
}

static void check_alignment(struct actor *who, const struct block *block)
{
    size_t align = block->align;
    size_t least = block_rules.strict || block->size >= 16 ? 16 : 8;
    if (align < least)
        align = least;
    if ((uintptr_t)block->address % align != 0)
        stress_fail(who->id, block->address, 0, "not aligned to %zu (size %zu)", align,
                    block->size);
}

/* --- operations ------------------------------------------------------------------------ */

/* Counts a NULL. `error` is errno, or what posix_memalign returned. */
static void refused(struct actor *who, const char *call, size_t size, int error)
{
    if (!block_rules.may_fail)
        stress_fail(who->id, NULL, 0, "%s(%zu) refused, error %d", call, size, error);
    if (error != ENOMEM)
        stress_fail(who->id, NULL, 0, "%s(%zu) refused with error %d, not ENOMEM", call, size,
                    error);
    who->refused++;
}

/* Takes a fresh block into the books: checks what the allocator promised, writes the pattern. */
static void enter(struct actor *who, struct block *block)
{
    block->serial = who->serial++;
    block->usable = API_USABLE(block->address);
    if (block->usable < block->size)
        stress_fail(who->id, block->address, 0, "usable size %zu < requested %zu", block->usable,
                    block->size);
    check_alignment(who, block);
    pattern_write(block->address, pattern_key(block), patterned(block));
    who->written += patterned(block);
}

bool block_malloc(struct actor *who, struct block *block, size_t size)
{
    who->ops++;
    errno = 0;
    *block = (struct block){.address = api_seen(API(malloc)(size)), .size = size, .sized = true};
    if (block->address == NULL) {
        refused(who, "malloc", size, errno);
        return false;
    }
    enter(who, block);
    return true;
}

bool block_calloc(struct actor *who, struct block *block, size_t size)
{
    /* Both factors matter: as count x element where the size allows it. */
    size_t element = size % 8 == 0 ? 8 : 1;
    who->ops++;
    errno = 0;
    *block = (struct block){.address = api_seen(API(calloc)(size / element, element)),
                            .size = size, .sized = true};
    if (block->address == NULL) {
        refused(who, "calloc", size, errno);
        return false;
    }
    check_zero(who, block->address, size);
    enter(who, block);
    return true;
}

static bool aligned_posix(struct actor *who, struct block *block)
{
    static char untouched;
    void *address = &untouched;
    errno = ERRNO_MARK;
    int error = API(posix_memalign)(&address, block->align, block->size);
    if (error == 0) {
        block->address = api_seen(address);
        return true;
    }
    if (block_rules.strict && (errno != ERRNO_MARK || address != &untouched))
        stress_fail(who->id, address, 0, "refused posix_memalign changed errno or the pointer");
    refused(who, "posix_memalign", block->size, error);
    return false;
}

bool block_aligned(struct actor *who, struct block *block, size_t align, size_t size)
{
    who->ops++;
    errno = 0;
    *block = (struct block){.size = size, .align = align};
    size_t call = rng_below(&who->rng, 3);
    if (call == 0) {
        if (!aligned_posix(who, block))
            return false;
    } else if (call == 1) {
        block->address = api_seen(API(memalign)(align, size));
    } else {
        /* C11 before its defect report wanted a multiple; some checkers still do. */
        block->size = (size + align - 1) / align * align;
        block->sized = true;
        block->address = api_seen(API(aligned_alloc)(align, block->size));
    }
    if (block->address == NULL) {
        refused(who, call == 1 ? "memalign" : "aligned_alloc", block->size, errno);
        return false;
    }
    enter(who, block);
    return true;
}

/* What a NULL from realloc means: freed (size 0), or refused with the block left as it was. */
static void realloc_null(struct actor *who, struct block *block, size_t size)
{
    if (size == 0) {
        block->address = NULL;
        return;
    }
    refused(who, "realloc", size, errno);
    block_check(who, block);
}

void block_realloc(struct actor *who, struct block *block, size_t size)
{
    block_check(who, block);
    struct block old = *block;
    struct pattern pattern = {&old, NULL, pattern_key(&old), "after realloc"};
    bool as_array = size % 8 == 0 && size != 0 && rng_below(&who->rng, 2) == 0;
    who->ops++;
    errno = 0;
    void *moved = api_seen(as_array ? API(reallocarray)(block->address, size / 8, 8)
                                    : API(realloc)(block->address, size));
    if (moved == NULL) {
        realloc_null(who, block, size);
        return;
    }
    if (size == 0 && block_rules.strict)
        stress_fail(who->id, moved, 0, "realloc(p, 0) did not return NULL");
    *block = (struct block){.address = moved, .size = size, .sized = true};
    pattern.address = moved;
    check_pattern(who, &pattern, size < patterned(&old) ? size : patterned(&old));
    enter(who, block);
}

void block_free(struct actor *who, const struct block *block)
{
    block_check(who, block);
    who->ops++;
    errno = ERRNO_MARK;
    if (block->sized && rng_below(&who->rng, 4) == 0)
        api_free_sized(block->address, block->align, block->size);
    else
        API(free)(block->address);
    if (block_rules.strict && errno != ERRNO_MARK)
        stress_fail(who->id, block->address, 0, "free changed errno to %d", errno);
}
