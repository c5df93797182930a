#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: docs/conformance.md and the tests agree: every case that a row names exists and runs, every row
names one, every case in tests/conformance stands in a row, and the deviations listed are those that the
tests expect.

Method: a row's last cell refers to cases as `folder/file.c: case, case; folder/file.cc: case`, relative
to tests/. A file that uses cmocka must register the case; in another the function must be defined.

usage: table.py SOURCE_ROOT | table.py --self-test
"""
import re
import sys
from pathlib import Path

DOCUMENT, OWN, LIST = "docs/conformance.md", "tests/conformance/", "tests/conformance/conform.c"
REFERENCE = re.compile(r"([\w/]+\.cc?): (\w+(?:, \w+)*)")
REGISTERED = re.compile(r"cmocka_unit_test\((\w+)\)")
EXPECTED = re.compile(r'\{"([\w-]+)", (true|false), (true|false)\}')
JUDGED = re.compile(r'assert_conforms\([^;]*?"([\w-]+)"\)')
WORDS = {"true": "deviates", "false": "conforms"}


def rows(document):
    """(line number, cells) of every row of every table, heads and rules left out."""
    lines = document.split("\n")
    for n, line in enumerate(lines, 1):
        is_head = n < len(lines) and lines[n].startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_head:
            yield n, [cell.strip() for cell in line.strip("|").split("|")]


def is_case(text, name):
    if "cmocka_unit_test" in text:
        return name in REGISTERED.findall(text)
    return re.search(rf"^[\w ].*\b{name}\([^;{{]*\)\s*\{{", text, re.MULTILINE) is not None


def check_references(files):
    named = set()
    for line, cells in rows(files[DOCUMENT]):
        references = REFERENCE.findall(cells[-1])
        if not references and not cells[0].startswith("`"):
            yield f"{DOCUMENT}:{line}: the row names no test"
        for path, cases in references:
            for case in cases.split(", "):
                named.add((f"tests/{path}", case))
                if not is_case(files.get(f"tests/{path}", ""), case):
                    yield f"{DOCUMENT}:{line}: there is no case {case} in tests/{path}"
    for path, text in files.items():
        if path.startswith(OWN):
            for case in REGISTERED.findall(text):
                if (path, case) not in named:
                    yield f"{path}: {case} stands in no row of {DOCUMENT}"


def check_deviations(files):
    listed = {cells[0].strip("`"): tuple(cells[1:3]) for _, cells in rows(files[DOCUMENT])
              if cells[0].startswith("`")}
    expected = {name: (WORDS[glibc], WORDS[ours])
                for name, glibc, ours in EXPECTED.findall(files[LIST])}
    judged = {name for path, text in files.items() if path.startswith(OWN)
              for name in JUDGED.findall(text)}
    for name in sorted(listed.keys() | expected.keys() | judged):
        if listed.get(name) != expected.get(name):
            yield f"{name}: {DOCUMENT} says {listed.get(name)}, {LIST} {expected.get(name)}"
        if name not in judged:
            yield f"{name}: no test judges this deviation"


def complaints(files):
    return [*check_references(files), *check_deviations(files)]


def read(root):
    paths = [root / DOCUMENT, *(root / "tests").rglob("*.c"), *(root / "tests").rglob("*.cc")]
    return {p.relative_to(root).as_posix(): p.read_text() for p in paths}


GOOD = {
    DOCUMENT: "| says | test |\n|---|---|\n| one | conformance/a.c: first, second |\n"
              "| two | unit/b.c: third |\n\n| name | glibc | hakmem |\n|---|---|---|\n"
              "| `odd` | deviates | conforms |\n",
    LIST: '{"odd", true, false},',
    OWN + "a.c": "cmocka_unit_test(first) cmocka_unit_test(second)\n"
                 'assert_conforms(good && better, "odd");',
    "tests/unit/b.c": "static int third(int n)\n{\n",
}


def self_test():
    """Every rule refuses a tree that breaks it, and a good one passes."""
    bad = {
        "no such case": (DOCUMENT, "second", "other"),
        "no such file": (DOCUMENT, "unit/b.c", "unit/c.c"),
        "only called": ("tests/unit/b.c", "static int third(int n)\n{", "    third(n);"),
        "not registered": (OWN + "a.c", "cmocka_unit_test(first)", "first"),
        "not in the table": (OWN + "a.c", "cmocka_unit_test(first)",
                             "cmocka_unit_test(first) cmocka_unit_test(more)"),
        "a row without a test": (DOCUMENT, "unit/b.c: third", "none"),
        "deviation not listed": (DOCUMENT, "| `odd` | deviates | conforms |\n", ""),
        "deviation not expected": (LIST, '{"odd", true, false},', ""),
        "deviation of another": (LIST, "true, false", "false, true"),
        "deviation not judged": (OWN + "a.c", "assert_conforms", "assert_true"),
    }
    failed = ["the good tree"] if complaints(GOOD) else []
    for name, (path, old, new) in bad.items():
        tree = {**GOOD, path: GOOD[path].replace(old, new)}
        if tree == GOOD or not complaints(tree):
            failed.append(name)
    for name in failed:
        print(f"self-test: wrong verdict on: {name}")
    return bool(failed)


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__)
        return 2
    found = complaints(read(Path(arguments[0])))
    print("\n".join(found) or "the table and the tests agree")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
