#!/usr/bin/env bash
# Goal: the library can be used in each of its shapes from an installed tree.
# Method: install into an empty folder; build one program, which reports whether malloc and
# hak_malloc come from hakmem, by pkg-config (shared), by hand (static, prefix only, fully static)
# and by the CMake package (both targets); run each, and the installed command.
set -euo pipefail
build=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cmake --install "$build" --prefix "$dir/root" >/dev/null
libdir=$(dirname "$(find "$dir/root" -name hakmem.pc)")/..
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

cat >"$dir/use.c" <<'C'
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    char *a = malloc(1000), *b = hak_malloc(1000);
    printf("%d %d\n", hak_usable_size(a) >= 1000, hak_usable_size(b) >= 1000);
    free(a);
    hak_free(b);
    return 0;
}
C

expect() { # NAME EXPECTED COMMAND...
    local name=$1 expected=$2
    shift 2
    local got
    got=$("$@") || { echo "$name: failed"; exit 1; }
    [ "$got" = "$expected" ] || { echo "$name: '$got' and not '$expected'"; exit 1; }
    echo "$name: ok"
}

flags=(-O0 -fno-builtin "$dir/use.c")
if command -v pkg-config >/dev/null; then
    # shellcheck disable=SC2046
    gcc "${flags[@]}" -o "$dir/pc" $(pkg-config --cflags --libs hakmem)
    expect pkg-config "1 1" "$dir/pc"
fi
gcc "${flags[@]}" -o "$dir/shared" -I"$dir/root/include" -L"$libdir" -lhakmem
expect shared "1 1" "$dir/shared"
gcc "${flags[@]}" -o "$dir/static" -I"$dir/root/include" "$libdir/libhakmem.a" -pthread
expect static "1 1" "$dir/static"
gcc -static "${flags[@]}" -o "$dir/whole" -I"$dir/root/include" "$libdir/libhakmem.a" -pthread
expect "fully static" "1 1" "$dir/whole"
gcc "${flags[@]}" -o "$dir/prefix" -I"$dir/root/include" "$libdir/libhakmem-prefix.a" -pthread
expect "prefix only" "0 1" "$dir/prefix"

cat >"$dir/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(use C)
find_package(hakmem REQUIRED)
foreach(shape hakmem static)
    add_executable(use_${shape} use.c)
    target_compile_options(use_${shape} PRIVATE -fno-builtin)
    target_link_libraries(use_${shape} PRIVATE hakmem::${shape})
endforeach()
C
cmake -S "$dir" -B "$dir/b" -DCMAKE_PREFIX_PATH="$dir/root" >/dev/null
cmake --build "$dir/b" >/dev/null
expect "cmake shared" "1 1" "$dir/b/use_hakmem"
expect "cmake static" "1 1" "$dir/b/use_static"
expect "installed command" "1 0" \
    env -u LD_LIBRARY_PATH "$dir/root/bin/hakmem" run -- /usr/bin/env printf "1 0\n"
for page in man1/hakmem.1 man3/hakmem.3 man7/hakmem.7; do
    [ -s "$(find "$dir/root" -path "*$page")" ] || { echo "$page is not installed"; exit 1; }
done
