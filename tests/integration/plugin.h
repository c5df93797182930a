/* SPDX-License-Identifier: MIT */
/* The functions of plugin.c, found by dlsym. */
#ifndef TEST_INTEGRATION_PLUGIN_H
#define TEST_INTEGRATION_PLUGIN_H

#include <stddef.h>

/* Allocates and frees, also in a thread of its own. */
void plugin_run(void);

/* malloc and free as the plugin sees them: libc's own under RTLD_DEEPBIND. */
void *plugin_take(size_t size);
void plugin_give(void *block);

typedef void plugin_run_fn(void);
typedef void *plugin_take_fn(size_t);
typedef void plugin_give_fn(void *);

#endif
