/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Included before everything else when the allocator is compiled for the machine: each atomic that
 * orders others tells the machine the function it stands in, just before it happens. What the
 * compiler leaves to libc goes through the machine too.
 */

#include <string.h>

#include "base/atomic.h"

void machine_site(const char *function, const char *operation);
void *machine_memset(void *to, int byte, size_t bytes);
void *machine_memcpy(void *to, const void *from, size_t bytes);
void *machine_memchr(const void *in, int byte, size_t bytes);

#define memset machine_memset
#define memcpy machine_memcpy
#define memchr machine_memchr

#define u32_load_acquire(...) (machine_site(__func__, "u32_load_acquire"), u32_load_acquire(__VA_ARGS__))
#define u32_store_release(...) (machine_site(__func__, "u32_store_release"), u32_store_release(__VA_ARGS__))
#define u32_cas_acquire(...) (machine_site(__func__, "u32_cas_acquire"), u32_cas_acquire(__VA_ARGS__))
#define u32_swap_acquire(...) (machine_site(__func__, "u32_swap_acquire"), u32_swap_acquire(__VA_ARGS__))
#define u32_swap_release(...) (machine_site(__func__, "u32_swap_release"), u32_swap_release(__VA_ARGS__))
#define u64_load_acquire(...) (machine_site(__func__, "u64_load_acquire"), u64_load_acquire(__VA_ARGS__))
#define u64_store_release(...) (machine_site(__func__, "u64_store_release"), u64_store_release(__VA_ARGS__))
#define ptr_swap_acquire(...) (machine_site(__func__, "ptr_swap_acquire"), ptr_swap_acquire(__VA_ARGS__))
#define ptr_cas_release(...) (machine_site(__func__, "ptr_cas_release"), ptr_cas_release(__VA_ARGS__))

#include "map/map.h"

/* Wrappers of wrappers: the machine keeps the outer name. */
#define map_word_acquire(...) (machine_site(__func__, "map_word_acquire"), map_word_acquire(__VA_ARGS__))
#define map_set_word_release(...) \
    (machine_site(__func__, "map_set_word_release"), map_set_word_release(__VA_ARGS__))
