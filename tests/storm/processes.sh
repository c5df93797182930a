#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Goal: many processes at once, more than the machine has processors, run without a mismatch.
# Method: N copies of the stress program, each with another seed and profile, two threads and little
# memory, for some time; each has to end with its closing line, and with status 0.
#
#   processes.sh STRESS [--processes N] [--seconds N] [--seed N]

set -u
ulimit -c 0

program=$1
shift
processes=32 seconds=5 seed=$((RANDOM * 32768 + RANDOM))
while [ $# -gt 1 ]; do
    case $1 in
    --processes) processes=$2 ;;
    --seconds) seconds=$2 ;;
    --seed) seed=$2 ;;
    *) echo "processes.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done
echo "processes.sh: --seed $seed"

profiles=(mixed small mid large remote realloc churn)
results=$(mktemp -d) || exit 2
children=()
trap 'kill "${children[@]}" 2>/dev/null; rm -rf "$results"' EXIT
trap 'exit 1' HUP INT TERM

for ((i = 0; i < processes; i++)); do
    "$program" --seconds "$seconds" --threads 2 --max-live-mib 24 --seed $((seed + i)) \
        --profile "${profiles[i % ${#profiles[@]}]}" >"$results/$i" 2>&1 &
    children+=($!)
done

bad=0
for ((i = 0; i < processes; i++)); do
    wait "${children[i]}"
    status=$?
    if [ $status -ne 0 ] || ! grep -q '^stress: ops=[1-9]' "$results/$i"; then
        echo "process $i: status $status"
        cat "$results/$i"
        bad=$((bad + 1))
    fi
done
children=()

cat "$results"/* | sed -n 's/^stress: ops=\([0-9]*\) .*/\1/p' |
    awk -v processes="$processes" -v seconds="$seconds" -v bad="$bad" '
        { ops += $1 }
        END { printf "%d processes, %d s, %.0f operations, %d bad\n", processes, seconds, ops, bad }'
[ "$bad" -eq 0 ]
