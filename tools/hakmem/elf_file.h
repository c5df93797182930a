/* SPDX-License-Identifier: MIT */
/*
 * elf_file: reads what matters of an ELF file for preloading: kind, machine, program
 * interpreter, needed libraries, symbols.
 *
 * The file is not trusted: every offset, count and size is checked against the file before it
 * is used, and everything is read with pread (no mapping that could fault when the file
 * shrinks meanwhile). A file that contradicts itself is ELF_BROKEN, never a crash.
 * Only the header of files of another word size or byte order is read (ELF_FOREIGN); that
 * is all one needs to refuse them.
 */
#ifndef HAKMEM_TOOLS_ELF_FILE_H
#define HAKMEM_TOOLS_ELF_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_NEEDED_MAX 256

enum elf_kind {
    ELF_NONE,       /* not an ELF file */
    ELF_BROKEN,     /* an ELF file that contradicts itself or is cut off */
    ELF_FOREIGN,    /* other word size or byte order than this command */
    ELF_DYNAMIC,    /* program with an interpreter (ld.so) */
    ELF_STATIC,     /* program without one */
    ELF_LOADER,     /* the dynamic loader itself, started as a program */
    ELF_LIBRARY,    /* shared library */
    ELF_OTHER       /* object file, core file */
};

struct elf_file {
    int fd;
    uint64_t size;
    enum elf_kind kind;
    unsigned bits;              /* 32 or 64 */
    bool big_endian;
    uint16_t machine;           /* EM_... */
    char interpreter[PATH_MAX]; /* "" when there is none */
    const char *soname;         /* "" when there is none; points into strings */
    const char *needed[ELF_NEEDED_MAX];
    size_t needed_count;
    char *strings;              /* the dynamic string table, NUL-terminated */
};

/* Opens and reads `path`. False with errno only when it cannot be opened. */
bool elf_open(struct elf_file *elf, const char *path);
void elf_close(struct elf_file *elf);

bool elf_needs(const struct elf_file *elf, const char *name_prefix);

/* Calls visit(name, argument) for each symbol defined in the table of the given section type
 * (SHT_DYNSYM, SHT_SYMTAB). False when the file has no such table or it cannot be read. */
typedef void elf_visit(const char *name, void *argument);
bool elf_each_symbol(const struct elf_file *elf, uint32_t section_type, elf_visit *visit,
                     void *argument);

/* "x86-64", "AArch64", ...; "machine 123" for the unknown. */
const char *elf_machine_name(uint16_t machine);

#endif
