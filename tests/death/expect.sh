#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs one program and compares what the library did with what it has to do.
#
#   expect.sh [--preload LIBRARY] [--env NAME=VALUE]... RULE... -- PROGRAM [ARGUMENT...]
#
# Rules:
#   --killed             ends by SIGABRT; without it: status 0 after printing "went on"
#   --killed-or-ignored  one of the two; if ignored, stderr must be empty
#   --silent             nothing on stderr
#   --message REGEX      stderr is exactly one line and all of it matches (extended syntax);
#                        @P@ stands for the pointer the program announced
#   --lines N            stderr has exactly N lines
#   --line REGEX         a line on stderr contains a match
#   --settings           the settings named by HAKMEM_HELP=1 and HAKMEM_VERBOSE=1 are the same
#
# Exit status: 0 as expected, 1 not (with a report), 2 wrong use.

set -u
ulimit -c 0

killed=no silent=no settings=no message='' lines='' preload=''
patterns=$(mktemp) && out=$(mktemp) && err=$(mktemp) && environment=$(mktemp) || exit 2
trap 'rm -f "$patterns" "$out" "$err" "$environment"' EXIT

while [ $# -gt 0 ]; do
    case $1 in
    --preload) preload=$2; shift ;;
    --env) printf '%s\n' "$2" >>"$environment"; shift ;;
    --killed) killed=yes ;;
    --killed-or-ignored) killed=maybe ;;
    --silent) silent=yes ;;
    --message) message=$2; shift ;;
    --lines) lines=$2; shift ;;
    --line) printf '%s\n' "$2" >>"$patterns"; shift ;;
    --settings) settings=yes ;;
    --) shift; break ;;
    *) echo "expect.sh: unknown rule $1" >&2; exit 2 ;;
    esac
    shift
done
[ $# -gt 0 ] || { echo "expect.sh: no program" >&2; exit 2; }

# Only what the test sets may reach the program.
for name in $(env | sed -n 's/^\(HAKMEM_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done

wrong() {
    echo "NOT AS EXPECTED: $1"
    echo "program: $program"
    echo "status: $status"
    echo "--- stdout"; cat "$out"
    echo "--- stderr"; cat "$err"
    exit 1
}

# run [NAME=VALUE...] PROGRAM [ARGUMENT...]; fills out, err and status.
# env(1) sets the variables, so that this shell itself does not run over the library. Bash,
# not sh: dash reports "Aborted" into the redirected stderr of the program it waits for.
run() {
    program="$*"
    env "$@" >"$out" 2>"$err"
    status=$?
}

run_program() {
    while IFS= read -r setting; do
        set -- "$setting" "$@"
    done <"$environment"
    [ -z "$preload" ] || set -- "LD_PRELOAD=$preload" "$@"
    run "$@"
}

must_survive() {
    [ "$status" -eq 0 ] || wrong "the program has to go on (status 0)"
    [ "$(tail -n 1 "$out")" = "went on" ] || wrong 'the last line of stdout has to be "went on"'
}

must_be_killed() {
    [ "$status" -eq 134 ] || wrong "the program has to end by SIGABRT (status 134)"
}

must_print() {
    pointer=$(sed -n 's/^pointer //p' "$out")
    whole=$(printf '%s\n' "$message" | sed "s/@P@/$pointer/g")
    [ "$(wc -l <"$err")" -eq 1 ] || wrong "stderr has to be one line: $whole"
    grep -Exq -e "$whole" "$err" || wrong "stderr has to match: $whole"
}

# The first HAKMEM_ name of each line of stderr.
names() {
    grep -Eo 'HAKMEM_[A-Z0-9_]+.*' "$err" | grep -Eo '^HAKMEM_[A-Z0-9_]+' | sort -u
}

check_settings() {
    printf 'HAKMEM_HELP=1\n' >"$environment"
    run_program "$@"
    must_survive
    help=$(names)
    for name in HAKMEM_HELP HAKMEM_VERBOSE HAKMEM_ROUTE; do
        printf '%s\n' "$help" | grep -qx "$name" || wrong "the help has to name $name"
    done
    printf 'HAKMEM_VERBOSE=1\n' >"$environment"
    run_program "$@"
    must_survive
    banner=$(names)
    [ "$help" = "$banner" ] || wrong "the help names other settings than this banner: $help"
    for name in $banner; do
        grep -Eq "$name([^A-Z0-9_].*)?(default|environment)" "$err" ||
            wrong "the banner has to say where the value of $name comes from"
    done
}

if [ "$settings" = yes ]; then
    check_settings "$@"
    exit 0
fi

run_program "$@"
if [ "$killed" = maybe ] && [ "$status" -eq 0 ]; then
    message='' silent=yes killed=no
fi
if [ "$killed" = no ]; then must_survive; else must_be_killed; fi
if [ "$silent" = yes ] && [ -s "$err" ]; then wrong "stderr has to be empty"; fi
if [ -n "$message" ]; then must_print; fi
if [ -n "$lines" ] && [ "$(wc -l <"$err")" -ne "$lines" ]; then
    wrong "stderr has to have $lines lines"
fi
while IFS= read -r pattern; do
    grep -Eq -e "$pattern" "$err" || wrong "a line of stderr has to match: $pattern"
done <"$patterns"
exit 0
