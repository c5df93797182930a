/* SPDX-License-Identifier: MIT */
/*
 * forms: every operator new of the standard, paired with each operator delete that fits it, called
 * by name, so that the compiler cannot elide them.
 */
#ifndef CONFORM_FORMS_H
#define CONFORM_FORMS_H

#include <cstddef>
#include <new>

struct form {
    const char *name;
    std::size_t alignment;
    bool throws;
    void *(*allocate)(std::size_t size);
    void (*release)(void *block, std::size_t size);
};

constexpr std::align_val_t form_wide{256};

inline const form forms[] = {
    {"new, delete", 16, true,
     [](std::size_t n) { return ::operator new(n); },
     [](void *p, std::size_t) { ::operator delete(p); }},
    {"new, sized delete", 16, true,
     [](std::size_t n) { return ::operator new(n); },
     [](void *p, std::size_t n) { ::operator delete(p, n); }},
    {"new nothrow, delete nothrow", 16, false,
     [](std::size_t n) { return ::operator new(n, std::nothrow); },
     [](void *p, std::size_t) { ::operator delete(p, std::nothrow); }},
    {"new[], delete[]", 16, true,
     [](std::size_t n) { return ::operator new[](n); },
     [](void *p, std::size_t) { ::operator delete[](p); }},
    {"new[], sized delete[]", 16, true,
     [](std::size_t n) { return ::operator new[](n); },
     [](void *p, std::size_t n) { ::operator delete[](p, n); }},
    {"new[] nothrow, delete[] nothrow", 16, false,
     [](std::size_t n) { return ::operator new[](n, std::nothrow); },
     [](void *p, std::size_t) { ::operator delete[](p, std::nothrow); }},
    {"aligned new, delete", 256, true,
     [](std::size_t n) { return ::operator new(n, form_wide); },
     [](void *p, std::size_t) { ::operator delete(p, form_wide); }},
    {"aligned new, sized delete", 256, true,
     [](std::size_t n) { return ::operator new(n, form_wide); },
     [](void *p, std::size_t n) { ::operator delete(p, n, form_wide); }},
    {"aligned new nothrow, delete nothrow", 256, false,
     [](std::size_t n) { return ::operator new(n, form_wide, std::nothrow); },
     [](void *p, std::size_t) { ::operator delete(p, form_wide, std::nothrow); }},
    {"aligned new[], delete[]", 256, true,
     [](std::size_t n) { return ::operator new[](n, form_wide); },
     [](void *p, std::size_t) { ::operator delete[](p, form_wide); }},
    {"aligned new[], sized delete[]", 256, true,
     [](std::size_t n) { return ::operator new[](n, form_wide); },
     [](void *p, std::size_t n) { ::operator delete[](p, n, form_wide); }},
    {"aligned new[] nothrow, delete[] nothrow", 256, false,
     [](std::size_t n) { return ::operator new[](n, form_wide, std::nothrow); },
     [](void *p, std::size_t) { ::operator delete[](p, form_wide, std::nothrow); }},
};

#endif
