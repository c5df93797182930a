/* SPDX-License-Identifier: MIT */
/*
 * Goal: no sequence of calls, made by several threads on each other's blocks, makes the allocator
 * break a promise.
 * Method: an input is two bytes of setting and then operations of OP_BYTES bytes, carried out by
 * threads that take turns (turns.h) and compared with a model (model.h) call by call. The allocator
 * has tiny limits, so that a few blocks fill lists, parcels and heaps; system calls fail and time
 * passes when the input says so. In the end all is freed and purged, and nothing may be left.
 */
#include <pthread.h>
#include <string.h>

#include <hakmem/hakmem.h>

#include "base/limits.h"
#include "calls.h"
#include "os/os.h"
#include "rewind.h"
#include "turns.h"

enum {
    HEAD_BYTES = 2,
    OP_BYTES = 5,
    OPS_MAX = 400,        /* of one input; more is ignored */
    CHECK_EVERY = 16,     /* operations between two walks over the whole heap */
    CLEAN_ROUNDS = 4,     /* purges by every thread until everything must be home */
    PARTING_ROUNDS = 4,   /* of key destructors, the heap goes in the second */
    MANY_MAX = 32,        /* blocks of one size at once, */
    MANY_BYTES_MAX = 512 << 10, /* and their sum */
    GROWTHS_MAX = 4,
    COPY_BYTES_MAX = 4 << 20, /* a block beyond this is not changed but freed: copies take long */
    CLEAR_BYTES_MAX = 32 << 20,
};

/* One operation, as read: what to do, with which slot, and three bytes that mean what `kind` says. */
struct op {
    uint8_t kind;
    uint8_t a, b, c;
    unsigned slot;
};

static struct {
    const uint8_t *data;
    size_t left;
    unsigned ops;
    bool freed;          /* the end: everything is freed, now threads purge in turn */
    unsigned cleanings;
    bool system_failed;  /* some time or other: memory may be lost for good */
    uint32_t has_heap;   /* threads that may hold memory back */
    struct op parting;   /* of the thread that ends: its rounds left in c */
} game;

static pthread_key_t parting_key;

/* ---- sizes and alignments ---- */

static size_t huge_size(unsigned which, uint8_t b)
{
    switch (which) {
    case 0:
        return SIZE_MAX - b;
    case 1:
        return (size_t)PTRDIFF_MAX - b;
    case 2:
        return (size_t)PTRDIFF_MAX + 1 + b;
    case 3:
        return (size_t)1 << b % 64;
    case 4:
        return (size_t)(b % 20 + 1) << 30;
    default:
        return (size_t)(b + 1) << (which == 5 ? 16 : 12);
    }
}

/* Small ones more often; around powers of two and their eighths, and at the edges of classes. */
static size_t size_of(uint8_t a, uint8_t b)
{
    static const uint8_t shift[32] = {0,  0,  0,  0,  4,  5,  6,  7,  8,  8,  9,  9,  10, 10, 11, 11,
                                      12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 18, 20, 21, 0,  0};
    unsigned scale = a >> 3;
    unsigned eighths = a & 7;
    if (scale == 31) {
        return huge_size(eighths, b);
    }
    if (scale == 30) { /* the end of a class, and one byte more */
        return hak_good_size((eighths * 128u + b / 2u) * 64u) + b % 2u;
    }
    size_t base = ((size_t)(8 + eighths) << shift[scale]) >> 3;
    return scale < 4 ? b : base + b % 32u - 16u;
}

static size_t align_of(uint8_t c)
{
    if (c < 200) {
        return (size_t)1 << c % 17;
    }
    if (c < 232) {
        return (size_t)1 << (17 + c % 8);
    }
    if (c < 248) {
        return (size_t)(c - 232) * 24;
    }
    return (size_t)(c % 2 == 0 ? 128 : 255) << (49 + c % 8);
}

/* ---- operations ---- */

enum kind {
    OP_MALLOC, OP_CALLOC, OP_REALLOC, OP_REALLOCARRAY, OP_ALIGNED, OP_PAGE_ALIGNED, OP_FREE,
    OP_MALLOC_MANY, OP_FREE_MANY, OP_GROW, OP_CHECK, OP_GOOD_SIZE, OP_FOREIGN, OP_PURGE,
    OP_SYSTEM_FAILS, OP_TIME, OP_TURN, OP_END, OP_KINDS
};

/* The first five bits of an operation choose from here, so that the common ones come more often. */
static const uint8_t kinds[32] = {
    OP_MALLOC,      OP_MALLOC,      OP_CALLOC,      OP_CALLOC,    OP_REALLOC,      OP_REALLOC,
    OP_REALLOC,     OP_REALLOCARRAY, OP_ALIGNED,    OP_ALIGNED,   OP_PAGE_ALIGNED, OP_FREE,
    OP_FREE,        OP_FREE,        OP_MALLOC_MANY, OP_MALLOC_MANY, OP_MALLOC_MANY, OP_FREE_MANY,
    OP_FREE_MANY,   OP_FREE_MANY,   OP_GROW,        OP_GROW,      OP_CHECK,        OP_GOOD_SIZE,
    OP_FOREIGN,     OP_PURGE,       OP_SYSTEM_FAILS, OP_TIME,     OP_TURN,         OP_TURN,
    OP_TURN,        OP_END,
};

