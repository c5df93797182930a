#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: a program whose live blocks take less than half of its control group's memory is never killed
# for memory: what it freed does not pile up.
# Method: a group below the one in TEST_CGROUP, with a limit, and in it the stress program with each
# profile. A group may only be made where somebody has handed a part of the tree over: TEST_CGROUP is
# a directory of the memory controller (version 1 or 2) in which groups may be made.
#
#   cgroup.sh STRESS [--seconds N]     exit status 77: no group to be had

set -u
program=$1
seconds=${3:-2}
limit=$((128 << 20))
live_mib=48
parent=${TEST_CGROUP:-}

skip() {
    echo "cgroup.sh: skipped: $1"
    exit 77
}

[ -n "$parent" ] || skip 'TEST_CGROUP names no group of the memory controller to work in'
group=$parent/allocator-test.$$
mkdir "$group" 2>/dev/null || skip "no group can be made in $parent"
trap 'rmdir "$group"' EXIT
trap 'exit 1' HUP INT TERM

if [ -e "$group/memory.max" ]; then
    echo $limit >"$group/memory.max" || skip 'the limit cannot be set'
    [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
elif [ -e "$group/memory.limit_in_bytes" ]; then
    echo $limit >"$group/memory.limit_in_bytes" || skip 'the limit cannot be set'
    echo 0 >"$group/memory.swappiness" 2>/dev/null
else
    skip "$parent is not of the memory controller"
fi

bad=0
for profile in mixed small mid large remote realloc churn; do
    if (echo $BASHPID >"$group/cgroup.procs" && exec "$program" --seconds "$seconds" --threads 2 \
        --seed 1 --max-live-mib $live_mib --profile $profile); then
        continue
    fi
    echo "cgroup.sh: $profile: BAD"
    bad=$((bad + 1))
done
echo "cgroup.sh: 7 profiles in $((limit >> 20)) MiB, $bad bad"
exit $bad
