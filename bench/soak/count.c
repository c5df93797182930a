/* SPDX-License-Identifier: MIT */
#include "count.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

const char *const call_names[CALLS] = {"mmap", "munmap", "mremap", "madvise",
                                       "mprotect", "brk", "futex", "sched_yield"};

static const struct {
    uint32_t number;
    int mark; /* the argument that holds OWN_CALL in a call of our own; -1: there are none */
} calls[CALLS] = {
    {SYS_mmap, -1},     {SYS_munmap, -1}, {SYS_mremap, -1}, {SYS_madvise, -1},
    {SYS_mprotect, -1}, {SYS_brk, -1},    {SYS_futex, 5},   {SYS_sched_yield, 0},
};

#if defined __x86_64__
enum { ARCHITECTURE_KNOWN = 1 };
static const uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined __aarch64__ && !defined __AARCH64EB__
enum { ARCHITECTURE_KNOWN = 1 };
static const uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
enum { ARCHITECTURE_KNOWN = 0 };
static const uint32_t architecture = 0;
#endif

static _Atomic uint64_t *counted; /* shared with the tracer, the only writer */

void count_read(uint64_t counts[CALLS]) {
    for (int i = 0; i < CALLS; i++) {
        /* relaxed: a call is added up before the thread that made it goes on */
        counts[i] = atomic_load_explicit(&counted[i], memory_order_relaxed);
    }
}

/* ---- the filter ---- */

enum { FILTER_MAX = 4 + 5 * CALLS };

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short length;
};

static void add(struct filter *filter, struct sock_filter instruction) {
    filter->code[filter->length++] = instruction;
}

static void add_load(struct filter *filter, size_t offset) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void add_return(struct filter *filter, uint32_t action) {
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Goes on with the next instruction if the loaded value is `value`, else `skip` further. */
static void add_unless(struct filter *filter, uint32_t value, uint8_t skip) {
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

/* The number of a call in `calls` reaches the tracer as the data of the event. */
static bool filter_install(void) {
    struct filter filter = {.length = 0};
    add_load(&filter, offsetof(struct seccomp_data, arch));
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
    add_return(&filter, SECCOMP_RET_ALLOW);
    add_load(&filter, offsetof(struct seccomp_data, nr));
    for (uint32_t i = 0; i < CALLS; i++) {
        bool marked = calls[i].mark >= 0;
        add_unless(&filter, calls[i].number, marked ? 4 : 1);
        if (marked) {
            /* the lower half of the argument, little-endian */
            add_load(&filter, offsetof(struct seccomp_data, args) + 8 * (size_t)calls[i].mark);
            add_unless(&filter, OWN_CALL, 1);
            add_return(&filter, SECCOMP_RET_ALLOW);
        }
        add_return(&filter, SECCOMP_RET_TRACE | i);
    }
    add_return(&filter, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = filter.length, .filter = filter.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/* ---- the tracer: a process of its own that uses no memory of the allocator ---- */

static void on_stop(pid_t thread, int status) {
    int event = status >> 16, signal = WSTOPSIG(status);
    unsigned long call;
    if (event == PTRACE_EVENT_SECCOMP) {
        if (ptrace(PTRACE_GETEVENTMSG, thread, NULL, &call) == 0 && call < CALLS) {
            atomic_fetch_add_explicit(&counted[call], 1, memory_order_relaxed);
        }
        signal = 0;
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        ptrace(PTRACE_LISTEN, thread, NULL, NULL); /* stopped by ^Z and the like */
        return;
    } else if (event != 0) {
        signal = 0; /* a new thread, or going on after ^Z */
    }
    /* A thread that was killed meanwhile makes this fail; its end is reported next. */
    ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal);
}

_Noreturn static void tracer_main(pid_t load, int channel) {
    char ready = 0;
    signal(SIGINT, SIG_IGN); /* ^C is for the load, which then prints its summary */
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (int file = 0; file <= STDERR_FILENO; file++) {
        close(file); /* a reader of the load's output must not wait for us */
    }
    if (read(channel, &ready, 1) == 1) {
        long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                       PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
        ready = ptrace(PTRACE_SEIZE, load, NULL, (void *)options) == 0;
        write_all(channel, &ready, 1);
    }
    close(channel);
    while (ready) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno != EINTR) {
            break; /* the load has ended */
        }
        if (thread > 0 && WIFSTOPPED(status)) {
            on_stop(thread, status);
        }
    }
    _exit(0);
}

/* The tracer is the child, so that the load keeps the process id, signals and exit status. */
static bool tracer_start(void) {
    int channel[2];
    char ready = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) {
        return false;
    }
    pid_t load = getpid(), tracer = fork();
    if (tracer == 0) {
        close(channel[0]);
        tracer_main(load, channel[1]);
    }
    close(channel[1]);
    if (tracer > 0) {
        prctl(PR_SET_PTRACER, tracer, 0, 0, 0); /* Yama lets only ancestors trace otherwise */
        ready = 1;
        write_all(channel[0], &ready, 1);
        if (read(channel[0], &ready, 1) != 1 || ready == 0) {
            waitpid(tracer, NULL, 0);
            ready = 0;
        }
    }
    close(channel[0]);
    return ready != 0;
}

bool count_start(void) {
    uint32_t trace = SECCOMP_RET_TRACE;
    if (!ARCHITECTURE_KNOWN || syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trace) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return false;
    }
    void *shared = mmap(NULL, CALLS * sizeof *counted, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return false;
    }
    counted = shared;
    /* If the filter is refused after all, a tracer without events does no harm. */
    return tracer_start() && filter_install();
}
