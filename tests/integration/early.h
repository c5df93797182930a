/* SPDX-License-Identifier: MIT */
/* What lifecycle.c calls in the library early.c. */
#ifndef TEST_INTEGRATION_EARLY_H
#define TEST_INTEGRATION_EARLY_H

/* Allocates, moves and frees a hundred blocks of all kinds, checking their bytes. */
void early_churn(void);

/* early_churn(), then writes `letter` to standard output. */
void early_step(char letter);

#endif
