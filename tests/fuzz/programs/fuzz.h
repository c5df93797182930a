/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * fuzz: what the targets share. A target is one LLVMFuzzerTestOneInput, the door by which libFuzzer
 * and AFL++ know it; driver.c calls it without either. A wrong answer ends the process by abort, so
 * that whoever drives keeps the input.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what is wrong, then aborts. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define FUZZ_CHECK(condition, ...) ((condition) ? (void)0 : fuzz_fail(__VA_ARGS__))

/* Prints a line if FUZZ_TRACE is set: what an input that failed does, step by step. */
void fuzz_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies the next part of an input, up to a zero byte or the end, into text[size]; what does not fit
 * is dropped. False if the input is used up. */
bool fuzz_next_text(const uint8_t **data, size_t *left, char *text, size_t size);
