/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include "mailbox.h"
#include "support.h"

#include <sched.h>

#define BURST ((size_t)32)          /* most blocks moved by one send or fetch */
#define FETCH_EVERY 16              /* operations between two looks into the mail */
#define CLOCK_EVERY 64              /* operations between two looks at the clock */
#define PHASE_BYTES_MAX (16 * MIB)  /* pattern written in one phase: rounds stay short */

void slot_start(struct slot *slot, unsigned id, unsigned slots, uint64_t seed)
{
    slot->actor.id = id;
    slot->actor.rng = mix64(seed + id);
    slot->actor.serial = (uint64_t)id << 48;
    slot->slots = slots;
    slot->held = pages_map(SLOT_BLOCKS_MAX * sizeof *slot->held);
}

/* --- the table of held blocks ------------------------------------------------------------ */

static void hold(struct slot *slot, const struct block *block)
{
    slot->held[slot->count++] = *block;
    slot->bytes += block->usable;
}

static struct block let_go(struct slot *slot, size_t index)
{
    struct block block = slot->held[index];
    slot->bytes -= block.usable;
    slot->held[index] = slot->held[--slot->count];
    return block;
}

static void free_at(struct slot *slot, size_t index)
{
    struct block block = let_go(slot, index);
    block_free(&slot->actor, &block);
}

static bool room_for(const struct slot *slot, size_t size)
{
    return slot->count < SLOT_BLOCKS_MAX && slot->bytes + size <= slot->bytes_max;
}

/* --- single operations ------------------------------------------------------------------- */

static void allocate(struct slot *slot)
{
    struct actor *who = &slot->actor;
    size_t size = profile_size(slot->profile, &who->rng);
    size_t kind = rng_below(&who->rng, 100);
    struct block block;
    bool done;
    if (!room_for(slot, size))
        return;
    if (kind < 15)
        done = block_calloc(who, &block, size);
    else if (kind < 25)
        done = block_aligned(who, &block, profile_align(&who->rng), size);
    else
        done = block_malloc(who, &block, size);
    if (done)
        hold(slot, &block);
}

/* A new size for a block: grow by a little or a lot, shrink, or anything. */
static size_t new_size(struct slot *slot, size_t old)
{
    uint64_t *rng = &slot->actor.rng;
    size_t size;
    switch (rng_below(rng, 6)) {
    case 0: size = old + old / 2 + 1; break;
    case 1: size = old * 2; break;
    case 2: size = old + 1 + rng_below(rng, 64); break;
    case 3: size = old / 2; break;
    case 4: size = old - rng_below(rng, old / 8 + 1); break;
    default: size = profile_size(slot->profile, rng); break;
    }
    size_t most = (size_t)1 << slot->profile->size_log2_max;
    return size <= most && slot->bytes + size <= slot->bytes_max ? size : old / 2;
}

static void reallocate(struct slot *slot, size_t index)
{
    struct block block = let_go(slot, index);
    block_realloc(&slot->actor, &block, new_size(slot, block.size));
    if (block.address != NULL)
        hold(slot, &block);
}

/* Sends a burst of random blocks to another slot; what does not fit comes back. */
static void send(struct slot *slot)
{
    struct block burst[BURST];
    uint64_t *rng = &slot->actor.rng;
    size_t want = 1 + rng_below(rng, BURST);
    size_t count = 0;
    while (count < want && slot->count > 0) {
        burst[count] = let_go(slot, rng_below(rng, slot->count));
        block_check(&slot->actor, &burst[count]);
        count++;
    }
    unsigned to = (unsigned)rng_below(rng, slot->slots);
    size_t sent = rng_below(rng, 2) == 0 ? mail_lane(slot->actor.id, to, burst, count) : 0;
    sent += mail_post(to, burst + sent, count - sent);
    for (; sent < count; sent++)
        hold(slot, &burst[sent]);
}

/* Takes mail: most of it is freed here (a remote free), some is kept if there is room. */
static size_t fetch(struct slot *slot)
{
    struct block burst[BURST];
    size_t count = mail_take(slot->actor.id, burst, BURST);
    for (size_t i = 0; i < count; i++) {
        bool keep = rng_below(&slot->actor.rng, 4) == 0 && room_for(slot, burst[i].usable);
        if (keep) {
            block_check(&slot->actor, &burst[i]);
            hold(slot, &burst[i]);
        } else {
            block_free(&slot->actor, &burst[i]);
        }
    }
    return count;
}

/* --- phases ------------------------------------------------------------------------------ */

struct work {
    size_t done;           /* operations so far */
    size_t operations_max;
    uint64_t written_max;  /* value of actor.written to stop at */
};

