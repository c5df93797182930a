/* SPDX-License-Identifier: MIT */
/* The threads of the machine, and what they ask of the system. */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"
#include "random.h"
#include "run/thread.h"

enum { STACK_BYTES = 256 << 10, STEPS_MAX = 20000000, EXIT_ROUNDS = 4, KEYS = 4, LOCAL_BYTES = 4096 };

/* ---- threads ---- */

enum state { ABSENT, READY, ASLEEP, JOINING };

static struct thread {
    ucontext_t context;
    enum state state;
    unsigned weight;         /* how often it is chosen */
    const void *asleep_on;
    struct clock now;
    void (*body)(void *);
    void *argument;
    struct front *front;     /* its thread_front while another thread runs */
    int saved_errno;
    void *key_values[KEYS];
} threads[MACHINE_THREADS];

static unsigned me, thread_count;
static bool running;
static uint64_t dice;
static unsigned pause_every; /* atomics, in the mean */
static size_t steps;
static char *stacks;

static void (*destructors[KEYS])(void *);
static unsigned key_count;
static void (*fork_handlers[3])(void);

_Noreturn void machine_report(const char *what, const void *address, const void *code,
                              const void *other_code)
{
    running = false;
    dprintf(STDERR_FILENO, "thread %u: %s, address %p, code %p, other code %p\n", me, what, address, code,
            other_code);
    _exit(MACHINE_FOUND);
}

bool machine_one_in(unsigned n)
{
    return random_below(&dice, n) == 0;
}

static void choose_thread(void)
{
    unsigned total = 0;
    for (unsigned t = 0; t < thread_count; t++) {
        total += threads[t].state == READY ? threads[t].weight : 0;
    }
    if (total == 0) {
        machine_report("deadlock", NULL, NULL, NULL);
    }
    unsigned chosen = (unsigned)random_below(&dice, total);
    unsigned next = 0;
    for (; threads[next].state != READY || chosen >= threads[next].weight; next++) {
        chosen -= threads[next].state == READY ? threads[next].weight : 0;
    }
    unsigned before = me;
    if (next != before) {
        threads[before].front = thread_front;
        threads[before].saved_errno = errno;
        me = next;
        thread_front = threads[next].front;
        errno = threads[next].saved_errno;
        swapcontext(&threads[before].context, &threads[next].context);
    }
}

size_t machine_below(size_t n)
{
    return random_below(&dice, n);
}

bool machine_runs(void)
{
    return running;
}

unsigned machine_me(void)
{
    return me;
}

struct clock *machine_clock(void)
{
    return &threads[me].now;
}

void machine_pause(void)
{
    if (!running) {
        return;
    }
    if (++steps > STEPS_MAX) {
        machine_report("no end", NULL, NULL, NULL);
    }
    if (machine_one_in(pause_every)) {
        choose_thread();
    }
}

static void run_destructors(struct thread *t)
{
    for (int round = 0; round < EXIT_ROUNDS; round++) {
        for (unsigned k = 0; k < key_count; k++) {
            void *value = t->key_values[k];
            t->key_values[k] = NULL;
            if (value != NULL) {
                destructors[k](value);
            }
        }
    }
}

void clock_learn(struct clock *to, const struct clock *from)
{
    for (unsigned t = 0; t < MACHINE_THREADS; t++) {
        to->at[t] = from->at[t] > to->at[t] ? from->at[t] : to->at[t];
    }
}

static void trampoline(void)
{
    struct thread *t = &threads[me];
    t->body(t->argument);
    run_destructors(t);
    t->state = ABSENT;
    bool last = true;
    for (unsigned i = 1; i < thread_count; i++) {
        last = last && threads[i].state == ABSENT;
    }
    if (last && threads[0].state == JOINING) {
        threads[0].state = READY;
    }
    choose_thread();
}

static struct thread *new_thread(void)
{
    static const unsigned weights[] = {1, 4, 4, 4, 32};
    CHECK(thread_count < MACHINE_THREADS);
    struct thread *t = &threads[thread_count++];
    t->state = READY;
    t->weight = weights[random_below(&dice, sizeof weights / sizeof weights[0])];
    t->now.at[t - threads] = 1;
    return t;
}

