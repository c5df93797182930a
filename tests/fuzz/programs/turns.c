/* SPDX-License-Identifier: MIT */
#include "turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

enum { STACK_BYTES = 256 << 10 };

static struct worker {
    pthread_t thread;
    sem_t turn;
    bool runs;
    uint64_t game; /* the last one it had a turn in */
} workers[TURNS_THREADS];

static sem_t supervisor;
static turns_act *play;
static uint64_t game;
static struct turn last;  /* what the supervisor is to do next */
static unsigned last_one; /* who had that turn */

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0) {
        FUZZ_CHECK(errno == EINTR, "sem_wait: errno %d", errno);
    }
}

/* True: the thread goes on to wait for its next turn. */
static bool have_turn(unsigned self)
{
    struct worker *w = &workers[self];
    wait_for(&w->turn);
    bool is_first = w->game != game;
    w->game = game;
    struct turn t = play(self, is_first);
    if (!t.ends && t.next != TURNS_OVER && workers[t.next].runs) {
        sem_post(&workers[t.next].turn);
    } else {
        last = t;
        last_one = self;
        sem_post(&supervisor);
    }
    return !t.ends;
}

static void *work(void *worker)
{
    unsigned self = (unsigned)((struct worker *)worker - workers);
    while (have_turn(self)) {
    }
    return NULL;
}

static void start(struct worker *w)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = pthread_create(&w->thread, &attributes, work, w);
    FUZZ_CHECK(error == 0, "no thread can be started: error %d", error);
    pthread_attr_destroy(&attributes);
    w->runs = true;
    w->game = 0;
}

/* In a forked child: a fuzzer's fork server forks after the first input. */
static void forget_threads(void)
{
    for (unsigned i = 0; i < TURNS_THREADS; i++) {
        workers[i].runs = false;
        sem_init(&workers[i].turn, 0, 0);
    }
    sem_init(&supervisor, 0, 0);
}

static void begin(void)
{
    if (game++ == 0) {
        forget_threads();
        pthread_atfork(NULL, NULL, forget_threads);
    }
}

void turns_play(turns_act *act, unsigned first)
{
    begin();
    play = act;
    last = (struct turn){.next = first};
    while (last.next != TURNS_OVER) {
        struct worker *w = &workers[last.next];
        if (!w->runs) {
            start(w);
        }
        sem_post(&w->turn);
        wait_for(&supervisor);
        if (last.ends) {
            pthread_join(workers[last_one].thread, NULL);
            workers[last_one].runs = false;
        }
    }
}
