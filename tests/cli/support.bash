# SPDX-License-Identifier: MIT
# Shared by the tests of the command.
#   TEST_COMMAND  the command under test (default: that of build/release)
#   TEST_LIBRARY  the library to preload (default: libhakmem.so beside the command)
# The names do not start with HAKMEM_, since the library would take them for settings.

bats_require_minimum_version 1.5.0

root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
hakmem=${TEST_COMMAND:-$root/build/release/hakmem}
library=$(realpath "${TEST_LIBRARY:-$(dirname "$hakmem")/libhakmem.so}") || exit 1
unset LD_PRELOAD
for name in $(compgen -e HAKMEM_ || :); do unset "$name"; done

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# compile NAME [FLAG]...: builds NAME from the C program on standard input.
compile() {
    local name=$1
    shift
    cc -x c -o "$name" - -x none "$@"
}

run_hakmem() {
    run "$hakmem" run --lib "$library" "$@"
}

# The same where 127 is the expected exit code (bats warns about an unexpected one).
run_absent() {
    run -127 "$hakmem" run --lib "$library" "$@"
}

doctor() {
    run "$hakmem" doctor --lib "$library" "$@"
}

# line PATTERN: one whole line of the output matches the (extended) pattern.
line() {
    grep -Eqx -- "$1" <<<"$output" || {
        printf 'no line matches: %s\noutput:\n%s\n' "$1" "$output"
        return 1
    }
}

status_is() {
    [ "$status" -eq "$1" ] || {
        printf 'exit %s, expected %s; output:\n%s\n' "$status" "$1" "$output"
        return 1
    }
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# Runs a command as nobody, who may be unable to look into the checkout: callers use copies.
as_nobody() {
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
