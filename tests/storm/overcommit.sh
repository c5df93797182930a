#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: the allocator works in each of the kernel's three modes of overcommit.
# Method: the mode is changed for the whole machine while a program runs, and put back. So this needs
# to be allowed: by the superuser's right to write the setting, and by TEST_SYSTEM_SETTINGS=1 in the
# environment. In mode 2 the limit is put far away, so that no other process is refused anything;
# what a refused commit does is known from the fault trials.
#
#   overcommit.sh PROGRAM [ARGUMENT...]     exit status 77: not allowed

set -u
setting=/proc/sys/vm/overcommit_memory
limit=/proc/sys/vm/overcommit_kbytes
ratio=/proc/sys/vm/overcommit_ratio

skip() {
    echo "overcommit.sh: skipped: $1"
    exit 77
}

[ "${TEST_SYSTEM_SETTINGS:-}" = 1 ] ||
    skip 'it changes a setting of the machine; TEST_SYSTEM_SETTINGS=1 allows that'
[ -w "$setting" ] && [ -w "$limit" ] || skip "$setting cannot be written"

mode_before=$(cat "$setting")
limit_before=$(cat "$limit")
ratio_before=$(cat "$ratio")

# Writing one of limit and ratio clears the other.
restore() {
    echo "$mode_before" >"$setting"
    if [ "$limit_before" != 0 ]; then
        echo "$limit_before" >"$limit"
    else
        echo "$ratio_before" >"$ratio"
    fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM

bad=0
for mode in 0 1 2; do
    if [ $mode = 2 ]; then
        echo $((1 << 50)) >"$limit" || skip "$limit cannot be written"
    fi
    echo $mode >"$setting" || skip "$setting cannot be written"
    if "$@"; then
        echo "overcommit.sh: mode $mode: good"
    else
        echo "overcommit.sh: mode $mode: BAD (status $?)"
        bad=$((bad + 1))
    fi
done
echo "overcommit.sh: 3 modes, $bad bad"
exit $bad
