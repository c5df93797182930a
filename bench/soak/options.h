/* SPDX-License-Identifier: MIT */
#ifndef SOAK_OPTIONS_H
#define SOAK_OPTIONS_H

#include "report.h"

/* Ends the process with status 2 and one sentence on stderr if an argument is wrong. */
struct options options_read(int count, char **arguments);

#endif
