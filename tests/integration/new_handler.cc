// SPDX-License-Identifier: MIT
//
// Goal: a new-handler that gives memory back makes the operator new that called it succeed, in
// each form; afterwards the program goes on.
// Method: the program runs itself under RLIMIT_AS; it holds a reserve, asks for more than is left,
// and lets the handler free the reserve.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

#include <sys/resource.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"
extern "C" {
#include "child.h"
}

namespace {

constexpr std::size_t limit_bytes = static_cast<std::size_t>(512) * MEMORY_MIB;
constexpr std::size_t reserve_bytes = static_cast<std::size_t>(240) * MEMORY_MIB;
constexpr std::size_t wanted_bytes = static_cast<std::size_t>(230) * MEMORY_MIB;

void *reserve;
int calls;

void free_the_reserve()
{
    calls++;
    std::free(reserve);
    reserve = nullptr;
    if (calls > 1)
        std::set_new_handler(nullptr);
}

void *ask(const char *form)
{
    if (std::strcmp(form, "plain") == 0)
        return ::operator new(wanted_bytes);
    if (std::strcmp(form, "nothrow") == 0)
        return ::operator new[](wanted_bytes, std::nothrow);
    return ::operator new(wanted_bytes, std::align_val_t(1024));
}

int run_as_child(const char *form)
{
    reserve = std::malloc(reserve_bytes);
    CHECK(reserve != nullptr);
    memory_fill(reserve, reserve_bytes, 1);
    std::set_new_handler(free_the_reserve);
    void *block = ask(form);
    CHECK(block != nullptr && calls == 1);
    memory_fill(block, wanted_bytes, 2);
    CHECK(memory_holds(block, wanted_bytes, 2));
    ::operator delete(block);
    return 0;
}

void limit_address_space(void *)
{
    const struct rlimit limit = {limit_bytes, limit_bytes};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

} // namespace

int main(int argc, char **argv)
{
    static struct child_result result;

    allocator_expect();
    if (argc > 1)
        return run_as_child(argv[1]);
    for (const char *form : {"plain", "nothrow", "aligned"}) {
        const char *const child[] = {"new_handler", form, nullptr};
        child_run_self(child, limit_address_space, nullptr, &result);
        std::fprintf(stderr, "%s: %s", form, result.err);
        CHECK(child_status_is_good(result.status, 0));
    }
    return 0;
}