static void free_at(unsigned slot, unsigned kind)
{
    unsigned at = model_find(slot, true);
    if (at < MODEL_BLOCKS) {
        call_free((enum call_free)(kind % CALL_FREE_KINDS), at);
    }
}

static void malloc_many(const struct op *op)
{
    size_t size = size_of(op->a, op->b);
    unsigned step = op->c / MANY_MAX + 1;
    for (unsigned i = 0; i <= op->c % MANY_MAX && i * size <= MANY_BYTES_MAX; i++) {
        unsigned at = model_find((op->slot + i * step) % MODEL_BLOCKS, false);
        if (at == MODEL_BLOCKS) {
            return;
        }
        call_malloc(at, size);
    }
}

static void free_many(const struct op *op)
{
    unsigned step = op->c / MANY_MAX + 1;
    for (unsigned i = 0; i <= op->c % MANY_MAX; i++) {
        free_at((op->slot + i * step) % MODEL_BLOCKS, op->a);
    }
}

/* How often a calloc or reallocarray repeats its size. */
static size_t count_of(const struct op *op)
{
    return op->c % 32 == 0 ? size_of(op->c, op->a) : op->c % 4 + 1u;
}

/* Most often a block that is there, else a slot without one. */
static void change_block(const struct op *op)
{
    size_t size = size_of(op->a, op->b);
    unsigned at = op->c % 8 == 0 ? op->slot : model_find(op->slot, true) % MODEL_BLOCKS;
    if (model_blocks[at].address != NULL && model_blocks[at].usable > COPY_BYTES_MAX) {
        call_free(CALL_FREE, at);
    } else if (op->kind == OP_REALLOC) {
        call_realloc(at, size);
    } else {
        call_reallocarray(at, count_of(op), size);
    }
}

/* A vector at work: the block grows by a factor, several times. */
static void grow(const struct op *op)
{
    unsigned at = model_find(op->slot, true);
    for (unsigned i = 0; at < MODEL_BLOCKS && i <= op->c % GROWTHS_MAX; i++) {
        size_t usable = model_blocks[at].usable;
        if (model_blocks[at].address == NULL || usable > COPY_BYTES_MAX) {
            return;
        }
        call_realloc(at, usable + usable / 8 * (op->a % 16u) + op->b);
    }
}

/* A calloc of gigabytes that were in use before clears them all. */
static bool is_long_to_clear(size_t count, size_t size)
{
    size_t bytes;
    return !__builtin_mul_overflow(count, size, &bytes) && bytes > CLEAR_BYTES_MAX &&
           bytes <= ARENA_BYTES_MAX;
}

static void new_block(const struct op *op)
{
    unsigned at = model_find(op->slot, false);
    size_t size = size_of(op->a, op->b);
    if (at == MODEL_BLOCKS) {
        return;
    }
    if (op->kind == OP_CALLOC && !is_long_to_clear(count_of(op), size)) {
        call_calloc(at, count_of(op), size);
    } else if (op->kind == OP_MALLOC || op->kind == OP_CALLOC) {
        call_malloc(at, size);
    } else if (op->kind == OP_ALIGNED) {
        call_aligned((enum call_aligned)(op->slot % CALL_ALIGNED_KINDS), at, align_of(op->c), size);
    } else {
        call_page_aligned(at, size, op->c % 2 != 0);
    }
}

static void system_fails(const struct op *op)
{
    uint32_t every = op->a % 2 == 0 ? 0 : op->b % 8u + 1u;
    os_fail_every(every);
    model_allow_failure(every != 0);
    game.system_failed = game.system_failed || every != 0;
}

/* Everything but turns and ends of threads. */
static void carry_out(const struct op *op)
{
    switch ((enum kind)op->kind) {
    case OP_REALLOC:
    case OP_REALLOCARRAY:
        change_block(op);
        break;
    case OP_FREE:
        free_at(op->slot, op->a);
        break;
    case OP_MALLOC_MANY:
        malloc_many(op);
        break;
    case OP_FREE_MANY:
        free_many(op);
        break;
    case OP_GROW:
        grow(op);
        break;
    case OP_CHECK:
        model_check_all();
        break;
    case OP_GOOD_SIZE:
        call_good_size(size_of(op->a, op->b));
        break;
    case OP_FOREIGN:
        call_foreign(op->c, size_of(op->a, op->b));
        break;
    case OP_PURGE:
        hak_purge();
        break;
    case OP_SYSTEM_FAILS:
        system_fails(op);
        break;
    case OP_TIME:
        rewind_pass_ms(op->a);
        break;
    default:
        new_block(op);
        break;
    }
}

