/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <string.h>

#include <hakmem/hakmem.h>

#include "memory.h"

/* Requests within these must succeed while the system gives memory. */
#define SIZE_SURE ((size_t)16 << 20)
#define LIVE_SURE ((size_t)256 << 20)

enum {
    WHOLE_BYTES_MAX = 8 << 10, /* blocks up to here carry the pattern everywhere */
    SAMPLE_BYTES = 64,         /* larger ones in their last bytes, and so many at every step */
    STEP_BYTES_MIN = 8 << 10,
    STEPS_MAX = 8,
    ZERO_BYTES_MAX = 2 << 20,
    WORD_BYTES = 8,
    KEY_SHIFT = 40,            /* the keys of two blocks are further apart than their words */
};

struct block model_blocks[MODEL_BLOCKS];
static uint16_t order[MODEL_BLOCKS]; /* slots of live blocks by address */
static size_t count;
static size_t live_bytes; /* of the address space, roughly */
static size_t next_key;
static bool may_fail;

/* ---- pattern ---- */

typedef bool visit(unsigned char *at, size_t bytes, size_t key);

static size_t step_of(size_t usable)
{
    size_t step = STEP_BYTES_MIN;
    while (usable / step > STEPS_MAX) {
        step *= 2;
    }
    return step;
}

/* Visits the stretches that carry the pattern of a block of `usable` bytes, as far as they lie in
 * its first `bytes`; false as soon as a visit is. */
static bool each_stretch(unsigned char *p, size_t usable, size_t bytes, size_t key, visit *see)
{
    if (usable <= WHOLE_BYTES_MAX) {
        return see(p, bytes, key);
    }
    size_t step = step_of(usable);
    size_t tail = (usable - SAMPLE_BYTES) / WORD_BYTES * WORD_BYTES;
    for (size_t at = 0; at < tail && at < bytes; at += step) {
        size_t n = bytes - at < SAMPLE_BYTES ? bytes - at : SAMPLE_BYTES;
        if (!see(p + at, n, key + at / WORD_BYTES)) {
            return false;
        }
    }
    return tail >= bytes || see(p + tail, bytes - tail, key + tail / WORD_BYTES);
}

static bool see_fill(unsigned char *at, size_t bytes, size_t key)
{
    memory_fill(at, bytes, key);
    return true;
}

static bool see_pattern(unsigned char *at, size_t bytes, size_t key)
{
    return memory_holds(at, bytes, key);
}

static bool see_zero(unsigned char *at, size_t bytes, size_t key)
{
    (void)key;
    return memory_is_zero(at, bytes);
}

void model_check_kept(const struct block *block, void *p, size_t bytes)
{
    size_t n = bytes < block->usable ? bytes : block->usable;
    FUZZ_CHECK(each_stretch(p, block->usable, n, block->key, see_pattern),
               "realloc of %zu bytes (usable %zu) to %zu lost contents", block->size,
               block->usable, bytes);
}

/* Old contents may be anywhere: all is read as far as that does not take too long. */
void model_check_zero(void *p, size_t bytes)
{
    bool zero = bytes <= ZERO_BYTES_MAX ? memory_is_zero(p, bytes)
                                        : each_stretch(p, bytes, bytes, 0, see_zero);
    FUZZ_CHECK(zero, "calloc of %zu bytes is not zero", bytes);
}

/* ---- order ---- */

/* The number of live blocks that start below p. */
static size_t position(const unsigned char *p)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (model_blocks[order[middle]].address < p) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void check_apart(const struct block *low, const struct block *high)
{
    FUZZ_CHECK(low->address + low->usable <= high->address,
               "blocks overlap: %zu bytes at %p and %zu bytes at %p", low->usable,
               (void *)low->address, high->usable, (void *)high->address);
}

static size_t footprint(const struct block *b)
{
    return b->usable > b->align ? b->usable : b->align;
}

static void insert(unsigned slot)
{
    const struct block *b = &model_blocks[slot];
    size_t at = position(b->address);
    if (at > 0) {
        check_apart(&model_blocks[order[at - 1]], b);
    }
    if (at < count) {
        check_apart(b, &model_blocks[order[at]]);
    }
    memmove(&order[at + 1], &order[at], (count - at) * sizeof *order);
    order[at] = (uint16_t)slot;
    count++;
    live_bytes += footprint(b);
}

static void extract(unsigned slot)
{
    size_t at = position(model_blocks[slot].address);
    count--;
    memmove(&order[at], &order[at + 1], (count - at) * sizeof *order);
    live_bytes -= footprint(&model_blocks[slot]);
}

/* ---- blocks ---- */

void model_clear(void)
{
    memset(model_blocks, 0, sizeof model_blocks);
    count = live_bytes = next_key = 0;
    may_fail = false;
}

void model_allow_failure(bool allowed)
{
    may_fail = allowed;
}

void model_failed(size_t size, size_t align)
{
    bool sure = size <= SIZE_SURE && align <= SIZE_SURE && live_bytes <= LIVE_SURE;
    FUZZ_CHECK(may_fail || !sure, "%zu bytes aligned to %zu are refused, %zu are live", size, align,
               live_bytes);
}

void model_enter(unsigned slot, void *p, size_t size, size_t align)
{
    struct block *b = &model_blocks[slot];
    size_t least = align > 16 ? align : 16;
    *b = (struct block){p, size, hak_usable_size(p), align, ++next_key << KEY_SHIFT};
    FUZZ_CHECK((uintptr_t)p % least == 0, "%p (%zu bytes) is not aligned to %zu", p, size, least);
    FUZZ_CHECK(b->usable >= size, "usable size %zu of %zu bytes", b->usable, size);
    FUZZ_CHECK(b->usable > 0, "usable size 0");
    fuzz_trace("   slot %u is %p, %zu bytes", slot, p, b->usable);
    insert(slot);
    each_stretch(p, b->usable, b->usable, b->key, see_fill);
}

void model_check(unsigned slot)
{
    const struct block *b = &model_blocks[slot];
    size_t usable = hak_usable_size(b->address);
    FUZZ_CHECK(usable == b->usable, "usable size of %p (%zu bytes) has become %zu, it was %zu",
               (void *)b->address, b->size, usable, b->usable);
    FUZZ_CHECK(each_stretch(b->address, usable, usable, b->key, see_pattern),
               "the contents of %p (%zu bytes, slot %u) have changed", (void *)b->address, b->size,
               slot);
}

void model_check_all(void)
{
    for (size_t i = 0; i < count; i++) {
        model_check(order[i]);
    }
}

struct block model_leave(unsigned slot)
{
    model_check(slot);
    struct block block = model_blocks[slot];
    extract(slot);
    model_blocks[slot].address = NULL;
    return block;
}

void model_return(unsigned slot, const struct block *block)
{
    model_blocks[slot] = *block;
    insert(slot);
    model_check(slot);
}

unsigned model_find(unsigned slot, bool live)
{
    for (unsigned i = 0; i < MODEL_BLOCKS; i++) {
        unsigned at = (slot + i) % MODEL_BLOCKS;
        if ((model_blocks[at].address != NULL) == live) {
            return at;
        }
    }
    return MODEL_BLOCKS;
}
