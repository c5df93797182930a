/* SPDX-License-Identifier: MIT */
#include "rewind.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sizeclass.h"
#include "os/os.h"
#include "run/config.h"
#include "run/thread.h"
#include "slab/remote.h"

enum { SAVED_PAGES_MAX = 64, PAGE_BYTES = 4096, TABLE_PAGE = 1 << 16, MESSAGE_BYTES = 1024 };
/* Away from the address ranges of the sanitizers. */
#define RESERVATION ((void *)((uintptr_t)3 << 44))

/* ---- contacts with the outside ---- */

static uint32_t clock_ms;
static uint32_t force_slow;
static char message[MESSAGE_BYTES];

uint32_t __wrap_os_now_ms(void);
uint32_t __wrap_os_now_ms(void)
{
    return clock_ms;
}

void __wrap_os_write_stderr(const char *text, size_t length);
void __wrap_os_write_stderr(const char *text, size_t length)
{
    size_t n = length < sizeof message ? length : sizeof message - 1;
    memcpy(message, text, n);
    message[n] = '\0';
}

_Noreturn void __wrap_os_abort(void);
void __wrap_os_abort(void)
{
    fuzz_fail("the allocator ended the process: %s", message);
}

void *__wrap_os_reserve(size_t bytes);
void *__wrap_os_reserve(size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *p = mmap(RESERVATION, bytes, PROT_NONE, flags, -1, 0);
    FUZZ_CHECK(p == RESERVATION, "no address space for the allocator");
    return p;
}

uint64_t __real_setting_get(enum setting_id id);
uint64_t __wrap_setting_get(enum setting_id id);
uint64_t __wrap_setting_get(enum setting_id id)
{
    return id == SETTING_test_force_slow ? force_slow : __real_setting_get(id);
}

void rewind_set_force_slow(uint32_t n)
{
    force_slow = n;
}

void rewind_set_route(unsigned route)
{
    unsigned mid = class_of_size(SMALL_BYTES_MAX) + 1;
    heap_set_cached_classes(route == ROUTE_POOL_ONLY ? mid : 0,
                            route == ROUTE_TINY_ONLY ? mid : CLASS_COUNT);
}

void rewind_pass_ms(uint32_t ms)
{
    clock_ms += ms;
}

/* ---- what is remembered ---- */

extern char __start_hak_bss[], __stop_hak_bss[];   /* made by the linker */
extern char __start_hak_data[], __stop_hak_data[];

static struct span {
    char *start, *copy;
    size_t bytes;
} variables[2];

/* Tables of the allocator, and how much of each was there at the start. */
static struct map_area *const areas[] = {&run_areas[0], &run_areas[1], &slab_area,
                                         &super_area,   &heap_area,    &parcel_area};
enum { AREAS = sizeof areas / sizeof *areas };

static struct {
    void *start;
    size_t bytes;
} tables[AREAS + 1];

/* Pages of the tables that were not zero. */
static struct {
    void *page;
    char content[PAGE_BYTES];
} saved[SAVED_PAGES_MAX];
static size_t saved_count;

/* Variables under AddressSanitizer have forbidden ground between them. */
typedef uint64_t __attribute__((may_alias)) word;
__attribute__((no_sanitize("address"))) static void copy_variables(char *to, const char *from,
                                                                   size_t bytes)
{
    size_t i = 0;
    for (; i + sizeof(word) <= bytes; i += sizeof(word)) {
        *(volatile word *)(void *)(to + i) = *(const volatile word *)(const void *)(from + i);
    }
    for (; i < bytes; i++) {
        *(volatile char *)(to + i) = from[i];
    }
}

static void remember_variables(struct span *s, char *start, const char *stop)
{
    FUZZ_CHECK((uintptr_t)start % sizeof(word) == 0, "a section starts at %p", (void *)start);
    s->start = start;
    s->bytes = (size_t)(stop - start);
    s->copy = malloc(s->bytes);
    FUZZ_CHECK(s->copy != NULL, "no memory");
    copy_variables(s->copy, s->start, s->bytes);
}

static void remember_table(size_t i, void *start, size_t bytes)
{
    tables[i].start = start;
    tables[i].bytes = bytes;
    for (char *page = start; page < (char *)start + bytes; page += PAGE_BYTES) {
        if (page[0] != 0 || memcmp(page, page + 1, PAGE_BYTES - 1) != 0) {
            FUZZ_CHECK(saved_count < SAVED_PAGES_MAX, "too many pages to remember");
            saved[saved_count].page = page;
            memcpy(saved[saved_count++].content, page, PAGE_BYTES);
        }
    }
}

static void remember(void)
{
    FUZZ_CHECK(map_granules != 0 && map_committed_bytes() == 0, "the allocator has been used");
    FUZZ_CHECK(BUILD_TINY, "the allocator has its normal limits");
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* a huge page would be cleared for every input */
    remember_variables(&variables[0], __start_hak_bss, __stop_hak_bss);
    remember_variables(&variables[1], __start_hak_data, __stop_hak_data);
    for (size_t i = 0; i < AREAS; i++) {
        remember_table(i, *areas[i]->where, areas[i]->committed_bytes);
    }
    size_t words = map_granules * sizeof(atomic_u32);
    remember_table(AREAS, map_words, (words + TABLE_PAGE - 1) / TABLE_PAGE * TABLE_PAGE);
}

/* ---- going back ---- */

/* Past the sanitizers, which would look at every byte of the range. */
static void renew_reservation(void)
{
    char *start = (char *)map_words;
    size_t bytes = (size_t)((char *)map_address(map_granules) - start);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    long p = syscall(SYS_mmap, start, bytes, PROT_NONE, flags, -1, 0);
    FUZZ_CHECK(p == (long)(uintptr_t)start, "the reservation cannot be renewed");
    for (size_t i = 0; i < AREAS + 1; i++) {
        bool done = tables[i].bytes == 0 ||
                    mprotect(tables[i].start, tables[i].bytes, PROT_READ | PROT_WRITE) == 0;
        FUZZ_CHECK(done, "a table cannot be renewed");
    }
    for (size_t i = 0; i < saved_count; i++) {
        memcpy(saved[i].page, saved[i].content, PAGE_BYTES);
    }
}

void rewind_allocator(void)
{
    if (variables[0].bytes == 0) {
        remember();
    } else {
        renew_reservation();
        for (size_t i = 0; i < 2; i++) {
            copy_variables(variables[i].start, variables[i].copy, variables[i].bytes);
        }
    }
    clock_ms = 1000;
    force_slow = 0;
    message[0] = '\0';
}

void rewind_thread(void)
{
    static _Thread_local struct front *at_start;
    if (at_start == NULL) {
        at_start = thread_front; /* of a new thread: that of a thread without a heap */
    }
    thread_front = at_start;
}

size_t rewind_used_granules(void)
{
    return run_measure().used_granules;
}

bool rewind_has_heap(void)
{
    return thread_heap_if_any() != NULL;
}
