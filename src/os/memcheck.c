/* SPDX-License-Identifier: MIT */
#include "os/memcheck.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_GET_VBITS(from, to, bytes) ((void)(from), (void)(to), 0)
#define VALGRIND_MALLOCLIKE_BLOCK(p, bytes, red_zone, zeroed) ((void)(p), (void)(bytes), (void)(zeroed))
#define VALGRIND_FREELIKE_BLOCK(p, red_zone) ((void)(p))
#define VALGRIND_MAKE_MEM_DEFINED(p, bytes) ((void)(p), (void)(bytes), 0)
#define VALGRIND_MAKE_MEM_NOACCESS(p, bytes) ((void)(p), (void)(bytes), 0)
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

atomic_u32 memcheck_state;

/* Only memcheck can tell the state of a byte; other tools, and none, leave the question unanswered. */
HAK_COLD bool memcheck_ask(void)
{
    uint32_t state = u32_load_relaxed(&memcheck_state); /* relaxed: every writer writes the same */
    if (state == MEMCHECK_UNKNOWN) {
        char byte = 0;
        char bits = 0;
        bool on = RUNNING_ON_VALGRIND && VALGRIND_GET_VBITS(&byte, &bits, 1) == 1;
        state = on ? MEMCHECK_ON : MEMCHECK_OFF;
        u32_store_relaxed(&memcheck_state, state);
    }
    return state == MEMCHECK_ON;
}

void memcheck_block_begins(const void *p, size_t bytes, bool zeroed)
{
    VALGRIND_MALLOCLIKE_BLOCK(p, bytes, 0, zeroed);
}

void memcheck_block_ends(const void *p)
{
    VALGRIND_FREELIKE_BLOCK(p, 0);
}

void memcheck_tables(const void *p, size_t bytes)
{
    if (memcheck_is_on()) {
        (void)VALGRIND_MAKE_MEM_DEFINED(p, bytes);
    }
}

void memcheck_free_memory(const void *p, size_t bytes)
{
    if (memcheck_is_on()) {
        (void)VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
    }
}

void memcheck_hide(void)
{
    if (memcheck_is_on()) {
        VALGRIND_DISABLE_ERROR_REPORTING;
    }
}

void memcheck_show(void)
{
    if (memcheck_is_on()) {
        VALGRIND_ENABLE_ERROR_REPORTING;
    }
}
