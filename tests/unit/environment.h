/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * environment: loads the settings from an environment made up by the test.
 */

#include "run/config.h"
#include "unit.h"

extern char **environ;

static inline void environment_load_now(void *entries)
{
    char **saved = environ;
    environ = entries;
    bool loaded = config_load();
    environ = saved;
    assert_true(loaded);
}

/* Loads the one or two entries; returns what was written to stderr. */
static inline const char *environment_load(const char *first, const char *second)
{
    const char *entries[] = {"PATH=/bin", "HAKME=1", "XHAKMEM_FLAG=0", first, second, NULL};
    return unit_stderr_of(environment_load_now, entries);
}
