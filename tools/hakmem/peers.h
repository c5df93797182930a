/* SPDX-License-Identifier: MIT */
/*
 * peers: recognises other allocators and the sanitizers by library and symbol names.
 */
#ifndef HAKMEM_TOOLS_PEERS_H
#define HAKMEM_TOOLS_PEERS_H

#include <stdbool.h>

#include "elf_file.h"

/* "jemalloc" for "libjemalloc.so.2" or a path to it; NULL when it is no allocator we know. */
const char *peer_of_library(const char *name);

/* "AddressSanitizer" for "libasan.so.8", ...; NULL otherwise. */
const char *sanitizer_of_library(const char *name);

/* What the symbol tables of a program or library tell. */
struct peer_facts {
    bool has_table;         /* a dynamic symbol table was found */
    bool exports_malloc;    /* defines malloc where the dynamic loader sees it */
    const char *allocator;  /* an allocator whose own names are inside, or NULL */
    const char *sanitizer;  /* a sanitizer runtime linked in, or NULL */
};
void peer_scan(const struct elf_file *elf, struct peer_facts *facts);

#endif
