#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Goal: `hakmem run` starts what can work, with the library in it, and says why about the rest.
# Method: programs and scripts of every kind, made on the spot.

load support

@test "run: the library is in the program, found by itself" {
    [ -e "$(dirname "$hakmem")/libhakmem.so" ] || skip "no libhakmem.so beside the command"
    run "$hakmem" run -- cat /proc/self/maps
    status_is 0
    [[ $output == *libhakmem.so* ]]
}

@test "run: the library given by --lib is in the program" {
    run_hakmem -- cat /proc/self/maps
    status_is 0
    [[ $output == *"$library"* ]]
}

@test "run: --lib=PATH, a relative path and a missing -- work too" {
    ln -s "$library" here.so
    run "$hakmem" run --lib=here.so cat /proc/self/maps
    status_is 0
    [[ $output == *"$library"* ]]
}

@test "run: arguments and exit code are passed on" {
    run_hakmem -- sh -c 'echo "$#:$1:$2"; exit 41' name "a  b" --set
    status_is 41
    [ "$output" = "2:a  b:--set" ]
}

@test "run: a signal ends the program as it would without hakmem" {
    run_hakmem -- sh -c 'kill -TERM $$'
    status_is 143
}

@test "run: LD_PRELOAD is kept and appended to" {
    echo 'int unrelated;' | compile other.so -shared -fPIC
    LD_PRELOAD=$PWD/other.so run_hakmem -- printenv LD_PRELOAD
    status_is 0
    [ "$output" = "$PWD/other.so:$library" ]
}

@test "run: inside run, the library is not named twice" {
    run_hakmem -- "$hakmem" run --lib "$library" -- printenv LD_PRELOAD
    status_is 0
    [ "$output" = "$library" ]
}

@test "run: an allocator that is preloaded first is refused" {
    echo 'void *malloc(unsigned long n) { (void)n; return 0; }' |
        compile other.so -shared -fPIC -fno-builtin
    # It must not be loaded into anything here: only the variable names it.
    run env "LD_PRELOAD=:" sh -c 'LD_PRELOAD="$1"; export LD_PRELOAD; exec "$2" run --lib "$3" -- true' \
        sh "libjemalloc.so.77" "$hakmem" "$library"
    status_is 126
    [[ $output == *"libjemalloc.so.77 comes first and defines malloc"* ]]
}

@test "run: a preloaded library that defines malloc under any name is refused" {
    # calloc and free stay the C library's, so the command itself survives it.
    echo 'void *__libc_malloc(unsigned long); void *malloc(unsigned long n) { return __libc_malloc(n); }' |
        compile wrapper.so -shared -fPIC -fno-builtin
    LD_PRELOAD=$PWD/wrapper.so run_hakmem -- true
    status_is 126
    [[ $output == *"wrapper.so comes first and defines malloc"* ]]
}

@test "run: --set reaches the program, in any spelling of the name" {
    run_hakmem --set verbose=0 --set=HAKMEM_FIRST=a=b --set Second= -- env
    status_is 0
    line 'HAKMEM_VERBOSE=0'
    line 'HAKMEM_FIRST=a=b'
    line 'HAKMEM_SECOND='
}

@test "run: --verbose says what was found and asks the library for its settings" {
    run_hakmem --verbose -- printenv HAKMEM_VERBOSE
    status_is 0
    line "hakmem: ok       library: $library"
    line 'hakmem: ok       program: .*/printenv is dynamically linked'
    line 1
}

@test "run: --verbose keeps a value that was set" {
    run_hakmem -v --set verbose=0 -- printenv HAKMEM_VERBOSE
    status_is 0
    line 0
}

@test "run: a program that is not in PATH gives 127" {
    run_absent -- no-such-program-anywhere
    [ "$output" = "hakmem: no-such-program-anywhere was not found in PATH; check the spelling" ]
}

@test "run: a path that does not exist gives 127" {
    run_absent -- ./absent
    [ "$output" = "hakmem: ./absent does not exist; check the spelling" ]
}

@test "run: an empty name gives 127" {
    run_absent -- ""
}

@test "run: a directory gives 126" {
    run_hakmem -- /
    status_is 126
    [ "$output" = "hakmem: / is a directory" ]
}

