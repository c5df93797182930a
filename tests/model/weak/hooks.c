/* SPDX-License-Identifier: MIT */
/* The calls that -fsanitize=thread makes of memory accesses, and the ones it leaves to libc. */
#include <string.h>

#include "machine.h"

#define CODE __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *code);
void __tsan_func_exit(void);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *code)
{
    (void)code;
}

void __tsan_func_exit(void)
{
}

#define ACCESS(name, bytes, is_write)             \
    void __tsan_##name(void *address);            \
    void __tsan_##name(void *address)             \
    {                                             \
        machine_access(address, bytes, is_write, CODE); \
    }
ACCESS(read1, 1, false)
ACCESS(read2, 2, false)
ACCESS(read4, 4, false)
ACCESS(read8, 8, false)
ACCESS(read16, 16, false)
ACCESS(write1, 1, true)
ACCESS(write2, 2, true)
ACCESS(write4, 4, true)
ACCESS(write8, 8, true)
ACCESS(write16, 16, true)
ACCESS(unaligned_read2, 2, false)
ACCESS(unaligned_read4, 4, false)
ACCESS(unaligned_read8, 8, false)
ACCESS(unaligned_read16, 16, false)
ACCESS(unaligned_write2, 2, true)
ACCESS(unaligned_write4, 4, true)
ACCESS(unaligned_write8, 8, true)
ACCESS(unaligned_write16, 16, true)

void __tsan_read_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes);

void __tsan_read_range(void *address, size_t bytes)
{
    machine_access(address, bytes, false, CODE);
}

void __tsan_write_range(void *address, size_t bytes)
{
    machine_access(address, bytes, true, CODE);
}

#define ATOMICS(bits, type)                                                                     \
    type __tsan_atomic##bits##_load(type *address, int order);                                  \
    void __tsan_atomic##bits##_store(type *address, type value, int order);                     \
    type __tsan_atomic##bits##_exchange(type *address, type value, int order);                  \
    type __tsan_atomic##bits##_fetch_add(type *address, type value, int order);                 \
    bool __tsan_atomic##bits##_compare_exchange_strong(type *address, type *expected, type desired, \
                                                       int order, int order_of_failure);        \
    bool __tsan_atomic##bits##_compare_exchange_weak(type *address, type *expected, type desired,   \
                                                     int order, int order_of_failure);          \
    type __tsan_atomic##bits##_load(type *address, int order)                                   \
    {                                                                                           \
        return (type)machine_load(address, sizeof(type), order);                                \
    }                                                                                           \
    void __tsan_atomic##bits##_store(type *address, type value, int order)                      \
    {                                                                                           \
        machine_store(address, sizeof(type), value, order);                                     \
    }                                                                                           \
    type __tsan_atomic##bits##_exchange(type *address, type value, int order)                   \
    {                                                                                           \
        return (type)machine_swap(address, sizeof(type), value, order);                         \
    }                                                                                           \
    type __tsan_atomic##bits##_fetch_add(type *address, type value, int order)                  \
    {                                                                                           \
        return (type)machine_add(address, sizeof(type), value, order);                          \
    }                                                                                           \
    bool __tsan_atomic##bits##_compare_exchange_strong(type *address, type *expected, type desired, \
                                                       int order, int order_of_failure)         \
    {                                                                                           \
        (void)order_of_failure;                                                                 \
        uint64_t old = *expected;                                                               \
        bool done = machine_cas(address, sizeof(type), &old, desired, order);            \
        *expected = (type)old;                                                                  \
        return done;                                                                            \
    }                                                                                           \
    bool __tsan_atomic##bits##_compare_exchange_weak(type *address, type *expected, type desired,   \
                                                     int order, int order_of_failure)           \
    {                                                                                           \
        (void)order_of_failure;                                                                 \
        uint64_t old = *expected;                                                               \
        bool done = machine_cas(address, sizeof(type), &old, desired, order | MACHINE_WEAK);             \
        *expected = (type)old;                                                                  \
        return done;                                                                            \
    }
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

/* ---- libc and the system ---- */

void *machine_memset(void *to, int byte, size_t bytes);
void *machine_memcpy(void *to, const void *from, size_t bytes);
void *machine_memchr(const void *in, int byte, size_t bytes);
bool __real_os_purge(void *address, size_t bytes);
bool __wrap_os_purge(void *address, size_t bytes);

void *machine_memset(void *to, int byte, size_t bytes)
{
    machine_access(to, bytes, true, CODE);
    return memset(to, byte, bytes);
}

void *machine_memcpy(void *to, const void *from, size_t bytes)
{
    machine_access(from, bytes, false, CODE);
    machine_access(to, bytes, true, CODE);
    return memcpy(to, from, bytes);
}

void *machine_memchr(const void *in, int byte, size_t bytes)
{
    machine_access(in, bytes, false, CODE);
    return memchr(in, byte, bytes);
}

/* The system writes zeroes (linked with --wrap). */
bool __wrap_os_purge(void *address, size_t bytes)
{
    machine_access(address, bytes, true, CODE);
    return __real_os_purge(address, bytes);
}