static struct work work_of(struct slot *slot, size_t operations)
{
    return (struct work){0, operations, slot->actor.written + PHASE_BYTES_MAX};
}

static bool past_deadline(const struct slot *slot)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > slot->deadline.tv_sec ||
           (now.tv_sec == slot->deadline.tv_sec && now.tv_nsec >= slot->deadline.tv_nsec);
}

/* Steps through a phase. The first round ignores the clock: no run is without work. */
static bool work_left(struct slot *slot, struct work *work)
{
    if (work->done++ == work->operations_max || slot->actor.written >= work->written_max)
        return false;
    if (work->done % FETCH_EVERY == 0)
        (void)fetch(slot);
    return slot->round == 0 || work->done % CLOCK_EVERY != 0 || !past_deadline(slot);
}

static void fill(struct slot *slot, size_t target)
{
    struct work work = work_of(slot, target);
    while (slot->count < target && work_left(slot, &work))
        allocate(slot);
}

static void replace_one(struct slot *slot)
{
    const struct profile *profile = slot->profile;
    if (slot->count == 0) {
        allocate(slot);
        return;
    }
    size_t index = rng_below(&slot->actor.rng, slot->count);
    size_t choice = rng_below(&slot->actor.rng, 100);
    if (choice < profile->realloc_percent) {
        reallocate(slot, index);
    } else if ((choice -= profile->realloc_percent) < profile->send_percent) {
        send(slot);
        allocate(slot);
    } else if (choice - profile->send_percent < profile->check_percent) {
        block_check(&slot->actor, &slot->held[index]);
    } else {
        free_at(slot, index);
        allocate(slot);
    }
}

static void replace(struct slot *slot, size_t operations)
{
    struct work work = work_of(slot, operations);
    while (work_left(slot, &work))
        replace_one(slot);
}

/* Allocates only to send. */
static void produce(struct slot *slot, size_t operations)
{
    struct work work = work_of(slot, operations);
    while (work_left(slot, &work)) {
        allocate(slot);
        if (slot->count >= BURST)
            send(slot);
    }
}

/* Frees what others send, and works a little on its own blocks so that both kinds mix. */
static void consume(struct slot *slot, size_t operations)
{
    struct work work = work_of(slot, operations);
    while (work_left(slot, &work)) {
        if (fetch(slot) == 0)
            sched_yield();
        if (slot->count > 0 && rng_below(&slot->actor.rng, 2) == 0)
            free_at(slot, rng_below(&slot->actor.rng, slot->count));
        else
            allocate(slot);
    }
}

static void drain_oldest(struct slot *slot, size_t amount)
{
    for (size_t i = 0; i < amount; i++) {
        block_free(&slot->actor, &slot->held[i]);
        slot->bytes -= slot->held[i].usable;
    }
    slot->count -= amount;
    for (size_t i = 0; i < slot->count; i++)
        slot->held[i] = slot->held[i + amount];
}

/* Frees a part of the blocks, or all, in one of three orders. */
static void drain(struct slot *slot)
{
    uint64_t *rng = &slot->actor.rng;
    size_t amount = rng_below(rng, 2) == 0 ? slot->count : rng_below(rng, slot->count + 1);
    size_t order = rng_below(rng, 3);
    if (order == 0) {
        drain_oldest(slot, amount);
        return;
    }
    for (; amount > 0; amount--)
        free_at(slot, order == 1 ? slot->count - 1 : rng_below(rng, slot->count));
}

static void phase_with_roles(struct slot *slot, size_t operations)
{
    if ((slot->actor.id + slot->phase + slot->round) % 2 == 0)
        produce(slot, operations);
    else
        consume(slot, operations / 4);
    if (slot->phase == SLOT_PHASES - 1)
        drain(slot);
}

void slot_phase(struct slot *slot)
{
    uint64_t *rng = &slot->actor.rng;
    size_t operations = ((size_t)1 << (4 + rng_below(rng, 11))) + rng_below(rng, 1024);
    if (slot->profile->roles)
        phase_with_roles(slot, operations);
    else if (slot->phase == 0)
        fill(slot, operations);
    else if (slot->phase == 1)
        replace(slot, operations);
    else
        drain(slot);
    slot->phase++;
}

void slot_empty(struct slot *slot)
{
    drain_oldest(slot, slot->count);
    struct block burst[BURST];
    size_t count;
    while ((count = mail_take(slot->actor.id, burst, BURST)) > 0)
        for (size_t i = 0; i < count; i++)
            block_free(&slot->actor, &burst[i]);
}
