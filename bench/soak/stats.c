/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <math.h>

double stats_mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return count == 0 ? 0 : sum / (double)count;
}

double stats_cv_percent(const double *values, size_t count) {
    double mean = stats_mean(values, count), squares = 0;
    if (count < 2 || mean == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
    }
    return sqrt(squares / (double)(count - 1)) / mean * 100;
}

/*
 * The 97.5 % point of Student's t: exact for few degrees of freedom, from there on the expansion
 * in 1/df around the normal distribution (Abramowitz and Stegun 26.7.5), good to 4 digits.
 */
static double student_t(size_t degrees) {
    static const double exact[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706};
    if (degrees <= sizeof exact / sizeof exact[0]) {
        return exact[degrees - 1];
    }
    const double z = 1.959964, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
    double n = (double)degrees;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

struct stats_drift stats_drift(const double *values, size_t count) {
    struct stats_drift drift = {false, 0, 0, 0};
    if (count < 3) {
        return drift;
    }
    double middle = (double)(count - 1) / 2, mean = stats_mean(values, count);
    double xx = 0, xy = 0, rest = 0;
    for (size_t i = 0; i < count; i++) {
        double x = (double)i - middle;
        xx += x * x;
        xy += x * (values[i] - mean);
    }
    double slope = xy / xx, first = mean - slope * middle;
    for (size_t i = 0; i < count; i++) {
        double off = values[i] - (first + slope * (double)i);
        rest += off * off;
    }
    if (first <= 0) {
        return drift;
    }
    double error = sqrt(rest / (double)(count - 2) / xx) * student_t(count - 2);
    double to_percent = (double)(count - 1) / first * 100;
    drift.known = true;
    drift.percent = slope * to_percent;
    drift.low = (slope - error) * to_percent;
    drift.high = (slope + error) * to_percent;
    return drift;
}