void machine_start(uint64_t seed)
{
    static const unsigned pauses[] = {2, 6, 20};
    dice = seed;
    pause_every = pauses[random_below(&dice, 3)];
    stacks = mmap(NULL, (size_t)STACK_BYTES * MACHINE_THREADS, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(stacks != MAP_FAILED);
    new_thread();
    running = true;
}

void machine_advance(void)
{
    uint16_t *own = &threads[me].now.at[me];
    CHECK(*own != UINT16_MAX);
    ++*own;
}

void machine_spawn(void (*body)(void *), void *argument)
{
    static struct front *first_front;
    if (thread_count == 1) {
        first_front = thread_front; /* of a thread that has no heap yet */
    }
    struct thread *t = new_thread();
    t->body = body;
    t->argument = argument;
    t->front = first_front;
    clock_learn(&t->now, &threads[me].now);
    machine_advance();
    CHECK(getcontext(&t->context) == 0);
    t->context.uc_stack.ss_sp = stacks + (size_t)(t - threads) * STACK_BYTES;
    t->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&t->context, trampoline, 0);
}

void machine_join_all(void)
{
    bool any = false;
    for (unsigned t = 1; t < thread_count; t++) {
        any = any || threads[t].state != ABSENT;
    }
    if (any) {
        threads[0].state = JOINING;
        choose_thread();
    }
    for (unsigned t = 1; t < thread_count; t++) {
        clock_learn(&threads[0].now, &threads[t].now);
    }
}

struct clock machine_knowledge(void)
{
    struct clock now = threads[me].now;
    machine_advance();
    return now;
}

void machine_learn(const struct clock *clock)
{
    clock_learn(&threads[me].now, clock);
}

int machine_fork(void)
{
    __libc_single_threaded = thread_count == 1; /* libc does not know of coroutines */
    fork_handlers[0]();
    running = false;
    int pid = fork();
    running = true;
    if (pid != 0) {
        fork_handlers[1]();
        return pid;
    }
    for (unsigned t = 0; t < thread_count; t++) { /* the image shows what they did */
        clock_learn(&threads[me].now, &threads[t].now);
        threads[t].state = t == me ? READY : ABSENT;
    }
    fork_handlers[2]();
    return 0;
}

/* ---- the rest of memory ---- */

/* Stacks and thread-local variables are each thread's own. */
static bool is_own(const void *address)
{
    const char *p = address;
    const char *frame = __builtin_frame_address(0);
    bool on_stack = p >= stacks && p < stacks + (size_t)STACK_BYTES * MACHINE_THREADS;
    bool on_first_stack = p > frame - (1 << 20) && p < frame + (8 << 20) && me == 0;
    const char *local = __builtin_thread_pointer();
    bool is_local = p > local - LOCAL_BYTES && p < local + LOCAL_BYTES;
    return on_stack || on_first_stack || is_local;
}

void machine_access(const void *address, size_t bytes, bool is_write, const void *code)
{
    if (!running || is_own(address)) {
        return;
    }
    if (machine_one_in(64)) {
        machine_pause();
    }
    struct access a = {address, bytes, is_write, code, me, &threads[me].now};
    shadow_access(&a);
}

/* ---- what the allocator asks of the system (linked with --wrap) ---- */

void __wrap_os_futex_wait(void *word, uint32_t expected);
void __wrap_os_futex_wake(void *word);
uint32_t __wrap_os_now_ms(void);
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void));

void __wrap_os_futex_wait(void *word, uint32_t expected)
{
    machine_pause();
    uint32_t now; /* the kernel sees the last store */
    memcpy(&now, word, sizeof now);
    if (now == expected && !machine_one_in(8)) {
        threads[me].asleep_on = word;
        threads[me].state = ASLEEP;
        choose_thread();
    }
}

void __wrap_os_futex_wake(void *word)
{
    machine_pause();
    unsigned first = (unsigned)random_below(&dice, MACHINE_THREADS);
    for (unsigned i = 0; i < MACHINE_THREADS; i++) {
        struct thread *t = &threads[(first + i) % MACHINE_THREADS];
        if (t->state == ASLEEP && t->asleep_on == word) {
            t->state = READY;
            return;
        }
    }
}

/* Time goes by as the program runs: memory gets old enough to be given back. */
uint32_t __wrap_os_now_ms(void)
{
    static uint32_t now;
    return now += running ? (uint32_t)random_below(&dice, 3) : 0;
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    CHECK(key_count < KEYS);
    *key = key_count;
    destructors[key_count++] = destructor;
    return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
    threads[me].key_values[key] = (void *)(uintptr_t)value;
    return 0;
}

int __wrap_pthread_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
    fork_handlers[0] = before;
    fork_handlers[1] = in_parent;
    fork_handlers[2] = in_child;
    return 0;
}
