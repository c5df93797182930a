/* SPDX-License-Identifier: MIT */
/*
 * A main for a target without a fuzzing engine: replays files, or runs random inputs from a seed.
 *
 *   PROGRAM FILE|FOLDER...          each file once; files of a folder in the order of their names
 *   PROGRAM --random N [FOLDER]     N inputs; an input that fails is kept in FOLDER (here: .)
 *
 * The seed comes from TEST_SEED, else from the clock, and is printed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "random.h"

enum { INPUT_BYTES_MAX = 1024, FILE_BYTES_MAX = 1 << 20, REPEAT_BYTES_MAX = 60, PATH_BYTES = 4096 };

static uint8_t current[FILE_BYTES_MAX];
static size_t current_bytes;
static size_t done;
static char keep_path[PATH_BYTES]; /* where an input that fails goes; "": it lies in a file already */

/* ---- keeping what failed ---- */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(1);
    }
}

static void on_crash(int number)
{
    if (keep_path[0] != '\0') {
        int fd = open(keep_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd >= 0 && write(fd, current, current_bytes) == (ssize_t)current_bytes) {
            say("kept: ");
            say(keep_path);
            say("\n");
        }
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_crashes(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        signal(numbers[i], on_crash);
    }
}

/* ---- files ---- */

static bool run_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, current, sizeof current) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        fprintf(stderr, "%s cannot be read\n", path);
        return false;
    }
    current_bytes = (size_t)n;
    LLVMFuzzerTestOneInput(current, current_bytes);
    done++;
    return true;
}

static bool run_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    bool good = count >= 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES];
        int n = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && n > 0 && (size_t)n < sizeof path) {
            good = run_file(path) && good;
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return good;
}

static bool run_path(const char *path)
{
    struct stat status;
    bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    return is_folder ? run_folder(path) : run_file(path);
}

/* ---- random inputs ---- */

/* Random bytes; now and then a stretch from further up again, so that calls meet what others left. */
static void make_input(uint64_t *random)
{
    size_t bytes = random_below(random, INPUT_BYTES_MAX) + 1;
    current_bytes = 0;
    while (current_bytes < bytes) {
        size_t n = random_below(random, REPEAT_BYTES_MAX) + 1;
        n = n < bytes - current_bytes ? n : bytes - current_bytes;
        bool repeat = current_bytes > n && random_below(random, 4) == 0;
        size_t from = repeat ? random_below(random, current_bytes - n) : 0;
        for (size_t i = 0; i < n; i++) {
            uint8_t byte = repeat ? current[from + i] : (uint8_t)random_next(random);
            current[current_bytes++] = byte;
        }
    }
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run_random(size_t count, const char *folder)
{
    uint64_t seed = random_seed();
    uint64_t random = seed;
    double start = seconds_now();
    for (done = 0; done < count; done++) {
        make_input(&random);
        snprintf(keep_path, sizeof keep_path, "%s/random-%llu-%zu", folder,
                 (unsigned long long)seed, done);
        LLVMFuzzerTestOneInput(current, current_bytes);
    }
    double seconds = seconds_now() - start;
    fprintf(stderr, "%zu random inputs in %.1f s, %.0f per second\n", done, seconds,
            (double)done / (seconds > 0 ? seconds : 1));
}

int main(int argc, char **argv)
{
    catch_crashes();
    if (argc >= 3 && strcmp(argv[1], "--random") == 0) {
        run_random((size_t)strtoull(argv[2], NULL, 0), argc > 3 ? argv[3] : ".");
        return 0;
    }
    bool good = argc > 1;
    for (int i = 1; i < argc; i++) {
        good = run_path(argv[i]) && good;
    }
    fprintf(stderr, "%zu files\n", done);
    return good && done > 0 ? 0 : 2;
}
