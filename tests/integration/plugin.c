/* SPDX-License-Identifier: MIT */
/* A plugin that allocates in its constructor, its functions, its thread data and its
 * destructor. Loaded and unloaded by dlopen.c. */
#include "plugin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static char *kept_text;
static __thread char thread_buffer[3000];

static void churn(void)
{
    char *blocks[50];

    for (size_t i = 0; i < 50; i++) {
        blocks[i] = malloc(i * i * 9 + 1);
        CHECK(blocks[i]);
        memset(blocks[i], (int)i, i * i * 9 + 1);
    }
    for (size_t i = 0; i < 50; i++) {
        CHECK(blocks[i][i * i * 9] == (char)i);
        free(blocks[i]);
    }
}

static void *churn_in_thread(void *nothing)
{
    memset(thread_buffer, 1, sizeof thread_buffer);
    churn();
    return nothing;
}

void plugin_run(void)
{
    pthread_t thread;

    churn();
    memset(thread_buffer, 2, sizeof thread_buffer);
    CHECK(pthread_create(&thread, NULL, churn_in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

void *plugin_take(size_t size)
{
    return malloc(size);
}

void plugin_give(void *block)
{
    free(block);
}

__attribute__((constructor)) static void start(void)
{
    kept_text = malloc(100);
    CHECK(kept_text);
    strcpy(kept_text, "from the constructor");
    churn();
}

__attribute__((destructor)) static void stop(void)
{
    CHECK(strcmp(kept_text, "from the constructor") == 0);
    free(kept_text);
    churn();
}
