/* SPDX-License-Identifier: MIT */
/*
 * Runs a program and tells what it used:
 *
 *   launch [--preload PATH] FD PROG [ARGS..]
 *
 * Two lines go to the descriptor FD, 3 or above, a pipe of the caller:
 *   pid=N                   PROG is running as process N, the leader of a group of its own
 *   exit=N (or signal=N) utime_us=N stime_us=N rss_peak_kib=N minflt=N
 * The second one is the kernel's account of PROG and of the children that it waited for: times
 * and faults are sums, rss_peak_kib is that of the largest process.
 *
 * Why not from the caller itself: a process has as the lower bound of its peak RSS that of the
 * process it was forked from, which a Python script makes tens of MiB. This one is linked
 * statically where possible and stays below every program. --preload goes into the environment
 * of PROG only.
 *
 * On SIGTERM, SIGINT, SIGHUP and when the caller dies, the whole group is killed and the account
 * is given all the same. What PROG leaves running in its group is killed as well.
 *
 * Exit status: 0 the account is given, 1 it could not be, 2 wrong arguments.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_RUN = 127 };

struct order {
    const char *preload; /* NULL: none */
    int report;
    char **argv;
    sigset_t handled; /* taken with sigwaitinfo, blocked otherwise */
    sigset_t before;  /* the mask that PROG gets */
};

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    exit(1);
}

_Noreturn static void wrong_arguments(const char *what, const char *value) {
    fprintf(stderr, "launch: %s %s\nusage: launch [--preload PATH] FD PROG [ARGS..]\n", what, value);
    exit(2);
}

static int parse_descriptor(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || *text == '\0' || *end != '\0' || value <= STDERR_FILENO || value > 65535) {
        wrong_arguments("FD is a number from 3 to 65535, not", text);
    }
    return (int)value;
}

static void parse(int argc, char **argv, struct order *order) {
    int next = 1;
    if (next + 1 < argc && strcmp(argv[next], "--preload") == 0) {
        order->preload = argv[next + 1];
        next += 2;
    }
    if (argc - next < 2) {
        wrong_arguments("missing", argc == next ? "FD" : "PROG");
    }
    order->report = parse_descriptor(argv[next]);
    order->argv = argv + next + 1;
}

/* The death of the caller (in truth, of its thread that started this process) comes as SIGTERM. */
static void hold_signals(struct order *order) {
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&order->handled);
    sigaddset(&order->handled, SIGCHLD);
    sigaddset(&order->handled, SIGTERM);
    sigaddset(&order->handled, SIGINT);
    sigaddset(&order->handled, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &order->handled, &order->before) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
        fail("cannot prepare signals");
    }
}

_Noreturn static void become(const struct order *order, pid_t launcher) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launcher) {
        _exit(1); /* it died before the line above; nobody would send the signal any more */
    }
    if (order->preload != NULL && setenv("LD_PRELOAD", order->preload, 1) != 0) {
        fail("cannot set LD_PRELOAD");
    }
    sigprocmask(SIG_SETMASK, &order->before, NULL);
    close(order->report);
    execv(order->argv[0], order->argv);
    fprintf(stderr, "launch: cannot run %s: %s\n", order->argv[0], strerror(errno));
    _exit(CANNOT_RUN);
}

static pid_t start(const struct order *order) {
    pid_t launcher = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        fail("cannot fork");
    }
    if (pid == 0) {
        become(order, launcher);
    }
    setpgid(pid, pid); /* here as well: the group has to exist before it can be killed */
    return pid;
}

static bool has_ended(pid_t pid, int wait) {
    siginfo_t info = {.si_pid = 0};
    int result;
    do {
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | wait);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        fail("cannot wait for the program");
    }
    return info.si_pid == pid;
}

/* Until the wait4 at the end, the zombie keeps its number from being given to another group. */
static int await_end(const struct order *order, pid_t pid, struct rusage *usage) {
    while (!has_ended(pid, WNOHANG)) {
        int signal_number = sigwaitinfo(&order->handled, NULL);
        if (signal_number > 0 && signal_number != SIGCHLD) {
            kill(-pid, SIGKILL);
            has_ended(pid, 0);
        }
    }
    kill(-pid, SIGKILL);
    int status;
    if (wait4(pid, &status, 0, usage) != pid) {
        fail("cannot wait for the program");
    }
    return status;
}

static long long microseconds(struct timeval time) {
    return (long long)time.tv_sec * 1000000 + time.tv_usec;
}

int main(int argc, char **argv) {
    struct order order = {.preload = NULL};
    parse(argc, argv, &order);
    hold_signals(&order);
    pid_t pid = start(&order);
    bool heard = dprintf(order.report, "pid=%d\n", (int)pid) > 0;
    if (!heard) {
        kill(-pid, SIGKILL);
    }
    struct rusage usage;
    int status = await_end(&order, pid, &usage);
    bool killed = WIFSIGNALED(status);
    heard = heard && dprintf(order.report,
                             "%s=%d utime_us=%lld stime_us=%lld rss_peak_kib=%ld minflt=%ld\n",
                             killed ? "signal" : "exit", killed ? WTERMSIG(status) : WEXITSTATUS(status),
                             microseconds(usage.ru_utime), microseconds(usage.ru_stime),
                             usage.ru_maxrss, usage.ru_minflt) > 0;
    if (!heard) {
        fail("cannot write to FD");
    }
    return 0;
}
