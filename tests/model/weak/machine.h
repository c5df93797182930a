/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A machine with the memory of C11, as weak as the standard allows, for code that was compiled with
 * -fsanitize=thread and linked without that sanitizer's library: the calls the compiler puts before
 * every access come here (hooks.c). Threads are coroutines, a seed decides who runs.
 *
 * An atomic location has a history: a load may return any value that coherence permits, a
 * read-modify-write the last one. Happens-before is kept in vector clocks; an access without atomics
 * that does not happen after a conflicting one is reported (shadow.c), as are deadlock and endless
 * runs. As in memory.pml a load never takes effect after a later store of its thread, and stores to
 * one location take effect in the order in which they are executed.
 *
 * Before machine_start everything is executed as it stands. A finding ends the process with
 * MACHINE_FOUND.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_THREADS = 16, MACHINE_FOUND = 3 };

/* ---- for the program ---- */

/* Which operation is relaxed in what follows: its function, and the name of the wrapper there. */
struct machine_relaxed {
    const char *function, *operation; /* NULL: none */
};

void machine_relax(struct machine_relaxed what);
/* The calling thread becomes thread 0 of the machine. */
void machine_start(uint64_t seed);
void machine_spawn(void (*body)(void *), void *argument);
void machine_join_all(void);
/* Another thread may run. */
void machine_pause(void);
/* fork by the calling thread, with the handlers of pthread_atfork; the other threads do not exist in
 * the child. Returns the child's pid, 0 in the child. */
int machine_fork(void);
_Noreturn void machine_report(const char *what, const void *address, const void *code,
                              const void *other_code);

/* What a thread knows, handed to another by the program's own means, and to nobody else. */
struct clock {
    uint16_t at[MACHINE_THREADS];
};
struct clock machine_knowledge(void);
void machine_learn(const struct clock *clock);

/* ---- for the hooks ---- */

/* As the compiler numbers them. */
enum order { ORDER_RELAXED, ORDER_CONSUME, ORDER_ACQUIRE, ORDER_RELEASE, ORDER_BOTH, ORDER_SEQUENTIAL };

uint64_t machine_load(void *address, size_t bytes, int order);
void machine_store(void *address, size_t bytes, uint64_t value, int order);
/* Exchange and addition: the value before. */
uint64_t machine_swap(void *address, size_t bytes, uint64_t value, int order);
uint64_t machine_add(void *address, size_t bytes, uint64_t value, int order);
enum { MACHINE_WEAK = 0x100 }; /* or-ed to the order: it may fail for no reason */
bool machine_cas(void *address, size_t bytes, uint64_t *expected, uint64_t desired, int order);

/* Access without atomics. */
void machine_access(const void *address, size_t bytes, bool is_write, const void *code);

/* ---- between machine.c, atomics.c and shadow.c ---- */

bool machine_runs(void);
unsigned machine_me(void);
struct clock *machine_clock(void); /* of the running thread */
void machine_advance(void);        /* what it does from now on was not released yet */
void clock_learn(struct clock *to, const struct clock *from);
size_t machine_below(size_t n);
bool machine_one_in(unsigned n);

struct access {
    const void *address;
    size_t bytes;
    bool is_write;
    const void *code; /* return address: addr2line -e PROGRAM tells the line */
    unsigned thread;
    const struct clock *now;
};
void shadow_access(const struct access *a);