static bool next_op(struct op *op)
{
    if (game.left < OP_BYTES || game.ops == OPS_MAX) {
        return false;
    }
    const uint8_t *d = game.data;
    *op = (struct op){.kind = kinds[d[0] >> 3], .slot = (unsigned)d[1] | (d[0] & 1u) << 8,
                      .a = d[2], .b = d[3], .c = d[4]};
    game.data += OP_BYTES;
    game.left -= OP_BYTES;
    game.ops++;
    return true;
}

static void check_heap(const char *when)
{
    FUZZ_CHECK(hak_check(), "the heap is not sound %s (operation %u)", when, game.ops);
}

/* ---- the end of a thread ---- */

/* Three threads most of the time; more than there are heaps now and then. */
static unsigned thread_of(uint8_t a)
{
    return a < 224 ? a % 3u : a % TURNS_THREADS;
}

/* A destructor that frees and allocates: before, and after, the thread's heap has gone. */
static void part(void *parting)
{
    struct op *op = parting;
    free_at(op->slot, op->a);
    unsigned at = model_find(op->slot, false);
    if (at < MODEL_BLOCKS && op->b != 0) {
        call_malloc(at, size_of((uint8_t)(op->b % 224u), op->a));
    }
    op->slot = (op->slot + 1) % MODEL_BLOCKS;
    if (op->c-- > 1) {
        pthread_setspecific(parting_key, op);
    }
}

/* A thread without a heap has nothing to end with, and stays for the next input. */
static struct turn end_thread(unsigned self, const struct op *op)
{
    bool ends = op->b % 4 == 0 && rewind_has_heap();
    if (ends && op->c % (PARTING_ROUNDS + 1) != 0) {
        game.parting = *op;
        game.parting.c = op->c % (PARTING_ROUNDS + 1);
        pthread_setspecific(parting_key, &game.parting);
    }
    if (ends) {
        game.has_heap &= ~((uint32_t)1 << self);
    }
    return (struct turn){thread_of(op->c), ends};
}

/* ---- the end of the game ---- */

static void free_all(void)
{
    os_fail_every(0);
    model_allow_failure(false);
    model_check_all();
    for (unsigned at; (at = model_find(0, true)) < MODEL_BLOCKS;) {
        call_free(CALL_FREE, at);
    }
    check_heap("with all blocks freed");
    game.freed = true;
}

/* The next thread that may hold memory back, round and round. */
static unsigned next_cleaner(unsigned self)
{
    for (unsigned i = 1; i <= TURNS_THREADS; i++) {
        unsigned at = (self + i) % TURNS_THREADS;
        if ((game.has_heap >> at & 1) != 0) {
            return at;
        }
    }
    return self;
}

/* Blocks in parcels go home as their owners purge; those of slabs that moved on need another one. */
static struct turn clean_up(unsigned self)
{
    if (!game.freed) {
        free_all();
    }
    hak_purge();
    size_t used = rewind_used_granules();
    if (used == 0 || game.cleanings++ == CLEAN_ROUNDS * TURNS_THREADS) {
        check_heap("after the purge");
        FUZZ_CHECK(used == 0 || game.system_failed,
                   "%zu granules are in use after everything was freed and purged", used);
        return (struct turn){TURNS_OVER, false};
    }
    return (struct turn){next_cleaner(self), false};
}

/* ---- turns ---- */

static struct turn play(unsigned self, bool is_first)
{
    if (is_first) {
        rewind_thread();
    }
    struct turn turn = {self, false};
    for (struct op op; !game.freed && turn.next == self && !turn.ends && next_op(&op);) {
        fuzz_trace("%u: thread %u kind %u slot %u size %zu a %u b %u c %u", game.ops, self, op.kind,
                   op.slot, size_of(op.a, op.b), op.a, op.b, op.c);
        if (op.kind == OP_TURN) {
            turn.next = thread_of(op.a);
        } else if (op.kind == OP_END) {
            turn = end_thread(self, &op);
        } else {
            carry_out(&op);
        }
        if (game.ops % CHECK_EVERY == 0) {
            check_heap("between operations");
        }
    }
    if (!turn.ends && turn.next == self) {
        turn = clean_up(self);
    }
    if (!turn.ends && rewind_has_heap()) { /* freeing may have given it one, too */
        game.has_heap |= (uint32_t)1 << self;
    }
    return turn;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        started = true;
        FUZZ_CHECK(pthread_key_create(&parting_key, part) == 0, "no thread-specific key");
    }
    if (size < HEAD_BYTES) {
        return 0;
    }
    rewind_allocator();
    rewind_set_route(data[0] < 192 ? 0 : data[0] % 3u);
    rewind_set_force_slow(data[1] < 192 ? 0 : data[1] % 8u);
    model_clear();
    memset(&game, 0, sizeof game);
    game.data = data + HEAD_BYTES;
    game.left = size - HEAD_BYTES;
    turns_play(play, 0);
    return 0;
}
