/* SPDX-License-Identifier: MIT */
/* The atomics of the machine: the history of each location, and which of it a thread may see. */
#include <string.h>

#include "check.h"
#include "machine.h"

extern const char end[]; /* of the program's variables; the allocator's tables lie beyond */

enum { STORES = 8, LOCATIONS = 1 << 13 };

static struct machine_relaxed relaxed;
static struct machine_relaxed site; /* of the operation that comes next, if it has one */

void machine_relax(struct machine_relaxed what)
{
    relaxed = what;
}

struct store {
    uint64_t value;
    struct clock released; /* what an acquire of it brings */
    struct clock seen;     /* since when each thread knows of it; 0: not yet */
};

static struct location {
    const void *address;
    unsigned count; /* of stores; the last STORES of them are kept */
    struct store stores[STORES];
} locations[LOCATIONS];

static uint64_t read_memory(const void *address, size_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, address, bytes);
    return value;
}

static struct location *location_of(const void *address, size_t bytes)
{
    size_t i = (size_t)((uintptr_t)address * 0x9e3779b97f4a7c15u >> 40) % LOCATIONS;
    unsigned probes = 0;
    while (locations[i].address != NULL && locations[i].address != address) {
        CHECK(++probes < LOCATIONS);
        i = (i + 1) % LOCATIONS;
    }
    struct location *l = &locations[i];
    if (l->address == NULL) {
        l->address = address;
        l->count = 1;
        l->stores[0].value = read_memory(address, bytes);
        l->stores[0].seen.at[0] = 1; /* everybody knows of it */
    }
    return l;
}

static struct store *store_at(struct location *l, unsigned n)
{
    return &l->stores[n % STORES];
}

/* The thread knows of the store, by itself or through one whose knowledge has reached it. */
static bool is_known(const struct store *s)
{
    for (unsigned t = 0; t < MACHINE_THREADS; t++) {
        if (s->seen.at[t] != 0 && s->seen.at[t] <= machine_clock()->at[t]) {
            return true;
        }
    }
    return false;
}

/* Any store that is not older than one which the thread knows of. */
static struct store *choose_store(struct location *l)
{
    unsigned newest = l->count - 1;
    unsigned oldest = l->count > STORES ? l->count - STORES : 0;
    unsigned first = newest;
    while (first > oldest && !is_known(store_at(l, first))) {
        first--;
    }
    bool old = first != newest && machine_one_in(2);
    return store_at(l, old ? first + (unsigned)machine_below(newest - first) : newest);
}

static void note_seen(struct store *s)
{
    if (s->seen.at[machine_me()] == 0) {
        s->seen.at[machine_me()] = machine_clock()->at[machine_me()];
    }
}

static int effective(int order)
{
    bool is_relaxed = relaxed.function != NULL && site.function != NULL &&
                      strcmp(site.function, relaxed.function) == 0 &&
                      strcmp(site.operation, relaxed.operation) == 0;
    if (order != ORDER_RELAXED) {
        site.function = NULL;
    }
    return is_relaxed ? ORDER_RELAXED : order;
}

static bool acquires(int order)
{
    return order == ORDER_ACQUIRE || order >= ORDER_BOTH;
}

static void observe(struct store *s, int order)
{
    note_seen(s);
    if (acquires(order)) {
        clock_learn(machine_clock(), &s->released);
    }
}

/* `continued`: the store before, whose release sequence a read-modify-write continues. */
static void append(struct location *l, size_t bytes, uint64_t value, int order, const struct store *continued)
{
    struct store s = {.value = value};
    s.released = continued != NULL ? continued->released : s.released;
    if (order >= ORDER_RELEASE) {
        clock_learn(&s.released, machine_clock());
    }
    s.seen.at[machine_me()] = machine_clock()->at[machine_me()];
    *store_at(l, l->count++) = s;
    memcpy((void *)(uintptr_t)l->address, &value, bytes);
    if (order >= ORDER_RELEASE) {
        machine_advance();
    }
}

uint64_t machine_load(void *address, size_t bytes, int order)
{
    if (!machine_runs()) {
        return read_memory(address, bytes);
    }
    int real = effective(order);
    machine_pause();
    struct store *s = choose_store(location_of(address, bytes));
    observe(s, real);
    return s->value;
}

/* What lies in the tables has one writer at a time; a few variables of the program have more. */
void machine_store(void *address, size_t bytes, uint64_t value, int order)
{
    if (!machine_runs()) {
        memcpy(address, &value, bytes);
        return;
    }
    int real = effective(order);
    machine_pause();
    struct location *l = location_of(address, bytes);
    bool in_tables = (const char *)address > end;
    if (in_tables && !is_known(store_at(l, l->count - 1))) {
        machine_report("two writers at a time", address, __builtin_return_address(0), NULL);
    }
    append(l, bytes, value, real, NULL);
}

static uint64_t change(void *address, size_t bytes, uint64_t value, bool adds, int order)
{
    if (!machine_runs()) {
        uint64_t before = read_memory(address, bytes);
        value += adds ? before : 0;
        memcpy(address, &value, bytes);
        return before;
    }
    int real = effective(order);
    machine_pause();
    struct location *l = location_of(address, bytes);
    struct store last = *store_at(l, l->count - 1);
    observe(store_at(l, l->count - 1), real);
    value = (adds ? last.value : 0) + value;
    append(l, bytes, bytes < 8 ? value & (((uint64_t)1 << bytes * 8) - 1) : value, real, &last);
    return last.value;
}

uint64_t machine_swap(void *address, size_t bytes, uint64_t value, int order)
{
    return change(address, bytes, value, false, order);
}

uint64_t machine_add(void *address, size_t bytes, uint64_t value, int order)
{
    return change(address, bytes, value, true, order);
}

/* One that fails is a relaxed load, which may be out of date. */
bool machine_cas(void *address, size_t bytes, uint64_t *expected, uint64_t desired, int order)
{
    if (!machine_runs()) {
        uint64_t before = read_memory(address, bytes);
        bool same = before == *expected;
        memcpy(address, same ? &desired : &before, bytes);
        *expected = before;
        return same;
    }
    bool fails = (order & MACHINE_WEAK) != 0 && machine_one_in(16);
    int real = effective(order & ~MACHINE_WEAK);
    machine_pause();
    struct location *l = location_of(address, bytes);
    struct store *read = choose_store(l);
    struct store last = *store_at(l, l->count - 1);
    if (read->value != *expected || fails) {
        note_seen(read);
        *expected = read->value;
        return false;
    }
    if (last.value != *expected) {
        note_seen(store_at(l, l->count - 1));
        *expected = last.value;
        return false;
    }
    observe(store_at(l, l->count - 1), real);
    append(l, bytes, desired, real, &last);
    return true;
}

void machine_site(const char *function, const char *operation)
{
    if (machine_runs() && strncmp(function, "map_", 4) != 0) { /* not inside a wrapper of a wrapper */
        site = (struct machine_relaxed){function, operation};
    }
}