@test "run: a file without permission gives 126" {
    echo 'exit 0' >script
    run_hakmem -- ./script
    status_is 126
    [[ $output == *"./script is not executable"* ]]
}

@test "run: a later entry of PATH is taken when the first one is not executable" {
    mkdir first second
    printf '#!/bin/sh\necho first\n' >first/tool
    printf '#!/bin/sh\necho second\n' >second/tool
    chmod +x second/tool
    PATH=$PWD/first:$PWD/second:$PATH run_hakmem -- tool
    status_is 0
    [ "$output" = second ]
}

@test "run: an empty entry of PATH is the current directory" {
    printf '#!/bin/sh\necho here\n' >tool
    chmod +x tool
    PATH=:$PATH run_hakmem -- tool
    status_is 0
    [ "$output" = here ]
}

@test "run: a static program is refused" {
    echo 'int main(void) { return 0; }' | compile prog -static
    run_hakmem -- ./prog
    status_is 126
    [[ $output == "hakmem: ./prog is statically linked"* ]]
}

@test "run: a static position-independent program is refused" {
    echo 'int main(void) { return 0; }' | compile prog -static-pie
    run_hakmem -- ./prog
    status_is 126
    [[ $output == "hakmem: ./prog is statically linked"* ]]
}

@test "run: a program that is not position-independent works" {
    echo 'int main(void) { return 3; }' | compile prog -no-pie
    run_hakmem -- ./prog
    status_is 3
}

@test "run: a program with a malloc of its own is refused" {
    cat >prog.c <<'EOF'
#include <stdlib.h>
static char heap[4096];
void *malloc(size_t n) { (void)n; return heap; }
void *je_malloc(size_t n) { return malloc(n); }
int main(void) { return malloc(1) != heap; }
EOF
    cc -fno-builtin -rdynamic -o prog prog.c
    run_hakmem -- ./prog
    status_is 126
    [[ $output == "hakmem: ./prog defines malloc itself (jemalloc linked in)"* ]]
}

@test "run: a program with AddressSanitizer is refused" {
    echo 'int main(void) { return 0; }' >prog.c
    cc -fsanitize=address -o prog prog.c || skip "no AddressSanitizer here"
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"is built with AddressSanitizer"* ]]
}

@test "run: another machine is refused" {
    echo 'int main(void) { return 0; }' | compile prog
    # e_machine, little-endian
    printf '\xb7\x01' | dd of=prog bs=1 seek=18 conv=notrunc status=none
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"is a 64-bit machine 439 program"* ]]
}

@test "run: a 32-bit program is refused" {
    echo 'int main(void) { return 0; }' | compile prog
    printf '\x01' | dd of=prog bs=1 seek=4 conv=notrunc status=none
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"is a 32-bit "* ]]
}

@test "run: a program of another C library is refused" {
    echo 'int main(void) { return 0; }' | compile prog -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"uses another C library (/lib/ld-musl-x86_64.so.1)"* ]]
}

@test "run: a program whose loader is missing is refused" {
    echo 'int main(void) { return 0; }' | compile prog -Wl,--dynamic-linker=/lib/ld-absent.so
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"needs the dynamic loader /lib/ld-absent.so, which is not here"* ]]
}

@test "run: a shared library is not a program" {
    echo 'int nothing;' | compile lib.so -shared -fPIC
    chmod +x lib.so
    run_hakmem -- ./lib.so
    status_is 126
    [[ $output == *"is a shared library, not a program"* ]]
}

@test "run: an object file is not a program" {
    echo 'int nothing;' | compile part.o -c
    chmod +x part.o
    run_hakmem -- ./part.o
    status_is 126
    [[ $output == *"is an object or core file, not a program"* ]]
}

@test "run: a file that is cut off is refused" {
    echo 'int main(void) { return 0; }' | compile whole
    head -c 70 whole >prog
    chmod +x prog
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"is a damaged ELF file"* ]]
}

@test "run: a file that is neither program nor script is refused" {
    printf 'AB\0CD' >prog
    chmod +x prog
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"is neither an ELF program nor a script"* ]]
}

@test "run: a setuid program of another user is refused" {
    need_root
    cp "$(type -P true)" prog
    chown 65534 prog
    chmod 4755 prog
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"./prog is setuid, for which the dynamic loader ignores LD_PRELOAD"* ]]
}

