#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Goal: help, version and settings print what they promise; wrong arguments give one clear line
# on standard error and exit code 2.

load support

# refused SENTENCE ARGUMENT...
refused() {
    local sentence=$1
    shift
    run "$hakmem" "$@"
    status_is 2
    [ "$output" = "hakmem: $sentence (see \`hakmem --help\`)" ] || {
        printf 'got: %s\n' "$output"
        return 1
    }
    [ -z "$("$hakmem" "$@" 2>/dev/null)" ]
}

@test "usage: --help names every subcommand" {
    for option in --help -h help; do
        run "$hakmem" $option
        status_is 0
        [[ ${lines[0]} == "usage: hakmem run "* ]]
        line 'run       .*'
        line 'doctor    .*'
        line 'settings  .*'
    done
}

@test "usage: --version prints one line" {
    run "$hakmem" --version
    status_is 0
    [[ $output =~ ^hakmem\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "usage: wrong arguments are refused" {
    refused "no command given"
    refused "unknown command fly" fly
    refused "run: no program given" run
    refused "run: no program given" run --
    refused "run: unknown option --fast" run --fast -- true
    refused "run: unknown option --library" run --library x -- true
    refused "--lib needs a path" run --lib
    refused "--set needs NAME=VALUE" run --set
    refused "--set needs NAME=VALUE" run --set route -- true
    refused "--set needs NAME=VALUE with a NAME of 1 to 120 letters" run --set =x -- true
    refused "--set: '-' cannot be part of the name of a setting" run --set a-b=x -- true
    refused "--set needs NAME=VALUE with a NAME of 1 to 120 letters" \
        run --set "$(printf 'n%.0s' {1..200})=x" -- true
    refused "doctor: unknown option --fast" doctor --fast
    refused "doctor: no program after --" doctor --
    refused "--lib needs a path" doctor --lib
    refused "settings: unknown argument --html" settings --html
}

# One name per entry of the table the library is built from.
setting_names() {
    sed -n 's/^ *SETTING_[A-Z]*(\([a-z0-9_]*\),.*/HAKMEM_\U\1/p' "$root/src/run/config.def"
}

@test "settings: every entry of config.def is printed in each form" {
    names=$(setting_names)
    [ -n "$names" ]
    text=$("$hakmem" settings)
    man=$("$hakmem" settings --man)
    markdown=$("$hakmem" settings --markdown)
    for name in $names; do
        grep -q "^$name=.*  (default .*)\$" <<<"$text"
        grep -q "^\\\\fB$name\\\\fR=" <<<"$man"
        grep -q "^| \`$name\` |" <<<"$markdown"
    done
    count=$(wc -l <<<"$names")
    [ "$(grep -c '^HAKMEM_' <<<"$text")" -eq "$count" ]
    [ "$(grep -c '^\.TP$' <<<"$man")" -eq "$count" ]
    [ "$(grep -c '^| `HAKMEM_' <<<"$markdown")" -eq "$count" ]
}

@test "settings: docs/config.md is what the command prints" {
    [ -e "$root/docs/config.md" ]
    diff "$root/docs/config.md" <("$hakmem" settings --markdown)
}

@test "settings: every row of the Markdown table has four columns" {
    while read -r row; do
        bare=${row//\\|/}
        [ "$(tr -cd '|' <<<"$bare" | wc -c)" -eq 5 ]
    done < <("$hakmem" settings --markdown | grep '^|')
}

@test "manual pages: no warnings from the formatter" {
    command -v groff >/dev/null || skip "no groff"
    sed -e '/^@SETTINGS@$/{' -e 'r /dev/stdin' -e 'd' -e '}' "$root/docs/man/hakmem.7.in" \
        < <("$hakmem" settings --man) >hakmem.7
    for page in "$root/docs/man/hakmem.1" "$root/docs/man/hakmem.3" hakmem.7; do
        run groff -man -Tutf8 -ww -z "$page"
        status_is 0
        [ -z "$output" ]
    done
}
