/* SPDX-License-Identifier: MIT */
/*
 * Goal: no file, damaged or made to harm, misleads the command's reader of programs into a crash, a
 * read outside of the file or an endless search.
 * Method: an input is a file. It is looked up, followed if it is a script, and judged as `hakmem run`
 * does with a program, and read once more as an ELF file, whose strings must lie in its tables.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "peers.h"
#include "program.h"

static int file = -1;
static char path[64];

static void start(void)
{
    file = memfd_create("input", 0);
    FUZZ_CHECK(file >= 0, "no file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    setenv("PATH", "/nonexistent:/bin", 1);
}

static void store(const uint8_t *data, size_t size)
{
    bool stored = ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size;
    FUZZ_CHECK(stored, "the file cannot be written");
}

static void visit(const char *name, void *argument)
{
    *(size_t *)argument += strlen(name);
}

static void check_elf(const struct elf_file *elf, size_t size)
{
    size_t symbol_bytes = 0;
    FUZZ_CHECK(elf->size == size, "the file has %llu bytes", (unsigned long long)elf->size);
    FUZZ_CHECK(elf->kind <= ELF_OTHER, "kind %d", (int)elf->kind);
    bool has_end = strnlen(elf->interpreter, sizeof elf->interpreter) < sizeof elf->interpreter;
    FUZZ_CHECK(has_end || elf->kind == ELF_BROKEN, "the interpreter has no end");
    FUZZ_CHECK(strlen(elf->soname) <= size, "the name is longer than the file");
    FUZZ_CHECK(elf->needed_count <= ELF_NEEDED_MAX, "%zu libraries", elf->needed_count);
    for (size_t i = 0; i < elf->needed_count; i++) {
        FUZZ_CHECK(strlen(elf->needed[i]) <= size, "a name is longer than the file");
    }
    elf_each_symbol(elf, SHT_DYNSYM, visit, &symbol_bytes);
    elf_each_symbol(elf, SHT_SYMTAB, visit, &symbol_bytes);
    FUZZ_CHECK(strlen(elf_machine_name(elf->machine)) > 0, "the machine has no name");
}

/* Findings are collected, not printed; the same file plays the library. */
static void judge(size_t size)
{
    struct report report = {.prefix = ""};
    struct library library = {.path = "/lib/libhakmem.so"};
    static struct program program;
    FUZZ_CHECK(elf_open(&library.elf, path), "the file cannot be opened");
    check_elf(&library.elf, size);
    if (program_find(&program, path, &report)) {
        fuzz_trace("binary %s, kind %d", program.binary, (int)program.elf.kind);
        program_check(&program, &library, &report);
        program_check(&program, NULL, &report);
    } else {
        FUZZ_CHECK(report.problem_count > 0, "the program was not found without a reason");
    }
    FUZZ_CHECK((report.problem_count > 0) == (report.first_problem[0] != '\0'),
               "%u problems without a sentence", report.problem_count);
    fuzz_trace("%s", report.first_problem);
    elf_close(&program.elf);
    elf_close(&library.elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (file < 0) {
        start();
    }
    store(data, size);
    judge(size);
    return 0;
}
