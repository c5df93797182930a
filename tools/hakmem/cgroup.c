/* SPDX-License-Identifier: MIT */
#include "cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* Version 1 writes "no limit" as LONG_MAX rounded down to pages. */
#define V1_UNLIMITED (1ULL << 62)
#define DEPTH_MAX 64

struct place {
    char root[PATH_MAX];  /* where the hierarchy is mounted */
    char group[PATH_MAX]; /* our group below it: "" or "/a/b" */
};

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        bool starts = at == list || at[-1] == ',';
        bool ends = at[length] == ',' || at[length] == '\0' || at[length] == '\n';
        if (starts && ends) {
            return true;
        }
    }
    return false;
}

/* One line of mountinfo: `... ROOT MOUNT options ... - TYPE SOURCE SUPER`. */
static bool match_mount(char *line, const char *controller, char *base, char *mount)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    char type[32];
    char super[512];
    if (sscanf(tail, " - %31s %*s %511s", type, super) != 2) {
        return false;
    }
    bool matches = controller == NULL
                       ? strcmp(type, "cgroup2") == 0
                       : strcmp(type, "cgroup") == 0 && has_word(super, controller);
    return matches && sscanf(line, "%*s %*s %*s %4095s %4095s", base, mount) == 2;
}

static bool find_mount(const char *controller, char *base, char *mount)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL) {
        return false;
    }
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        found = match_mount(line, controller, base, mount);
    }
    free(line);
    fclose(file);
    return found;
}

/* One line of /proc/self/cgroup: `id:controllers:/path`; version 2 names no controllers. */
static bool find_group(const char *controller, char *group)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) {
        return false;
    }
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        char *list = strchr(line, ':');
        char *path = list != NULL ? strchr(list + 1, ':') : NULL;
        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        found = controller == NULL ? list[1] == '\0' : has_word(list + 1, controller);
        if (found) {
            found = text_format(group, PATH_MAX, "%s", path);
        }
    }
    free(line);
    fclose(file);
    return found;
}

/* A container may see its hierarchy mounted from its own group on (base), or not see the
 * group's directory at all; then the mount point is the group. */
static bool find_place(const char *controller, struct place *place)
{
    char base[PATH_MAX];
    char group[PATH_MAX];
    if (!find_mount(controller, base, place->root) || !find_group(controller, group)) {
        return false;
    }
    size_t shared = strcmp(base, "/") == 0 ? 0 : strlen(base);
    const char *below = strncmp(group, base, shared) == 0 ? group + shared : "";
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s%s", place->root, below);
    bool is_visible = strcmp(below, "/") != 0 && access(path, F_OK) == 0;
    snprintf(place->group, sizeof(place->group), "%s", is_visible ? below : "");
    return true;
}

static bool read_text(const struct place *place, const char *name, char *out, int size)
{
    char path[2 * PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s%s/%s", place->root, place->group, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(out, size, file) != NULL;
    fclose(file);
    return read;
}

/* Steps to the parent group; false at the top. */
static bool go_up(struct place *place)
{
    char *slash = strrchr(place->group, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

static unsigned long long least_memory(const char *controller, const char *name)
{
    struct place place;
    unsigned long long least = CGROUP_UNLIMITED;
    if (!find_place(controller, &place)) {
        return least;
    }
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        char text[128];
        unsigned long long bytes;
        if (read_text(&place, name, text, sizeof(text)) && sscanf(text, "%llu", &bytes) == 1 &&
            bytes < V1_UNLIMITED && bytes < least) {
            least = bytes;
        }
        if (!go_up(&place)) {
            break;
        }
    }
    return least;
}

unsigned long long cgroup_memory_max(void)
{
    unsigned long long v2 = least_memory(NULL, "memory.max");
    unsigned long long v1 = least_memory("memory", "memory.limit_in_bytes");
    return v1 < v2 ? v1 : v2;
}

/* Quota of one group in processors; 0: none. */
static double cpu_quota(const struct place *place, bool is_v2)
{
    char text[128];
    double quota = 0;
    double period = 0;
    if (is_v2) {
        if (!read_text(place, "cpu.max", text, sizeof(text)) ||
            sscanf(text, "%lf %lf", &quota, &period) != 2) {
            return 0;
        }
    } else {
        if (!read_text(place, "cpu.cfs_quota_us", text, sizeof(text)) ||
            sscanf(text, "%lf", &quota) != 1) {
            return 0;
        }
        if (!read_text(place, "cpu.cfs_period_us", text, sizeof(text)) ||
            sscanf(text, "%lf", &period) != 1) {
            return 0;
        }
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

static double least_cpu(const char *controller)
{
    struct place place;
    double least = 0;
    if (!find_place(controller, &place)) {
        return 0;
    }
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        double quota = cpu_quota(&place, controller == NULL);
        if (quota > 0 && (least <= 0 || quota < least)) {
            least = quota;
        }
        if (!go_up(&place)) {
            break;
        }
    }
    return least;
}

double cgroup_cpu_max(void)
{
    double v2 = least_cpu(NULL);
    double v1 = least_cpu("cpu");
    if (v1 <= 0 || (v2 > 0 && v2 < v1)) {
        return v2;
    }
    return v1;
}
