/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Settings: one table (config.def), read once from the environment, ignored in setuid programs.
 * An unknown name or a bad value gives one warning that names the nearest valid one, and the
 * default is used; a value that starts with '?' is not warned about. Calls: os.
 * Threads: config_load once at start; afterwards everything here is constant.
 */

#include "base/compiler.h"

#define SETTING_BOOL(name, def, text) SETTING_##name,
#define SETTING_INT(name, def, min, max, text) SETTING_##name,
#define SETTING_SIZE(name, def, min, max, text) SETTING_##name,
#define SETTING_ENUM(name, def, values, text) SETTING_##name,
enum setting_id {
#include "run/config.def"
    SETTING_COUNT
};
#undef SETTING_BOOL
#undef SETTING_INT
#undef SETTING_SIZE
#undef SETTING_ENUM

enum route { ROUTE_TINY_FIRST, ROUTE_TINY_ONLY, ROUTE_POOL_ONLY };

/* Reads the environment; false if there is none yet (too early in the start of the process). */
bool config_load(void);
/* The value of a setting: a number, bytes, 0 or 1, or the index of the word. */
uint64_t setting_get(enum setting_id id);
/* What HAKMEM_HELP and HAKMEM_VERBOSE ask for. */
void config_print_help(void);
void config_print_banner(void);
