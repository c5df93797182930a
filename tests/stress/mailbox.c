/* SPDX-License-Identifier: MIT */
#include "mailbox.h"

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#define BOX_BLOCKS ((size_t)2048)
#define LANE_BLOCKS ((size_t)128)
#define CACHE_LINE 64

struct box {
    pthread_mutex_t lock;
    size_t head;  /* under lock: index of the oldest block */
    size_t count; /* under lock */
    size_t bytes; /* under lock */
    struct block ring[BOX_BLOCKS];
};

struct lane {
    _Alignas(CACHE_LINE) atomic_size_t sent; /* written by the sender, release */
    size_t sent_bytes;                       /* sender only */
    _Alignas(CACHE_LINE) atomic_size_t taken;/* written by the taker, release */
    atomic_size_t taken_bytes;               /* written by the taker; only a bound, relaxed */
    _Alignas(CACHE_LINE) struct block ring[LANE_BLOCKS];
};

static struct {
    unsigned threads;
    size_t box_bytes_max;
    size_t lane_bytes_max;
    struct box *boxes;
    struct lane *lanes; /* [from * threads + to] */
} mail;

void mail_start(unsigned threads, size_t bytes_max)
{
    mail.threads = threads;
    mail.box_bytes_max = bytes_max;
    mail.lane_bytes_max = bytes_max / threads;
    mail.boxes = pages_map(threads * sizeof *mail.boxes);
    mail.lanes = pages_map((size_t)threads * threads * sizeof *mail.lanes);
    for (unsigned i = 0; i < threads; i++)
        pthread_mutex_init(&mail.boxes[i].lock, NULL);
}

size_t mail_post(unsigned to, const struct block *blocks, size_t count)
{
    struct box *box = &mail.boxes[to];
    size_t done = 0;
    pthread_mutex_lock(&box->lock);
    while (done < count && box->count < BOX_BLOCKS &&
           box->bytes + blocks[done].usable <= mail.box_bytes_max) {
        box->ring[(box->head + box->count) % BOX_BLOCKS] = blocks[done];
        box->bytes += blocks[done].usable;
        box->count++;
        done++;
    }
    pthread_mutex_unlock(&box->lock);
    return done;
}

static size_t box_take(struct box *box, struct block *blocks, size_t max)
{
    size_t done = 0;
    pthread_mutex_lock(&box->lock);
    while (done < max && box->count > 0) {
        blocks[done] = box->ring[box->head];
        box->head = (box->head + 1) % BOX_BLOCKS;
        box->bytes -= blocks[done].usable;
        box->count--;
        done++;
    }
    pthread_mutex_unlock(&box->lock);
    return done;
}

size_t mail_lane(unsigned from, unsigned to, const struct block *blocks, size_t count)
{
    struct lane *lane = &mail.lanes[from * mail.threads + to];
    size_t sent = atomic_load_explicit(&lane->sent, memory_order_relaxed); /* own counter */
    size_t taken = atomic_load_explicit(&lane->taken, memory_order_acquire);
    size_t taken_bytes = atomic_load_explicit(&lane->taken_bytes, memory_order_relaxed);
    size_t done = 0;
    while (done < count && sent + done - taken < LANE_BLOCKS &&
           lane->sent_bytes - taken_bytes + blocks[done].usable <= mail.lane_bytes_max) {
        lane->ring[(sent + done) % LANE_BLOCKS] = blocks[done];
        lane->sent_bytes += blocks[done].usable;
        done++;
    }
    /* Publishes the records and, through them, the bytes of the blocks. */
    atomic_store_explicit(&lane->sent, sent + done, memory_order_release);
    return done;
}

static size_t lane_take(struct lane *lane, struct block *blocks, size_t max)
{
    size_t taken = atomic_load_explicit(&lane->taken, memory_order_relaxed); /* own counter */
    size_t bytes = atomic_load_explicit(&lane->taken_bytes, memory_order_relaxed);
    size_t sent = atomic_load_explicit(&lane->sent, memory_order_acquire);
    size_t done = 0;
    while (done < max && taken + done != sent) {
        blocks[done] = lane->ring[(taken + done) % LANE_BLOCKS];
        bytes += blocks[done].usable;
        done++;
    }
    atomic_store_explicit(&lane->taken_bytes, bytes, memory_order_relaxed);
    /* Gives the ring places back: the copies above come first. */
    atomic_store_explicit(&lane->taken, taken + done, memory_order_release);
    return done;
}

size_t mail_take(unsigned thread, struct block *blocks, size_t max)
{
    size_t done = box_take(&mail.boxes[thread], blocks, max);
    for (unsigned from = 0; from < mail.threads && done < max; from++)
        done += lane_take(&mail.lanes[from * mail.threads + thread], blocks + done, max - done);
    return done;
}
