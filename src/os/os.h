/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The only place with system calls. Any thread, any time, also before main; nothing here allocates
 * and every function leaves errno alone. Failure is a false or a NULL, never an abort.
 * In the tiny build one fallible call in n fails on request (os_fail_every).
 */

#include "base/compiler.h"

/* Reserves address space without access rights or commit charge. */
void *os_reserve(size_t bytes);
/* The same at exactly `addr`; *occupied tells whether somebody else's mapping is in the way. */
bool os_reserve_at(void *addr, size_t bytes, bool *occupied);
/* Can fail at the mapping limit only: then the address space stays reserved. */
bool os_unreserve(void *addr, size_t bytes);

/* Makes reserved memory usable (fresh memory reads as zero). */
bool os_commit(void *addr, size_t bytes);

/* Gives pages back; they read as zero afterwards when true is returned. They come back as small ones. */
bool os_purge(void *addr, size_t bytes);

/* Replaces pages by fresh zero pages, healing mappings that os_move_pages split. OS_RENEW_REFUSED:
 * the pages are as they were. OS_RENEW_LOST: they are gone. */
enum os_renewal { OS_RENEW_DONE, OS_RENEW_REFUSED, OS_RENEW_LOST };
enum os_renewal os_renew(void *addr, size_t bytes);

/* Moves the pages of [from, from + bytes) to `to`; `from` then reads as zero. OS_MOVE_REFUSED: nothing
 * has changed. OS_MOVE_LOST: nor have the pages, but `to` may be somebody else's mapping now. */
enum os_move { OS_MOVE_DONE, OS_MOVE_REFUSED, OS_MOVE_LOST };
enum os_move os_move_pages(void *from, void *to, size_t bytes);

/* Asks for small pages only in a range, so that a tiny process never clears a huge page. */
void os_no_huge_pages(void *addr, size_t bytes);
/* A huge page at addr, now; false if the system gives none, or is slow to: nothing has changed. */
bool os_huge_page(void *addr);
/* Looks at what the system gives while it may be looked at: a sandbox may forbid that later. */
void os_start(void);

size_t os_page_bytes(void);
size_t os_address_limit(void);   /* RLIMIT_AS in bytes, SIZE_MAX if none */
size_t os_memory_limit(void);    /* of the control group in bytes, SIZE_MAX if none; reads files */
uint32_t os_now_ms(void);        /* monotonic, coarse, wraps after 49 days */
size_t os_resident_bytes(void);
bool os_is_secure(void);         /* setuid and the like: ignore the environment */
const char *const *os_environment(void);

void os_futex_wait(void *word, uint32_t expected);
void os_futex_wake(void *word);
void os_yield(void);

void os_write_stderr(const char *text, size_t length);
_Noreturn void os_abort(void);

/* Tiny build: one fallible call in n fails; 0 switches it off. */
void os_fail_every(uint32_t n);
