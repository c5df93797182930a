/* SPDX-License-Identifier: MIT */
/*
 * Goal: a program may dlclose the library while threads that used it live on.
 * Method: a thread allocates through a dlopen'ed copy; the library is closed; the thread ends, which
 * runs its key destructor.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static void *(*allocate)(size_t);
static pthread_barrier_t barrier;

static void *worker(void *unused)
{
    (void)unused;
    void *p = allocate(100);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return p;
}

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "unload: %s\n", dlerror());
        return 1;
    }
    *(void **)&allocate = dlsym(library, "hak_malloc");
    pthread_t thread;
    void *block = NULL;
    pthread_barrier_init(&barrier, NULL, 2);
    if (allocate == NULL || pthread_create(&thread, NULL, worker, NULL) != 0) {
        return 1;
    }
    pthread_barrier_wait(&barrier);
    dlclose(library);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, &block);
    return block != NULL ? 0 : 1;
}
