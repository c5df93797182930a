/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "command.h"

struct name_row {
    const char *name;
    const char *owner;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Beginnings of library file names. */
static const struct name_row allocator_libraries[] = {
    {"libjemalloc", "jemalloc"},
    {"libmimalloc", "mimalloc"},
    {"libtcmalloc", "tcmalloc"},
    {"librpmalloc", "rpmalloc"},
    {"libsnmalloc", "snmalloc"},
    {"libscudo", "Scudo"},
    {"libhoard", "Hoard"},
    {"libtbbmalloc_proxy", "TBB malloc"},
    {"libmesh", "Mesh"},
    {"libnedmalloc", "nedmalloc"},
    {"libhardened_malloc", "hardened_malloc"},
    {"libdmalloc", "dmalloc"},
    {"libefence", "Electric Fence"},
};

static const struct name_row sanitizer_libraries[] = {
    {"libasan.", "AddressSanitizer"},     {"libclang_rt.asan", "AddressSanitizer"},
    {"libhwasan.", "HWAddressSanitizer"}, {"libclang_rt.hwasan", "HWAddressSanitizer"},
    {"libtsan.", "ThreadSanitizer"},      {"libclang_rt.tsan", "ThreadSanitizer"},
    {"liblsan.", "LeakSanitizer"},
};

/* Whole symbol names. */
static const struct name_row allocator_symbols[] = {
    {"je_malloc", "jemalloc"}, {"mallocx", "jemalloc"},           {"_rjem_malloc", "jemalloc"},
    {"mi_malloc", "mimalloc"}, {"tc_malloc", "tcmalloc"},         {"rpmalloc", "rpmalloc"},
    {"sn_malloc", "snmalloc"}, {"scalable_malloc", "TBB malloc"}, {"hak_malloc", "hakmem"},
};

static const struct name_row sanitizer_symbols[] = {
    {"__asan_init", "AddressSanitizer"}, {"__hwasan_init", "HWAddressSanitizer"},
    {"__tsan_init", "ThreadSanitizer"},  {"__msan_init", "MemorySanitizer"},
    {"__lsan_init", "LeakSanitizer"},
};

static const char *find_prefix(const struct name_row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, rows[i].name, strlen(rows[i].name)) == 0) {
            return rows[i].owner;
        }
    }
    return NULL;
}

static const char *find_exact(const struct name_row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, rows[i].name) == 0) {
            return rows[i].owner;
        }
    }
    return NULL;
}

const char *peer_of_library(const char *name)
{
    return find_prefix(allocator_libraries, COUNT(allocator_libraries), text_basename(name));
}

const char *sanitizer_of_library(const char *name)
{
    return find_prefix(sanitizer_libraries, COUNT(sanitizer_libraries), text_basename(name));
}

static void note_owner(const char *name, struct peer_facts *facts)
{
    const char *owner = find_exact(allocator_symbols, COUNT(allocator_symbols), name);
    if (owner != NULL) {
        facts->allocator = owner;
    }
    owner = find_exact(sanitizer_symbols, COUNT(sanitizer_symbols), name);
    if (owner != NULL) {
        facts->sanitizer = owner;
    }
}

static void visit_exported(const char *name, void *argument)
{
    struct peer_facts *facts = argument;
    if (strcmp(name, "malloc") == 0) {
        facts->exports_malloc = true;
    }
    note_owner(name, facts);
}

static void visit_private(const char *name, void *argument)
{
    note_owner(name, argument);
}

void peer_scan(const struct elf_file *elf, struct peer_facts *facts)
{
    memset(facts, 0, sizeof(*facts));
    facts->has_table = elf_each_symbol(elf, SHT_DYNSYM, visit_exported, facts);
    elf_each_symbol(elf, SHT_SYMTAB, visit_private, facts);
    for (size_t i = 0; i < elf->needed_count && facts->sanitizer == NULL; i++) {
        facts->sanitizer = sanitizer_of_library(elf->needed[i]);
    }
}
