/* SPDX-License-Identifier: MIT */
/*
 * Goal: memcheck has nothing to say about a program without a defect: the allocator's own accesses to
 * free memory are none of its business.
 * Method: every call and many sizes, blocks handed between threads that come and go, a fork, purges
 * and checks of the heap; all contents are read, and everything is freed.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "defect.h"

#ifndef DEATH_HAK
#include <malloc.h>
/* Not in every libc; hakmem has them, and memcheck does not know them. */
__attribute__((weak)) void free_sized(void *block, size_t size);
__attribute__((weak)) void free_aligned_sized(void *block, size_t alignment, size_t size);
#endif

enum { BLOCKS = 400, THREADS = 3, ROUNDS = 2 };

static unsigned char *shared[THREADS][BLOCKS];
static pthread_barrier_t barrier;

static size_t bytes_of(size_t i)
{
    return i % 50 == 0 ? 100000 + i : 1 + i * i % 3000;
}

static void must(int condition, const char *what)
{
    if (!condition) {
        dprintf(2, "clean: %s does not hold\n", what);
        _exit(1);
    }
}

#define MUST(condition) must((condition) ? 1 : 0, #condition)

static void read_all(const unsigned char *block, size_t size, int value)
{
    for (size_t k = 0; k < size; k++)
        MUST(block[k] == value);
}

static void fill(size_t thread)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        shared[thread][i] = any(API(malloc)(bytes_of(i)));
        MUST(shared[thread][i] != NULL);
        memset(shared[thread][i], (int)(i % 200), bytes_of(i));
    }
}

static void free_blocks_of(size_t thread)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        read_all(shared[thread][i], bytes_of(i), (int)(i % 200));
        API(free)(shared[thread][i]);
        shared[thread][i] = NULL;
    }
}

/* Each frees what its neighbour made. */
static void *exchange(void *number)
{
    size_t mine = (size_t)(uintptr_t)number;
    fill(mine);
    pthread_barrier_wait(&barrier);
    free_blocks_of((mine + 1) % THREADS);
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    MUST(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, exchange, (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(pthread_barrier_destroy(&barrier) == 0);
}

static void every_call(void)
{
    void *aligned = NULL;
    unsigned char *zeroed = any(API(calloc)(30, 40));
    unsigned char *large = any(API(calloc)(1000, 1000));
    read_all(zeroed, 1200, 0);
    read_all(large, 1000000, 0);
    zeroed = any(API(reallocarray)(zeroed, 60, 40));
    read_all(zeroed, 1200, 0);
    large = any(API(realloc)(large, 2000000));
    read_all(large, 1000000, 0);
    MUST(API_USABLE(zeroed) >= 2400);
    memset(zeroed, 1, API_USABLE(zeroed));
    MUST(API(posix_memalign)(&aligned, 64, 100) == 0);
    API(free_aligned_sized)(aligned, 64, 100);
    API(free_sized)(zeroed, 2400);
    API(free)(large);
    API(free)(any(API(aligned_alloc)(1 << 17, 1 << 17)));
    API(free)(any(API(memalign)(32, 5)));
    API(free)(any(API(valloc)(10)));
    API(free)(any(API(pvalloc)(10)));
    API(free)(any(API(malloc)(0)));
    API(free)(NULL);
}

static void grow(void)
{
    unsigned char *block = NULL;
    for (size_t size = 1; size < 300000; size += size / 2 + 1) {
        block = any(API(realloc)(block, size));
        block[size - 1] = 1;
        MUST(block[0] == 1 || size > 1);
    }
    API(free)(block);
}

static void fork_a_child(void)
{
    int status = 0;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        every_call();
        free_blocks_of(0);
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    MUST(status == 0);
}

int main(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        run_threads();
        fill(0);
        every_call();
        grow();
        fork_a_child();
        free_blocks_of(0);
#ifdef DEATH_HAK
        hak_purge();
        MUST(hak_check());
#else
        malloc_trim(0);
#endif
    }
    return 0;
}
