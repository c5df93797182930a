/* SPDX-License-Identifier: MIT */
#include "run/thread.h"

#include <pthread.h>

#include "front/cache.h"
#include "os/memcheck.h"
#include "run/init.h"
#include "slab/remote.h"

enum {
    POOL_WHOLE_MAX = 4,   /* heaps that wait with their caches full; more give up what they hold */
    RELEASE_ROUND = 2,    /* of the destructor rounds (at least four in POSIX) */
};

/* Owners that match no map word: everything misses. */
static struct front front_none = {.id_word = FRONT_NO_ID};
static struct front front_dead = {.id_word = FRONT_NO_ID};

_Thread_local struct front *thread_front
    __attribute__((tls_model("initial-exec"), visibility("hidden"))) = &front_none;

/* On memcheck thread_front stays as it is, so that every call takes the slow path; the heap is here. */
static _Thread_local struct heap *watched_heap __attribute__((tls_model("initial-exec")));

static pthread_key_t exit_key;
static bool have_exit_key;

static void release(struct heap *h)
{
    thread_front = &front_dead;
    watched_heap = NULL;
    memcheck_hide();
    heap_enter(h);
    if (heap_pooled_count() >= POOL_WHOLE_MAX) {
        cache_give_up(h);
    } else {
        cache_drain_mail(h);
        remote_publish_all(h);
    }
    heap_leave(h);
    memcheck_show();
    heap_pool(h);
}

static void on_thread_exit(void *heap)
{
    struct heap *h = heap;
    h->exit_rounds++;
    if (h->exit_rounds < RELEASE_ROUND && pthread_setspecific(exit_key, h) == 0) {
        return; /* other destructors may still allocate and free */
    }
    release(h);
}

void thread_init(void)
{
    have_exit_key = pthread_key_create(&exit_key, on_thread_exit) == 0;
}

HAK_COLD static struct heap *thread_start(void)
{
    if (watched_heap != NULL || !init_once()) {
        return watched_heap;
    }
    struct heap *h = heap_acquire();
    if (h == NULL) {
        return NULL;
    }
    h->exit_rounds = 0;
    if (memcheck_is_on()) { /* before pthread_setspecific, which may allocate */
        watched_heap = h;
    } else {
        thread_front = &h->front;
    }
    if (have_exit_key) {
        pthread_setspecific(exit_key, h); /* on failure the heap stays with the dead thread */
    }
    return h;
}

struct heap *thread_heap(struct front *f)
{
    if (likely(f != &front_none && f != &front_dead)) {
        return (struct heap *)f;
    }
    return f == &front_none ? thread_start() : NULL;
}

struct heap *thread_heap_if_any(void)
{
    struct front *f = thread_front;
    return f != &front_none && f != &front_dead ? (struct heap *)f : watched_heap;
}
