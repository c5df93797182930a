/* SPDX-License-Identifier: MIT */
#include "elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

/* Far above what real files have; they bound memory and time on hostile ones. */
#define TABLE_BYTES_MAX (256ULL << 20)
#define PHDR_COUNT_MAX 4096
#define SHDR_COUNT_MAX 262144

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

struct dynamic_facts {
    uint64_t strings_address;
    uint64_t strings_bytes;
    uint64_t soname_offset;
    uint64_t needed_offset[ELF_NEEDED_MAX];
    size_t needed_count;
    bool has_soname;
    bool is_pie;
};

static bool read_at(const struct elf_file *elf, void *out, uint64_t bytes, uint64_t offset)
{
    if (offset > elf->size || bytes > elf->size - offset) {
        return false;
    }
    char *to = out;
    while (bytes > 0) {
        ssize_t got = pread(elf->fd, to, (size_t)bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        to += got;
        bytes -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* Reads a table into fresh memory and puts a NUL behind it; NULL when it is not there. */
static void *read_table(const struct elf_file *elf, uint64_t bytes, uint64_t offset)
{
    if (bytes > TABLE_BYTES_MAX || offset > elf->size || bytes > elf->size - offset) {
        return NULL;
    }
    char *table = malloc((size_t)bytes + 1);
    if (table == NULL) {
        return NULL;
    }
    if (!read_at(elf, table, bytes, offset)) {
        free(table);
        return NULL;
    }
    table[bytes] = '\0';
    return table;
}

/* Identification bytes and the two fields that lie at the same place in every ELF file. */
static bool read_identity(struct elf_file *elf)
{
    unsigned char head[20];
    if (!read_at(elf, head, SELFMAG, 0) || memcmp(head, ELFMAG, SELFMAG) != 0) {
        elf->kind = ELF_NONE;
        return false;
    }
    elf->kind = ELF_BROKEN;
    if (!read_at(elf, head, sizeof(head), 0)) {
        return false;
    }
    if (head[EI_CLASS] != ELFCLASS32 && head[EI_CLASS] != ELFCLASS64) {
        return false;
    }
    if (head[EI_DATA] != ELFDATA2LSB && head[EI_DATA] != ELFDATA2MSB) {
        return false;
    }
    elf->bits = head[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    elf->big_endian = head[EI_DATA] == ELFDATA2MSB;
    unsigned low = head[elf->big_endian ? 19 : 18];
    unsigned high = head[elf->big_endian ? 18 : 19];
    elf->machine = (uint16_t)(high << 8 | low);
    if (head[EI_CLASS] != NATIVE_CLASS || head[EI_DATA] != NATIVE_DATA) {
        elf->kind = ELF_FOREIGN;
        return false;
    }
    return true;
}

static bool read_interpreter(struct elf_file *elf, const ElfW(Phdr) * segment)
{
    uint64_t bytes = segment->p_filesz;
    if (bytes < 2 || bytes > sizeof(elf->interpreter)) {
        return false;
    }
    if (!read_at(elf, elf->interpreter, bytes, segment->p_offset)) {
        return false;
    }
    return elf->interpreter[bytes - 1] == '\0';
}

static void note_dynamic_entry(struct dynamic_facts *facts, const ElfW(Dyn) * entry)
{
    switch (entry->d_tag) {
    case DT_STRTAB:
        facts->strings_address = entry->d_un.d_ptr;
        break;
    case DT_STRSZ:
        facts->strings_bytes = entry->d_un.d_val;
        break;
    case DT_SONAME:
        facts->soname_offset = entry->d_un.d_val;
        facts->has_soname = true;
        break;
    case DT_NEEDED:
        if (facts->needed_count < ELF_NEEDED_MAX) {
            facts->needed_offset[facts->needed_count++] = entry->d_un.d_val;
        }
        break;
    case DT_FLAGS_1:
        facts->is_pie = (entry->d_un.d_val & DF_1_PIE) != 0;
        break;
    default:
        break;
    }
}

static bool read_dynamic(const struct elf_file *elf, const ElfW(Phdr) * segment,
                         struct dynamic_facts *facts)
{
    ElfW(Dyn) *table = read_table(elf, segment->p_filesz, segment->p_offset);
    if (table == NULL) {
        return false;
    }
    size_t count = segment->p_filesz / sizeof(*table);
    for (size_t i = 0; i < count && table[i].d_tag != DT_NULL; i++) {
        note_dynamic_entry(facts, &table[i]);
    }
    free(table);
    return true;
}

/* Translates an address to its place in the file through the loadable segments. */
static bool file_offset(const ElfW(Phdr) * segments, size_t count, uint64_t address,
                        uint64_t *offset)
{
    for (size_t i = 0; i < count; i++) {
        const ElfW(Phdr) *segment = &segments[i];
        if (segment->p_type != PT_LOAD || address < segment->p_vaddr) {
            continue;
        }
        uint64_t inside = address - segment->p_vaddr;
        if (inside < segment->p_filesz) {
            *offset = segment->p_offset + inside;
            return *offset >= inside;
        }
    }
    return false;
}

static bool read_names(struct elf_file *elf, const struct dynamic_facts *facts,
                       const ElfW(Phdr) * segments, size_t count)
{
    if (!facts->has_soname && facts->needed_count == 0) {
        return true;
    }
    uint64_t offset;
    if (!file_offset(segments, count, facts->strings_address, &offset)) {
        return false;
    }
    elf->strings = read_table(elf, facts->strings_bytes, offset);
    if (elf->strings == NULL) {
        return false;
    }
    if (facts->has_soname) {
        if (facts->soname_offset >= facts->strings_bytes) {
            return false;
        }
        elf->soname = elf->strings + facts->soname_offset;
    }
    for (size_t i = 0; i < facts->needed_count; i++) {
        if (facts->needed_offset[i] >= facts->strings_bytes) {
            return false;
        }
        elf->needed[elf->needed_count++] = elf->strings + facts->needed_offset[i];
    }
    return true;
}

static bool read_segments(struct elf_file *elf, const ElfW(Phdr) * segments, size_t count,
                          struct dynamic_facts *facts)
{
    for (size_t i = 0; i < count; i++) {
        if (segments[i].p_type == PT_INTERP && !read_interpreter(elf, &segments[i])) {
            return false;
        }
        if (segments[i].p_type == PT_DYNAMIC && !read_dynamic(elf, &segments[i], facts)) {
            return false;
        }
    }
    return read_names(elf, facts, segments, count);
}

/* A static-pie program, a library and ld.so are all ET_DYN without an interpreter. */
static enum elf_kind kind_of(const struct elf_file *elf, const ElfW(Ehdr) * header,
                             const struct dynamic_facts *facts, const char *path)
{
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN) {
        return ELF_OTHER;
    }
    if (elf->interpreter[0] != '\0') {
        return ELF_DYNAMIC;
    }
    if (header->e_type == ET_EXEC || facts->is_pie) {
        return ELF_STATIC;
    }
    if (strncmp(elf->soname, "ld-", 3) == 0 || strncmp(text_basename(path), "ld-", 3) == 0) {
        return ELF_LOADER;
    }
    bool nameless = elf->soname[0] == '\0' && elf->needed_count == 0;
    return nameless && header->e_entry != 0 ? ELF_STATIC : ELF_LIBRARY;
}

static void read_native(struct elf_file *elf, const char *path)
{
    ElfW(Ehdr) header;
    if (!read_at(elf, &header, sizeof(header), 0)) {
        return;
    }
    if (header.e_phnum > PHDR_COUNT_MAX) {
        return;
    }
    if (header.e_phnum > 0 && header.e_phentsize != sizeof(ElfW(Phdr))) {
        return;
    }
    ElfW(Phdr) *segments = read_table(elf, header.e_phnum * sizeof(ElfW(Phdr)), header.e_phoff);
    if (segments == NULL) {
        return;
    }
    struct dynamic_facts facts = {0};
    if (read_segments(elf, segments, header.e_phnum, &facts)) {
        elf->kind = kind_of(elf, &header, &facts, path);
    }
    free(segments);
}

bool elf_open(struct elf_file *elf, const char *path)
{
    memset(elf, 0, sizeof(*elf));
    elf->soname = "";
    elf->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (elf->fd < 0) {
        return false;
    }
    struct stat status;
    if (fstat(elf->fd, &status) == 0 && S_ISREG(status.st_mode)) {
        elf->size = (uint64_t)status.st_size;
    }
    if (read_identity(elf)) {
        read_native(elf, path);
    }
    return true;
}

void elf_close(struct elf_file *elf)
{
    if (elf->fd >= 0) {
        close(elf->fd);
    }
    free(elf->strings);
    elf->strings = NULL;
    elf->fd = -1;
}

bool elf_needs(const struct elf_file *elf, const char *name_prefix)
{
    for (size_t i = 0; i < elf->needed_count; i++) {
        if (strncmp(elf->needed[i], name_prefix, strlen(name_prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* More than 65,279 sections: the true count stands in the first section's size. */
static ElfW(Shdr) * read_sections(const struct elf_file *elf, size_t *count)
{
    ElfW(Ehdr) header;
    ElfW(Shdr) first;
    if (!read_at(elf, &header, sizeof(header), 0) || header.e_shoff == 0) {
        return NULL;
    }
    if (header.e_shentsize != sizeof(first) ||
        !read_at(elf, &first, sizeof(first), header.e_shoff)) {
        return NULL;
    }
    uint64_t total = header.e_shnum != 0 ? header.e_shnum : first.sh_size;
    if (total > SHDR_COUNT_MAX) {
        return NULL;
    }
    *count = (size_t)total;
    return read_table(elf, total * sizeof(first), header.e_shoff);
}

static bool visit_symbols(const struct elf_file *elf, const ElfW(Shdr) * symbols,
                          const ElfW(Shdr) * names, elf_visit *visit, void *argument)
{
    ElfW(Sym) *table = read_table(elf, symbols->sh_size, symbols->sh_offset);
    char *strings = read_table(elf, names->sh_size, names->sh_offset);
    bool readable = table != NULL && strings != NULL;
    size_t count = readable ? symbols->sh_size / sizeof(*table) : 0;
    for (size_t i = 0; i < count; i++) {
        if (table[i].st_shndx != SHN_UNDEF && table[i].st_name < names->sh_size) {
            visit(strings + table[i].st_name, argument);
        }
    }
    free(table);
    free(strings);
    return readable;
}

bool elf_each_symbol(const struct elf_file *elf, uint32_t section_type, elf_visit *visit,
                     void *argument)
{
    if (elf->kind < ELF_DYNAMIC) {
        return false;
    }
    size_t count = 0;
    ElfW(Shdr) *sections = read_sections(elf, &count);
    bool found = false;
    for (size_t i = 0; sections != NULL && i < count && !found; i++) {
        if (sections[i].sh_type == section_type && sections[i].sh_link < count) {
            found = visit_symbols(elf, &sections[i], &sections[sections[i].sh_link], visit,
                                  argument);
        }
    }
    free(sections);
    return found;
}

const char *elf_machine_name(uint16_t machine)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } names[] = {
        {EM_386, "x86"},         {EM_X86_64, "x86-64"}, {EM_ARM, "ARM"},
        {EM_AARCH64, "AArch64"}, {EM_RISCV, "RISC-V"},  {EM_PPC64, "PowerPC64"},
        {EM_S390, "s390"},       {EM_MIPS, "MIPS"},     {EM_LOONGARCH, "LoongArch"},
    };
    static char unknown[32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].machine == machine) {
            return names[i].name;
        }
    }
    snprintf(unknown, sizeof(unknown), "machine %u", (unsigned)machine);
    return unknown;
}
