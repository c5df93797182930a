/* SPDX-License-Identifier: MIT */
/*
 * Start-up cost: runs PROG ARGS.. COUNT times, one after the other, and waits for each. One op
 * is one run, so 1 / mops is the time per run in microseconds. A run that fails ends the whole
 * measurement. rss_peak_kib is the largest peak RSS of a child; minflt and stime_ms are those
 * of the children.
 *
 * --preload PATH goes only into the children's environment; this program must not be preloaded
 * itself, or the library would slow down the spawning as well. It is linked statically where
 * possible: a child inherits the peak RSS of the process that spawned it as its lower bound,
 * so the spawner has to be smaller than anything it measures.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { WARM_UP_RUNS = 3 };

struct command {
    char **argv;
    char **env;
    posix_spawn_file_actions_t actions; /* the child's stdout is dropped */
};

static const char preload_name[] = "LD_PRELOAD=";

/* A copy of environ with LD_PRELOAD replaced; PATH NULL leaves the environment as it is. */
static char **child_environment(const char *path) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **env = bench_table(count + 2, sizeof *env);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool replaced = path != NULL &&
                        strncmp(environ[i], preload_name, sizeof preload_name - 1) == 0;
        if (!replaced) {
            env[used++] = environ[i];
        }
    }
    if (path != NULL && asprintf(&env[used], "%s%s", preload_name, path) < 0) {
        bench_die("out of memory");
    }
    return env;
}

/* Returns the peak RSS of the child in KiB. */
static long run_once(const struct command *command) {
    pid_t pid;
    int error = posix_spawnp(&pid, command->argv[0], &command->actions, NULL, command->argv,
                             command->env);
    if (error != 0) {
        fprintf(stderr, "bench: cannot start %s: %s\n", command->argv[0], strerror(error));
        exit(1);
    }
    int status;
    struct rusage usage;
    if (wait4(pid, &status, 0, &usage) != pid) {
        bench_die("cannot wait for the program");
    }
    if (status != 0) {
        fprintf(stderr, "bench: %s failed (%s %d)\n", command->argv[0],
                WIFSIGNALED(status) ? "signal" : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        exit(1);
    }
    return usage.ru_maxrss;
}

static long run_many(const struct command *command, uint32_t count) {
    long rss_peak_kib = 0;
    for (uint32_t i = 0; i < count; i++) {
        long kib = run_once(command);
        rss_peak_kib = kib > rss_peak_kib ? kib : rss_peak_kib;
    }
    return rss_peak_kib;
}

/* The program's name for params=, which may hold neither blanks nor '='. */
static const char *printable_name(const char *prog) {
    return strpbrk(prog, " \t\n=") == NULL ? prog : "(unprintable)";
}

int main(int argc, char **argv) {
    struct bench_args args = {argv + 1, "bench_spawn [--preload PATH] COUNT PROG [ARGS..]"};
    const char *preload = NULL;
    if (argc > 2 && strcmp(argv[1], "--preload") == 0) {
        preload = argv[2];
        args.next += 2;
    }
    uint32_t count = bench_arg(&args, 1);
    if (*args.next == NULL) {
        bench_usage(&args);
    }
    struct command command = {.argv = args.next, .env = child_environment(preload)};
    posix_spawn_file_actions_init(&command.actions);
    posix_spawn_file_actions_addopen(&command.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

    run_many(&command, WARM_UP_RUNS);
    struct bench_mark start = bench_mark_now(RUSAGE_CHILDREN);
    long rss_peak_kib = run_many(&command, count);
    struct bench_result result = bench_since(&start, RUSAGE_CHILDREN);
    result.rss_peak_kib = rss_peak_kib;
    posix_spawn_file_actions_destroy(&command.actions);
    bench_report("bench_spawn", 1, count, &result, "count:%u;prog:%s", count,
                 printable_name(command.argv[0]));
    return 0;
}
