/* SPDX-License-Identifier: MIT */
/*
 * Included before every source of the allocator (clang -include): its variables lie in sections of
 * their own, so that rewind.c can put them back.
 */
#pragma clang section bss = "hak_bss" data = "hak_data"
