/* SPDX-License-Identifier: MIT */
/*
 * Goal: hakmem may be opened with dlopen, several times over, in a program that has another malloc or
 * that has hakmem linked in: each copy is an allocator of its own, works in all threads, also those
 * older than it, after dlclose and in forked children, and ignores the blocks of the others.
 * Method: threads that exist already open and close copies of the library without pause and use
 * their hak_* functions and malloc side by side; blocks travel between threads and are freed by the copy
 * that made them, or offered to another one first.
 *
 *   opened LIBRARY [ROUNDS]
 */
#include <pthread.h>
#include <stdlib.h>

#include "allocator.h"
#include "child.h"
#include "copies.h"
#include "memory.h"
#include "random.h"

enum { THREADS = 4, BLOCKS = 40, FORK_EVERY = 64 };

struct functions {
    void *(*allocate)(size_t);
    void *(*resize)(void *, size_t);
    void (*give_back)(void *);
    bool (*is_sound)(void);
};

static struct copy copies[COPIES];
static pthread_barrier_t round_is_over;
static long rounds;

/* What each thread made in this round, for the next thread to free. */
static struct made {
    char *block;
    size_t bytes;
    int copy;
} made[THREADS][BLOCKS];

static void *symbol(void *handle, const char *name)
{
    void *address = dlsym(handle, name);
    CHECK(address != NULL);
    return address;
}

static struct functions functions_of(void *handle)
{
    struct functions f;
    *(void **)&f.allocate = symbol(handle, "hak_malloc");
    *(void **)&f.resize = symbol(handle, "hak_realloc");
    *(void **)&f.give_back = symbol(handle, "hak_free");
    *(void **)&f.is_sound = symbol(handle, "hak_check");
    return f;
}

static void make_blocks(struct made *out, int copy, uint64_t *random)
{
    void *handle = copies_open(&copies[copy]);
    struct functions f = functions_of(handle);
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = random_size(random, random_below(random, 16) == 0 ? 20 : 12);
        char *own = malloc(bytes); /* the program's own allocator goes on beside it */
        out[i] = (struct made){f.allocate(bytes), bytes, copy};
        CHECK(own != NULL && out[i].block != NULL);
        memory_fill(out[i].block, bytes, i);
        memory_fill(own, bytes, i + 1);
        f.give_back(own); /* not its own: ignored */
        CHECK(memory_holds(own, bytes, i + 1));
        free(own);
    }
    CHECK(dlclose(handle) == 0);
}

static void free_blocks(const struct made *in, int other_copy)
{
    void *other = copies_open(&copies[other_copy]);
    void *handle = copies_open(&copies[in[0].copy]);
    struct functions f = functions_of(handle);
    for (size_t i = 0; i < BLOCKS; i++) {
        char *block = in[i].block;
        if (other_copy != in[i].copy) {
            functions_of(other).give_back(block);
        }
        CHECK(memory_holds(block, in[i].bytes, i));
        block = f.resize(block, in[i].bytes + 100);
        CHECK(block != NULL && memory_holds(block, in[i].bytes, i));
        f.give_back(block);
    }
    CHECK(dlclose(handle) == 0 && dlclose(other) == 0);
}

static void fork_child(int copy, uint64_t *random)
{
    static _Thread_local struct made own[BLOCKS];
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child_begin();
        make_blocks(own, copy, random);
        free_blocks(own, copy);
        _exit(0);
    }
    CHECK(child_ended_well(pid));
}

static void *open_and_close(void *argument)
{
    size_t self = (uintptr_t)argument;
    uint64_t random = self;
    for (long i = 0; i < rounds; i++) {
        int copy = (int)random_below(&random, COPIES);
        make_blocks(made[self], copy, &random);
        pthread_barrier_wait(&round_is_over);
        free_blocks(made[(self + 1) % THREADS], (int)random_below(&random, COPIES));
        if (random_below(&random, FORK_EVERY) == 0) {
            fork_child(copy, &random);
        }
        pthread_barrier_wait(&round_is_over);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    allocator_expect();
    CHECK(argc >= 2);
    rounds = argc > 2 ? atol(argv[2]) : 200;
    copies_make(copies, argv[1]);
    CHECK(pthread_barrier_init(&round_is_over, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, open_and_close, (void *)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (int i = 0; i < COPIES; i++) {
        CHECK(functions_of(copies_open(&copies[i])).is_sound());
    }
    printf("opened: %ld rounds of %d threads on %d copies\n", rounds, THREADS, COPIES);
    return 0;
}
