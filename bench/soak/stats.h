/* SPDX-License-Identifier: MIT */
/* Means, spread and trend of figures that were taken once per epoch. */
#ifndef SOAK_STATS_H
#define SOAK_STATS_H

#include <stdbool.h>
#include <stddef.h>

double stats_mean(const double *values, size_t count);
/* Coefficient of variation: standard deviation (n - 1) in percent of the mean; 0 for n < 2. */
double stats_cv_percent(const double *values, size_t count);

/*
 * Growth from the first to the last value along the least-squares line, in percent of the line's
 * first value, and the 95 % interval that Student's t gives for it. The interval takes the
 * deviations from the line for independent.
 */
struct stats_drift {
    bool known; /* false: fewer than 3 values, or the line begins at or below 0 */
    double percent, low, high;
};

struct stats_drift stats_drift(const double *values, size_t count);

#endif
