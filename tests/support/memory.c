/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { WORD_BYTES = sizeof(uint64_t) };

size_t memory_rss_bytes(void)
{
    char text[4096];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    const char *rss;

    CHECK(length > 0);
    close(fd);
    text[length] = '\0';
    rss = strstr(text, "\nRss:");
    CHECK(rss != NULL);
    return (size_t)strtoull(rss + strlen("\nRss:"), NULL, 10) * MEMORY_KIB;
}

size_t memory_rss_above_bytes(size_t base_bytes)
{
    size_t now_bytes = memory_rss_bytes();

    return now_bytes > base_bytes ? now_bytes - base_bytes : 0;
}

static uint64_t pattern_word(size_t word_index, size_t key)
{
    return (word_index + key + 1) * 0x9e3779b97f4a7c15u;
}

void memory_fill(void *start, size_t bytes, size_t key)
{
    char *to = start;
    size_t words = bytes / WORD_BYTES;

    for (size_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(i, key);

        memcpy(to + i * WORD_BYTES, &word, WORD_BYTES);
    }
    if (bytes % WORD_BYTES) {
        uint64_t word = pattern_word(words, key);

        memcpy(to + words * WORD_BYTES, &word, bytes % WORD_BYTES);
    }
}

bool memory_holds(const void *start, size_t bytes, size_t key)
{
    const char *from = start;
    size_t words = bytes / WORD_BYTES;
    uint64_t wrong_bits = 0;

    for (size_t i = 0; i < words; i++) {
        uint64_t word;

        memcpy(&word, from + i * WORD_BYTES, WORD_BYTES);
        wrong_bits |= word ^ pattern_word(i, key);
    }
    if (bytes % WORD_BYTES) {
        uint64_t word = pattern_word(words, key);

        if (memcmp(from + words * WORD_BYTES, &word, bytes % WORD_BYTES) != 0)
            return false;
    }
    return wrong_bits == 0;
}

bool memory_is_zero(const void *start, size_t bytes)
{
    const char *from = start;

    return bytes == 0 || (from[0] == 0 && memcmp(from, from + 1, bytes - 1) == 0);
}
