/* SPDX-License-Identifier: MIT */
#include "watch/stats.h"

#include "map/run.h"
#include "os/os.h"
#include "os/report.h"
#include "run/thread.h"

static size_t own_cached_bytes(void)
{
    const struct heap *h = thread_heap_if_any();
    size_t bytes = 0;
    for (unsigned c = 0; h != NULL && c < CLASS_COUNT; c++) {
        for (void *p = h->front.list[c]; p != NULL; p = *(void **)p) {
            bytes += class_bytes[c];
        }
    }
    return bytes;
}

/* relaxed throughout: counters with one writer each */
static void add_heap(struct stats *s, const struct heap *h)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        const struct size_class_state *cs = &h->classes[c];
        s->live_bytes += u64_load_relaxed(&cs->away) * class_bytes[c];
        s->refills += u64_load_relaxed(&cs->refills);
        s->flushes += u64_load_relaxed(&cs->flushes);
        s->adopted += u64_load_relaxed(&cs->adopted);
    }
    s->remote_sent += u64_load_relaxed(&h->remote_sent);
    s->remote_received += u64_load_relaxed(&h->remote_received);
}

struct stats stats_collect(void)
{
    struct stats s = {0};
    if (map_granules == 0) {
        return s;
    }
    s.heaps = heap_count();
    for (uint32_t id = HEAP_SHARED_ID; id <= s.heaps; id++) {
        add_heap(&s, &heaps[id]);
    }
    struct run_totals runs_now = run_measure();
    s.cached_bytes = own_cached_bytes();
    s.live_bytes -= s.cached_bytes;
    s.large_count = runs_now.large_count;
    s.large_bytes = runs_now.large_bytes;
    s.mapped_bytes = (runs_now.used_granules + runs_now.free_granules) << GRANULE_SHIFT;
    struct super_totals supers_now = super_measure();
    s.free_bytes = (runs_now.free_granules + supers_now.free_granules) << GRANULE_SHIFT;
    s.dirty_bytes = runs_now.dirty_granules << GRANULE_SHIFT;
    s.superslabs = supers_now.superslabs;
    return s;
}

static void print_line(const char *what, size_t n)
{
    struct report r;
    report_begin(&r);
    report_number(&r, n);
    report_text(&r, " ");
    report_text(&r, what);
    report_end(&r);
}

void stats_print(void)
{
    struct stats s = stats_collect();
    print_line("bytes in live blocks up to 64 KiB", s.live_bytes);
    print_line("bytes cached by this thread", s.cached_bytes);
    print_line("large blocks", s.large_count);
    print_line("bytes in large blocks", s.large_bytes);
    print_line("bytes mapped", s.mapped_bytes);
    print_line("bytes free in whole granules", s.free_bytes);
    print_line("bytes dirty, kept for reuse", s.dirty_bytes);
    print_line("bytes resident (whole process)", os_resident_bytes());
    print_line("superslabs", s.superslabs);
    print_line("heaps", s.heaps);
    print_line("refills", s.refills);
    print_line("flushes", s.flushes);
    print_line("slabs adopted", s.adopted);
    print_line("remote frees sent", s.remote_sent);
    print_line("remote frees received", s.remote_received);
}