@test "run: a setuid program of the user himself works" {
    cp "$(type -P cat)" prog
    chmod 4755 prog
    run_hakmem -- ./prog /proc/self/maps
    status_is 0
    [[ $output == *"$library"* ]]
}

@test "run: a setgid program of another group is refused" {
    need_root
    cp "$(type -P true)" prog
    chgrp 65534 prog
    chmod 2755 prog
    run_hakmem -- ./prog
    status_is 126
    [[ $output == *"./prog is setgid"* ]]
}

@test "run: a program with file capabilities is refused for others than root" {
    need_root
    # Not below the directory of bats, which only its owner may enter.
    public=$(mktemp -d)
    chmod 755 "$public"
    cp "$(type -P true)" "$public/prog"
    cp "$hakmem" "$public/hakmem"
    cp "$library" "$public/lib.so"
    chmod 755 "$public/prog" "$public/hakmem" "$public/lib.so"
    # Permitted and effective: cap_net_bind_service, in revision 2 of the format.
    python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))' \
        "$public/prog" || skip "the file system has no capabilities"
    as_nobody "$public/hakmem" run --lib "$public/lib.so" -- "$public/prog"
    status_is 126
    [[ $output == *"/prog is a program with file capabilities"* ]]
    # Root gains nothing from them.
    run_hakmem -- "$public/prog"
    status_is 0
    rm -r "$public"
}

@test "run: a script is run by its interpreter, with the library in it" {
    printf '#!/bin/cat\n' >script
    chmod +x script
    cat >reader <<'EOF'
#!/bin/sh
exec cat /proc/self/maps
EOF
    chmod +x reader
    run_hakmem -- ./reader
    status_is 0
    [[ $output == *"$library"* ]]
    run_hakmem -- ./script
    status_is 0
    [ "$output" = "#!/bin/cat" ]
}

@test "run: a script without #! is run by the shell" {
    echo 'echo "$0:$1:$#"' >script
    chmod +x script
    run_hakmem -- ./script "a b" c
    status_is 0
    [ "$output" = "./script:a b:2" ]
}

@test "run: an empty file is an empty script" {
    : >script
    chmod +x script
    run_hakmem -- ./script
    status_is 0
}

@test "run: a script run by a script run by a static program is refused" {
    echo 'int main(void) { return 0; }' | compile prog -static
    printf '#!%s\n' "$PWD/prog" >inner
    printf '#!%s -x\n' "$PWD/inner" >outer
    chmod +x inner outer
    run_hakmem -- ./outer
    status_is 126
    [[ $output == *"$PWD/prog is statically linked"* ]]
}

@test "run: the program that env starts is looked at" {
    echo 'int main(void) { return 0; }' | compile prog -static
    printf '#!/usr/bin/env -S NAME=value prog -x\n' >script
    chmod +x script
    PATH=$PWD:$PATH run_hakmem -- ./script
    status_is 126
    [[ $output == *"$PWD/prog is statically linked"* ]]
}

@test "run: a script whose interpreter is missing gives 127" {
    printf '#!/no/such/interpreter\n' >script
    chmod +x script
    run_absent -- ./script
    [[ $output == *"/no/such/interpreter, the interpreter of ./script, does not exist"* ]]
}

@test "run: a script that is its own interpreter is refused" {
    printf '#!%s\n' "$PWD/script" >script
    chmod +x script
    run_hakmem -- ./script
    status_is 126
    [[ $output == *"scripts without end"* ]]
}

@test "run: a library that does not exist, is no library or defines no malloc is refused" {
    run "$hakmem" run --lib ./absent.so -- true
    status_is 126
    [[ $output == *"./absent.so: No such file or directory"* ]]
    echo text >text.so
    run "$hakmem" run --lib ./text.so -- true
    status_is 126
    [[ $output == *"is not a shared library"* ]]
    echo 'int nothing;' | compile other.so -shared -fPIC
    run "$hakmem" run --lib ./other.so -- true
    status_is 126
    [[ $output == *"does not define malloc"* ]]
}

@test "run: a library whose path LD_PRELOAD cannot express is refused" {
    mkdir "a b"
    cp "$library" "a b/lib.so"
    run "$hakmem" run --lib "a b/lib.so" -- true
    status_is 126
    [[ $output == *"has a space or colon in its path"* ]]
}
