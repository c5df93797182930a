#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Goal: `hakmem doctor` names each condition of the machine and the program in one line, and its
# exit code says whether one of them is a problem.
# Method: limits and programs made on the spot; the machine's own state is only matched in form.

load support

@test "doctor: each subject of the machine has a line of the agreed form" {
    doctor
    for subject in kernel 'page size' overcommit RLIMIT_AS RLIMIT_DATA max_map_count \
        'huge pages' 'cgroup memory' 'cgroup cpu' library; do
        line "(ok|note|problem) +$subject: .+"
    done
    while read -r row; do
        [[ $row =~ ^(ok|note|problem)\ +[^:]+:\ .+ ]]
    done <<<"$output"
}

@test "doctor: the exit code is 1 exactly when a line is a problem" {
    doctor -- true
    if grep -q '^problem' <<<"$output"; then status_is 1; else status_is 0; fi
    doctor -- ./absent
    status_is 1
    line "problem  program: ./absent does not exist; check the spelling"
}

@test "doctor: the page size is that of the machine" {
    doctor
    line "ok +page size: $(($(getconf PAGESIZE) / 1024))KiB"
}

@test "doctor: limits of address space and data are told" {
    run bash -c 'ulimit -v 2097152 && exec "$@"' bash "$hakmem" doctor --lib "$library"
    line 'note +RLIMIT_AS: limited to 2GiB: .*'
    run bash -c 'ulimit -d 32768 && exec "$@"' bash "$hakmem" doctor --lib "$library"
    status_is 1
    line 'problem +RLIMIT_DATA: 32MiB leaves the allocator no room; .*'
}

@test "doctor: settings of other allocators are named" {
    MALLOC_ARENA_MAX=2 GLIBC_TUNABLES=glibc.malloc.arena_max=2 doctor
    line 'note +environment: MALLOC_ARENA_MAX is set for another allocator .*'
    line 'note +environment: the glibc.malloc entries of GLIBC_TUNABLES have no effect .*'
}

@test "doctor: a library that is not there is a problem" {
    cp "$hakmem" alone
    run ./alone doctor
    # An installed hakmem is found also by the copy.
    [[ $output != *"ok       library"* ]] || skip "hakmem is installed here"
    status_is 1
    line 'problem  library: libhakmem.so is neither beside this command, .*'
}

@test "doctor: an ordinary program passes every check of a program" {
    doctor -- true
    line 'ok +privileges: .*/true gains none when it is started'
    line 'ok +machine: [0-9]+-bit .*, as the library'
    line 'ok +program: .*/true is dynamically linked'
    line 'ok +allocator: .*/true defines no malloc of its own'
}

@test "doctor: the program may be given without --" {
    doctor true
    line 'ok +program: .*/true is dynamically linked'
}

@test "doctor: a script is described with its interpreter" {
    printf '#!/bin/sh\n' >script
    chmod +x script
    doctor -- ./script
    line 'ok +program: ./script is a script, run by /bin/sh, which is dynamically linked'
}

@test "doctor: a static program is a problem" {
    echo 'int main(void) { return 0; }' | compile prog -static
    doctor -- ./prog
    status_is 1
    line 'problem  program: ./prog is statically linked, .*link it with libhakmem.a.*'
}

@test "doctor: a setuid program of another user is a problem" {
    need_root
    cp "$(type -P true)" prog
    chown 65534 prog
    chmod 4755 prog
    doctor -- ./prog
    status_is 1
    line 'problem  privileges: ./prog is setuid, .*'
}

@test "doctor: another allocator among the needed libraries is a note" {
    echo 'int unused;' | compile libjemalloc.so.2 -shared -fPIC -Wl,-soname,libjemalloc.so.2
    echo 'int main(void) { return 0; }' | compile prog -Wl,--no-as-needed ./libjemalloc.so.2
    doctor -- ./prog
    line 'note +allocator: ./prog is linked with jemalloc \(libjemalloc.so.2\); .*'
}

@test "doctor: another allocator under names of its own is a note" {
    echo 'int _rjem_malloc(void) { return 0; } int main(void) { return _rjem_malloc(); }' | compile prog
    doctor -- ./prog
    line 'note +allocator: ./prog has jemalloc inside under names of its own; .*'
}

@test "doctor: a program that defines malloc is a problem" {
    echo 'void *malloc(unsigned long n) { (void)n; return 0; } int main(void) { return 0; }' |
        compile prog -fno-builtin -rdynamic
    doctor -- ./prog
    status_is 1
    line 'problem  allocator: ./prog defines malloc itself .*'
}

@test "doctor: no damaged ELF file crashes it" {
    [ "$(uname -m)" = x86_64 ] || [ "$(uname -m)" = aarch64 ] || skip "64-bit little-endian only"
    echo 'int main(void) { return 0; }' | compile prog
    run python3 "$BATS_TEST_DIRNAME/mutate.py" "$hakmem" "$library" ./prog . "${SEED:-1}" 300
    echo "$output"
    status_is 0
}
