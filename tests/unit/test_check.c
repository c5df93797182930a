/* SPDX-License-Identifier: MIT */
/*
 * Goal: hak_check() notices damage to any datum that the allocator keeps, and nothing else.
 * Method: each case builds a heap with something of everything in a child (live, listed, bitmap
 * and remote blocks, partial and full slabs, large blocks, free runs), where the check must hold,
 * then changes one datum and expects it to fail.
 */
#include <hakmem/hakmem.h>
#include <pthread.h>

#include "run/thread.h"
#include "slab/adopt.h"
#include "slab/remote.h"
#include "unit.h"

enum { BLOCKS = 3000, SMALL_BYTES = 48, MID_BYTES = 5000, LARGE_BYTES = 300000 };

static void *blocks[BLOCKS];
static void *large[2];
static unsigned small_class;

/* Another thread frees some, so that parcels are under way to this heap. */
static void *free_some(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < BLOCKS / 4; i++) {
        hak_free(blocks[i]);
    }
    return NULL;
}

static struct heap *own_heap(void)
{
    return &heaps[WORD_OWNER(map_word_of(blocks[BLOCKS - 1]))];
}

static struct size_class_state *own_class(void)
{
    return &own_heap()->classes[small_class];
}

static void build(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = hak_malloc(i % 16 == 1 ? MID_BYTES : SMALL_BYTES);
    }
    large[0] = hak_malloc(LARGE_BYTES);
    large[1] = hak_malloc(LARGE_BYTES);
    pthread_t other;
    CHECK(pthread_create(&other, NULL, free_some, NULL) == 0);
    CHECK(pthread_join(other, NULL) == 0);
    for (unsigned i = BLOCKS / 4; i < BLOCKS / 2; i++) {
        hak_free(blocks[i]);
    }
    hak_free(large[1]);
    small_class = map_word_of(blocks[BLOCKS - 1]) & CODE_CLASS_MASK;
}

/* ---- one change each ---- */

static uint32_t some_slab(void)
{
    return slab_of(blocks[BLOCKS - 1], small_class);
}

static void damage_free_count(void)
{
    slabs[some_slab()].free_count ^= 1;
}

static void damage_bitmap(void)
{
    struct slab *s = &slabs[some_slab()];
    size_t offset = (size_t)((char *)blocks[BLOCKS - 1] - slab_base(some_slab(), small_class));
    size_t i = offset / class_bytes[small_class];
    s->bits[i / 64] |= (uint64_t)1 << i % 64; /* at home, yet live */
}

static void damage_class(void)
{
    slabs[some_slab()].size_class++;
}

static void damage_word(void)
{
    map_set_word(some_slab(), map_word(some_slab()) + 1);
}

static void damage_owner(void)
{
    map_set_word(some_slab(), map_word(some_slab()) + ID_WORD(1));
}

static void damage_slab_list(void)
{
    slabs[some_slab()].prev ^= 1;
    slabs[some_slab()].place = PLACE_NONE;
}

static void damage_slab_count(void)
{
    own_class()->slab_count++;
}

static void damage_away(void)
{
    u64_add_single_writer(&own_class()->away, 1);
}

static void damage_list_foreign(void)
{
    own_heap()->front.list[small_class] = &blocks;
}

static void damage_list_inside(void)
{
    own_heap()->front.list[small_class] = (char *)blocks[BLOCKS - 1] + 8;
}

static void damage_list_ring(void)
{
    void *first = hak_malloc(SMALL_BYTES);
    void *second = hak_malloc(SMALL_BYTES);
    *(void **)first = second;
    *(void **)second = first;
    own_heap()->front.list[small_class] = first;
}

static void damage_list_of_home_blocks(void)
{
    void *p = hak_malloc(SMALL_BYTES);
    *(void **)p = NULL;
    own_heap()->front.list[small_class] = p;
    slab_put(&slabs[slab_of(p, small_class)], small_class, p);
    u64_add_single_writer(&own_class()->away, -(uint64_t)1);
}

static void damage_parcel(void)
{
    struct parcel *p = ptr_load_relaxed(&own_heap()->mail);
    CHECK(p != NULL);
    p->slots[0] = (char *)p->slots[0] + 16;
}

static void damage_parcel_chain(void)
{
    struct parcel *p = ptr_load_relaxed(&own_heap()->mail);
    CHECK(p != NULL);
    p->next = p;
}

static void damage_run_length(void)
{
    runs[map_index(large[0])].len++;
}

static void damage_run_state(void)
{
    runs[map_index(large[0])].state = RUN_FREE;
}

static void damage_age(void)
{
    runs[map_index(large[1])].any_dirty = 0;
}

static void damage_large_size(void)
{
    u64_store_relaxed(&runs[map_index(large[0])].bytes, (uint64_t)1 << 40);
}

static void damage_large_word(void)
{
    map_set_word(map_index(large[0]), CODE_FREED);
}

static void damage_free_run_word(void)
{
    map_set_word(map_index(large[1]) + 1, map_word(some_slab()));
}

static void notices(void *change)
{
    build();
    CHECK(hak_check());
    (*(void (**)(void))change)();
    CHECK(!hak_check());
}

static void test_damage_is_noticed(void **state)
{
    (void)state;
    static void (*const changes[])(void) = {
        damage_free_count,   damage_bitmap,      damage_class,        damage_word,
        damage_owner,        damage_slab_list,   damage_slab_count,   damage_away,
        damage_list_foreign, damage_list_inside, damage_list_ring,    damage_list_of_home_blocks,
        damage_parcel,       damage_parcel_chain, damage_run_length,  damage_run_state,
        damage_age,          damage_large_size,  damage_large_word,   damage_free_run_word,
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        print_message("change %zu\n", i);
        unit_child(notices, (void *)(uintptr_t)&changes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
