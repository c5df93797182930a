/* SPDX-License-Identifier: MIT */
/*
 * operator new and delete for C++, by their mangled names (Itanium ABI, size_t = unsigned long), so
 * that no libstdc++ is needed. C cannot throw: on failure the new-handler runs, if there is one,
 * then libstdc++'s or libc++'s __throw_bad_alloc, if it is there. Compiled with -fexceptions, so
 * that what these throw may pass. Sizes and alignments given to delete are not needed.
 * The nothrow forms of new are left to the C++ library: they call the forms here and catch what
 * these or the new-handler throw, which C cannot.
 */
#include <stdlib.h>

#include "front/entry.h"
#include "os/report.h"

#define REPLACEABLE HAK_EXPORT __attribute__((weak))

typedef void (*new_handler)(void);
__attribute__((weak)) new_handler _ZSt15get_new_handlerv(void);
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);

/* One try has failed. True: the handler ran, try again. A handler that throws passes through. */
HAK_COLD static bool run_new_handler(void)
{
    new_handler handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
    if (handler != NULL) {
        handler();
        return true;
    }
    return false;
}

HAK_COLD static void throw_bad_alloc(void)
{
    if (_ZSt17__throw_bad_allocv != NULL) {
        _ZSt17__throw_bad_allocv();
    }
    report_fail("operator new", "out of memory and no std::bad_alloc to throw, block", NULL);
}

HAK_COLD static void *new_slow(size_t alignment, size_t size)
{
    while (run_new_handler()) {
        void *p = entry_aligned(alignment, size);
        if (p != NULL) {
            return p;
        }
    }
    return NULL;
}

HAK_INLINE void *new_plain(size_t size)
{
    void *p = entry_malloc(size);
    if (unlikely(p == NULL) && (p = new_slow(1, size)) == NULL) {
        throw_bad_alloc();
    }
    return p;
}

HAK_INLINE void *new_aligned(size_t size, size_t alignment)
{
    void *p = entry_aligned(alignment, size);
    if (unlikely(p == NULL) && (p = new_slow(alignment, size)) == NULL) {
        throw_bad_alloc();
    }
    return p;
}

void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void *_ZnamSt11align_val_t(size_t size, size_t alignment);
void _ZdlPv(void *p);
void _ZdaPv(void *p);
void _ZdlPvm(void *p, size_t size);
void _ZdlPvRKSt9nothrow_t(void *p, const void *tag);
void _ZdlPvSt11align_val_t(void *p, size_t alignment);
void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t alignment);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const void *tag);
void _ZdaPvm(void *p, size_t size);
void _ZdaPvRKSt9nothrow_t(void *p, const void *tag);
void _ZdaPvSt11align_val_t(void *p, size_t alignment);
void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t alignment);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const void *tag);

REPLACEABLE HAK_HOT void *_Znwm(size_t size)
{
    return new_plain(size);
}

REPLACEABLE void *_Znam(size_t size)
{
    return _Znwm(size);
}

REPLACEABLE void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
{
    return new_aligned(size, alignment);
}

REPLACEABLE void *_ZnamSt11align_val_t(size_t size, size_t alignment)
{
    return _ZnwmSt11align_val_t(size, alignment);
}

REPLACEABLE HAK_HOT void _ZdlPv(void *p)
{
    entry_free(p);
}

REPLACEABLE void _ZdaPv(void *p)
{
    _ZdlPv(p);
}

REPLACEABLE HAK_HOT void _ZdlPvm(void *p, size_t size)
{
    (void)size;
    _ZdlPv(p);
}

REPLACEABLE void _ZdlPvRKSt9nothrow_t(void *p, const void *tag)
{
    (void)tag;
    _ZdlPv(p);
}

REPLACEABLE void _ZdlPvSt11align_val_t(void *p, size_t alignment)
{
    (void)alignment;
    entry_free(p);
}

REPLACEABLE void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t alignment)
{
    (void)size;
    _ZdlPvSt11align_val_t(p, alignment);
}

REPLACEABLE void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const void *tag)
{
    (void)tag;
    _ZdlPvSt11align_val_t(p, alignment);
}

REPLACEABLE void _ZdaPvm(void *p, size_t size)
{
    (void)size;
    _ZdaPv(p);
}

REPLACEABLE void _ZdaPvRKSt9nothrow_t(void *p, const void *tag)
{
    (void)tag;
    _ZdaPv(p);
}

REPLACEABLE void _ZdaPvSt11align_val_t(void *p, size_t alignment)
{
    _ZdlPvSt11align_val_t(p, alignment);
}

REPLACEABLE void _ZdaPvmSt11align_val_t(void *p, size_t size, size_t alignment)
{
    (void)size;
    _ZdaPvSt11align_val_t(p, alignment);
}

REPLACEABLE void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *p, size_t alignment, const void *tag)
{
    (void)tag;
    _ZdaPvSt11align_val_t(p, alignment);
}
