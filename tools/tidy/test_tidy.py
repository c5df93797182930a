#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: each rule of tidy reports a bad tree at the right line, and nothing in a good one.

Method: GOOD is a small tree that obeys all rules. A test changes some of its files and compares the whole
set of `file:line: rule` that tidy prints, so a finding too few fails as well as one too many.
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "tidy"
sys.dont_write_bytecode = True
LOADER = importlib.machinery.SourceFileLoader("tidy", str(SCRIPT))
TIDY = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", LOADER))
LOADER.exec_module(TIDY)

SPDX = "/* SPDX-License-Identifier: MIT */\n"
HEAD = SPDX + "#pragma once\n/* Contract. */\n"
ENV = "HAKMEM" + "_"            # in two parts, as tidy reads this file too
GOOD = {
    "include/hakmem/hakmem.h": SPDX + '#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n'
                               "#ifdef __cplusplus\n}\n#endif\n",
    "src/all.c": SPDX + '#include "learn/metric.c"\n#include "front/entry.c"\n',
    "src/README.md": "Peers are paired by `allow: large -> slab`, one in a line:\n\nallow: slab -> large\n",
    "src/base/atomic.h": HEAD + "#include <stdatomic.h>\ntypedef _Atomic int atomic_word;\n",
    "src/os/os.h": HEAD + "void *os_map(void);\n",
    "src/os/os.c": SPDX + '#include "os.h"\n#if 1\nvoid *os_map(void) { return mmap(0); }\n#endif\n',
    "src/guard/ring.h": HEAD,
    "src/map/map.h": HEAD + '#include "guard/ring.h"\n',
    "src/slab/slab.h": HEAD + '#include "large/large.h"\n#include "map/map.h"\n',
    "src/large/large.h": HEAD + '#include "../base/atomic.h"\n',
    "src/front/entry.h": HEAD + "int entry(int a);\n",
    "src/front/entry.c": SPDX + '#include <hakmem/hakmem.h>\n#include "hakmem/hakmem.h"\n#include "entry.h"\n'
                         '#include "run/config.h"\nint entry(int a)\n{\n    /* [MO-A-1] */\n'
                         "    return setting(verbose) + a; /* [MO-A-1] */\n}\n",
    "src/run/init.h": HEAD,
    "src/run/init.c": SPDX + '#include "init.h"\n#include "learn/metric.h"\n#include "watch/stats.h"\n',
    "src/run/fork.h": HEAD + '#include "front/entry.h"\n',
    "src/run/config.def": SPDX + 'SETTING(verbose, 0, "banner")\n',
    "src/libc/override.c": SPDX + '#include "front/entry.h"\n#include "watch/stats.h"\n',
    "src/learn/metric.c": SPDX + '#include "front/entry.h"\n#include "run/fork.h"\n',
    "src/watch/stats.h": HEAD + '#include "base/atomic.h"\n',
    "tools/hakmem/main.c": SPDX + '#include "own.h"\n#include "watch/stats.h"\n#include "generated.h"\n',
    "tools/hakmem/own.h": SPDX,
    "docs/config.md": f"Set {ENV}VERBOSE; all names begin with {ENV}.\n",
    "docs/memory-order.md": "| id | why |\n|---|---|\n| [MO-A-1] | because |\n",
}

def function(lines, head="int f(void)"):
    """C text of a function with that many lines from its name to its closing brace."""
    return head + "\n{\n" + "    g();\n" * (lines - 3) + "}\n"

class TidyCase(unittest.TestCase):
    def run_tidy(self, changes, *arguments):
        """(exit status, lines printed) for GOOD with changes; text None removes a file."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (GOOD | changes).items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                if text is not None:
                    path.write_bytes(text.encode() if isinstance(text, str) else text)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                status = TIDY.main(["--root", folder, *arguments])
        return status, printed.getvalue().splitlines()

    def expect(self, changes, *findings):
        """The findings, as `file:line: rule`, are exactly these; they alone decide the exit status."""
        status, lines = self.run_tidy(changes)
        self.assertRegex(lines.pop(), r"^tidy: \d+ functions in src: median ")
        found = [": ".join(line.split(": ")[:2]) for line in lines]
        self.assertEqual(sorted(found), sorted(findings), "\n".join(lines))
        self.assertEqual(status, 1 if findings else 0)
        return lines

    def one(self, text, *findings, file="src/map/map.c"):
        """As expect for one file, whose text goes below its SPDX line; the findings are `line: rule`."""
        return self.expect({file: SPDX + text}, *(f"{file}:{finding}" for finding in findings))

class TestCommand(TidyCase):
    def test_good_tree_passes(self):
        self.expect({})

    def test_exit_status_of_the_command(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "src", "base", "list.c")
            for text, status in ((None, 2), (SPDX, 0), (SPDX + "\tint x;\n", 1)):
                if text:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
                run = subprocess.run([SCRIPT, "--root", folder], capture_output=True, check=False, text=True)
                self.assertEqual(run.returncode, status)
        self.assertEqual(run.stdout.splitlines()[0], "src/base/list.c:2: layout: the line has a tab")

class TestInclude(TidyCase):
    def refused(self, user, target):
        self.one(f'#include "{target}"\n', "2: include", file=user)

    def allowed(self, user, target):
        self.one(f'#include "{target}"\n', file=user)

    def test_every_pair_of_layers(self):
        order = "libc front slab map guard os base".split()
        for i, user in enumerate(order):
            for j, target in enumerate(order):
                (self.allowed if i <= j else self.refused)(f"src/{user}/x.c", f"{target}/y.h")
        for peer in ("mid", "large"):
            self.allowed(f"src/{peer}/x.c", "map/y.h")
            self.refused("src/map/x.c", f"{peer}/y.h")

    def test_peers_need_an_allow_line(self):
        self.allowed("src/slab/slab.c", "large/large.h")
        self.refused("src/slab/slab.c", "mid/pool.h")
        self.refused("src/large/large.c", "slab/slab.h")    # the other direction, and prose that names it
        self.expect({"src/README.md": "Layers.\n"}, "src/slab/slab.h:4: include")

    def test_run(self):
        for user in "libc front slab mid large".split():
            self.allowed(f"src/{user}/x.c", "run/thread.h")
            self.refused(f"src/{user}/x.c", "run/fork.h")
        for user in "map guard os base".split():
            self.refused(f"src/{user}/x.c", "run/config.h")
        for target in ("front/entry.h", "slab/slab.h", "base/atomic.h", "run/fork.h"):
            self.allowed("src/run/thread.c", target)
        for target in ("libc/new.h", "watch/stats.h", "learn/metric.h"):
            self.refused("src/run/thread.c", target)

    def test_learn_and_watch(self):
        for user in ("src/learn/x.c", "src/watch/x.c", "tools/x.c"):
            self.allowed(user, "libc/new.h")
            self.allowed(user, "run/fork.h")
        self.refused("src/learn/metric.c", "watch/stats.h")
        self.refused("src/watch/stats.c", "learn/metric.h")
        self.refused("src/front/x.c", "watch/stats.h")
        self.refused("src/libc/x.c", "learn/metric.h")
        self.refused("tools/hakmem/main.c", "learn/metric.h")

    def test_spelling_does_not_hide_the_target(self):
        self.refused("src/base/list.c", "../os/os.h")
        self.refused("src/base/list.c", "../../tools/hakmem/own.h")
        self.one("#  include <os/os.h>\n", "2: include", file="src/base/list.c")
        self.one('/* #include "os/os.h" */\n// #include "os/os.h"\n', file="src/base/list.c")

    def test_unknown_targets_and_places(self):
        self.refused("src/base/list.c", "nowhere.h")
        self.one("#include HEADER\n", "2: include", file="src/base/list.c")
        self.expect({"src/attic/old.c": SPDX}, "src/attic/old.c:1: include")
        self.expect({"src/loose.c": SPDX}, "src/loose.c:1: include")

class TestConfined(TidyCase):
    def test_atomics(self):
        for text in ("_Atomic int x;", "#include <stdatomic.h>", "__atomic_load_n(y, 0)", "__sync_add(y, 1)"):
            self.one(text + "\n", "2: atomic", file="src/base/list.c")
        self.one('/* _Atomic */\nconst char *s = "_Atomic"; // __sync_x\n', file="src/base/list.c")

    def test_volatile(self):
        for text in ("volatile int x;", '__asm__ __volatile__("");'):
            self.one(text + "\n", "2: atomic", file="src/os/os.c")
            self.one(text + "\n", file="src/base/list.c")

    def test_system_calls(self):
        for call in ("mmap(0)", "munmap (p)", "syscall(1)", "write(2)", "clock_gettime(0, t)", "open64(s)"):
            text = "int f(void)\n{\n    return " + call + ";\n}\n"
            self.one(text, "4: syscall")
            self.one(text, file="src/os/lock.c")
            self.one(text, file="tools/hakmem/main.c")

    def test_what_is_no_system_call(self):
        self.one("int f(void)\n{\n    /* mmap() */\n    ring_write(1);\n    a->read(1);\n"
                 '    a.open(1);\n    return g("close(1)", write);\n}\n')

    def test_conditional(self):
        for text in ("#if 1\n#endif\n", "#ifdef A\n#else\n#endif\n", "  #  ifndef A\n  #  endif\n"):
            self.one("int x;\n" + text, "3: conditional")
            for home in ("base", "os", "libc"):
                self.one("int x;\n" + text, file=f"src/{home}/x.c")
        self.one("#if 1\n#elif 2\n#endif\n", "2: conditional", "3: conditional")

    def test_include_guard(self):
        guard, header = "#ifndef M_H\n#define M_H\n/* Contract. */\n%s#endif /* M_H */\n", "src/map/map.h"
        self.one(guard % "int x;\n", file=header)
        self.one(guard % "#ifdef X\n#endif\n", "5: conditional", file=header)
        self.one(guard % "int x;\n" + "int y;\n", "2: conditional", file=header)
        self.one("#pragma once\n/* Both. */\n#ifndef A\n#define A\n#endif\n", "4: conditional", file=header)

class TestFunction(TidyCase):
    SHORT = "".join(f"int s{n}(void)\n{{\n}}\n" for n in range(20))     # keeps median and percentile low

    def test_length(self):
        self.one(function(70) + self.SHORT)
        self.one("int x;\n" + function(71) + self.SHORT, "3: function")
        self.one(function(71), "2: function", file="tests/unit/x.c")

    def test_heads_of_all_shapes_are_functions(self):
        for head in ("static inline int *f(struct s *a, int (*b)(int, int), int c[2])", "MAKE_FUNCTION(f)",
                     "__attribute__((noinline, aligned(8)))\nint f(void)", "int f(void) HAK_NONNULL(1, 2)",
                     "struct s f(void) __attribute__((cold))", "HAK_ALIGNED(64) int f(void)",
                     "#define A {\nint f(void)", 'extern "C" {\n}\nint f(void)', "struct s;\nint f(void)",
                     "int a[] = { 1, 2 };\nint f(void)"):
            line = 2 + next(n for n, l in enumerate(head.split("\n")) if "f(" in l or "(f" in l)
            self.one(function(71, head) + self.SHORT, f"{line}: function")

    def test_types_and_initialisers_are_no_functions(self):
        for head in ("struct s", "enum e", "struct HAK_ALIGNED(64) s", "struct __attribute__((packed)) s",
                     "int (*const table[2])(int) =", "typedef struct HAK_ALIGNED(64)", "struct HAK_AS(64)"):
            self.one(function(71, head)[:-1] + ";\n")

    def test_braces_in_text_and_branches(self):
        body = ("    char a = '{', *b = \"}}\\\"{\"; /* { */ // {\n"
                "#if 1\n    if (x) {\n#else\n    if (y) {\n#endif\n        g();\n    }\n")
        text = "int f(void)\n{\n" + body + "    g();\n" * 60 + "}\n"
        self.assertEqual(text.count("\n"), 71)
        self.one(text + self.SHORT, "2: function", file="src/os/os.c")
        self.one(text.replace("    g();\n", "", 1) + self.SHORT, file="src/os/os.c")
        both = "#if 1\n" + function(9) + "#else\n" + function(71) + "#endif\n"
        self.one(both + self.SHORT, "13: function", file="src/os/os.c")
        heads = "#if 1\nint f(int a)\n{\n#else\n" + function(71, "int f(long)").replace("{\n", "{\n#endif\n")
        self.one(heads + self.SHORT, "6: function", file="src/os/os.c")

    def test_brace_without_partner(self):
        self.one("int f(void)\n{\n    if (x) {\n}\n", "3: function")
        self.one("int x;\n}\n", "3: function")

    def test_parameters(self):
        five = "int f(int a, int b, int (*c)(int, int), int d[2], int e)"
        self.one(function(3, five))
        self.one(function(3, five[:-1] + ", int g)"), "2: function")

    def test_median(self):
        lines = self.expect({"src/map/map.c": SPDX + function(13) * 3}, "src:1: function")   # GOOD has 1, 5
        self.assertIn("median", lines[0])
        self.one(function(12) * 3)

    def test_percentile(self):
        small = SPDX + function(3) * 15                                     # 17 with those of GOOD
        self.expect({"src/map/map.c": small + function(3) + function(41) * 2})      # the 18th of 20 decides
        lines = self.expect({"src/map/map.c": small + function(41) * 3}, "src:1: function")
        self.assertIn("90th percentile", lines[0])
        self.expect({"src/map/map.c": small + function(40) * 3})

    def test_statistic_line(self):
        lines = self.run_tidy({"src/map/map.c": SPDX + function(30)})[1]
        self.assertEqual(lines, ["tidy: 3 functions in src: median 5, 90th percentile 30, max 30 lines"])

    def test_hot(self):
        for head in ("HAK_HOT int f(void)", "HAK_HOT\nstatic int f(void)"):
            self.one(function(25, head))
            self.one(function(26, head), f"{2 + head.count(chr(10))}: hot")
        self.one(function(26))
        self.one(function(3, "HAK_HOT int g(void)") + function(26))

class TestFile(TidyCase):
    def test_length(self):
        self.one("int x;\n" * 399)
        status, lines = self.run_tidy({"src/map/map.c": SPDX + "int x;\n" * 400})
        self.assertEqual(status, 0)
        self.assertRegex(lines[0], r"^src/map/map\.c:401: file-length: warning: ")
        self.assertEqual(self.run_tidy({"src/map/map.c": SPDX + "int x;\n" * 599})[0], 0)
        self.one("int x;\n" * 600, "601: file-length")

    def test_layout(self):
        for text, line in (("int x;\tint y;\n", 2), ("int x; \n", 2), ("int x;\r\n", 2), ("int x;", 2),
                           ("/*" + "x" * 107 + "*/\n", 2), ("int x;\n  \n", 3)):
            self.one(text, f"{line}: layout")
        self.one("/*" + "\u00e4" * 106 + "*/\n")
        for name, line in (("tests/x.sh", 1), ("bench/x.py", 1), ("bench/CMakeLists.txt", 1), ("tools/x", 2)):
            self.expect({name: "#!/bin/sh\n" * (line - 1) + "\ttrue\n"}, f"{name}:{line}: layout")
        self.expect({"docs/x.md": "| a | \n", "tools/README": "\ttext", "docs/x.c": "\t"})
        self.expect({"tests/fuzz/corpus/x/found-1": "#!/bin/sh\ttrue \n"})

    def test_spdx(self):
        for name in ("src/map/map.c", "tests/unit/x.c", "tests/unit/x.h"):
            self.expect({name: "int x;\n" + SPDX}, f"{name}:1: layout")
        self.expect({"src/map/map.c": SPDX.replace("MIT", "ISC")}, "src/map/map.c:1: layout")

    def test_contract(self):
        longest = SPDX + "#pragma once\n/*\n" + " * Text.\n" * 23 + " */\n"
        self.expect({"src/map/map.h": longest})
        self.expect({"src/map/map.h": longest.replace("/*\n", "/*\n * Text.\n")}, "src/map/map.h:3: layout")
        self.one("#pragma once\n\n// Contract,\n// in two lines.\n", file="src/map/map.h")
        self.one("#pragma once\n" + "// Text.\n" * 26, "3: layout", file="src/map/map.h")
        self.one("#pragma once\nint x;\n/* Too late. */\n", "1: layout", file="src/map/map.h")

    def test_wording(self):
        for text in ("see /work/x", "in this Session", "two sessions", "a helper agent", "fixes %s12" % "#"):
            self.one(f"/*\n * {text}.\n */\n", "3: wording")
            self.one(f"int x; // {text}\n", "2: wording")
            self.one(f'const char *s = "{text}";\n')
            self.expect({"tests/x.sh": f"true\ntrue # {text}\n"}, "tests/x.sh:2: wording")
        self.one("/* obsession, build/work/x, /workload, helper, # 12 */\n")

class TestSetting(TidyCase):
    def test_unknown_names(self):
        for name in ("src/map/map.c", "tools/hakmem/main.c"):
            text = f'/* {ENV}GHOST */\nconst char *s = "{ENV}GHOST2";\n'
            self.one(text, "2: setting", "3: setting", file=name)
        self.expect({"docs/x.md": f"\nSet {ENV}GHOST=1 and {ENV}VERBOSE=1.\n"}, "docs/x.md:2: setting")
        self.expect({"docs/x.md": f"All {ENV}VERB_*, unlike {ENV}GHOST_*.\n",
                     "src/run/config.def": SPDX + "SETTING(verb_ose, 0)\n",
                     "src/front/entry.c": GOOD["src/front/entry.c"].replace("verbose", "verb_ose"),
                     "docs/config.md": ""}, "docs/x.md:1: setting")

    def test_names_that_are_no_settings(self):
        self.one(f"#define {ENV}LIMIT 3\nint x = {ENV}LIMIT + {ENV}TINY;\n")
        self.one(f"/* {ENV}GHOST */\n", file="tests/unit/x.c")
        self.expect({"docs/x.md": f"Build with -D{ENV}SANITIZE=thread.\n",
                     "tools/CMakeLists.txt": f"set({ENV}SOURCES main.c)\n"})

    def test_every_setting_is_read(self):
        table, unread = "src/run/config.def", "src/run/config.def:4: setting"
        rows = GOOD[table] + "/* SETTING(old) */\nSETTING_INT(\n    ghost, 1)\n"
        use = SPDX + "void f(void)\n{\n    %s;\n}\n"
        for text in ("setting(c, ghost)", "c.ghost", "x = c->ghost == 1", "f(setting_get(SETTING_ghost))"):
            self.expect({table: rows, "src/map/map.c": use % text})
            self.expect({table: rows, "src/run/config.c": use % text}, unread)
        for text in ("", "SETTING_ghost", "setting(ghosts)", "c.ghost = 1", "/* .ghost */", '".ghost"'):
            self.expect({table: rows, "src/map/map.c": use % text}, unread)

    def test_missing_table(self):
        self.expect({"src/run/config.def": None}, "docs/config.md:1: setting")

class TestOrdering(TidyCase):
    ROW = GOOD["docs/memory-order.md"] + "| [MO-B] | also |\n"
    END = "int x; /* pairs with [MO-B] */\n"

    def with_row(self, code, *findings, header="/* Contract. */", row=ROW):
        files = {"docs/memory-order.md": row, "src/map/map.c": SPDX + code,
                 "src/map/map.h": SPDX + "#pragma once\n" + header + "\n"}
        self.expect(files, *findings)

    def test_two_ends_and_a_row(self):
        self.with_row(self.END * 2)
        self.with_row(self.END, header="/* Contract. */\nint y; // [MO-B]")
        self.with_row(self.END * 2, "src/map/map.c:2: ordering", row=GOOD["docs/memory-order.md"])
        self.with_row(self.END * 2, "src/map/map.c:2: ordering", row=self.ROW.replace("| [MO-B]", "[MO-B]"))
        self.expect({"docs/memory-order.md": None}, "src/front/entry.c:8: ordering")

    def test_one_end(self):
        self.with_row(self.END, "src/map/map.c:2: ordering")
        self.with_row(self.END + 'char *s = "[MO-B]";\n', "src/map/map.c:2: ordering")
        self.with_row(self.END, "src/map/map.c:2: ordering", header="/* Contract [MO-B]. */")
        self.with_row(self.END * 2, header="/* Contract [MO-B]. */")

    def test_unknown_in_the_document(self):
        self.expect({"docs/memory-order.md": self.ROW + "\nSee MO-C.\n"},
                    "docs/memory-order.md:4: ordering", "docs/memory-order.md:6: ordering")

    def test_malformed(self):
        self.one("/* [MO-b] */\n/* [MO-b] */\n", "2: ordering")

@unittest.skipUnless(shutil.which("cc") and shutil.which("ar") and shutil.which("nm"), "needs cc, ar and nm")
class TestLibcCall(TidyCase):
    def symbols(self, *members):
        """Names that tidy reports for a library with these C texts as members, and its exit status."""
        with tempfile.TemporaryDirectory() as folder:
            objects = []
            for n, text in enumerate(members):
                Path(folder, f"m{n}.c").write_text(text)
                objects.append(f"{folder}/m{n}.o")
                command = ["cc", "-c", "-w", "-fPIC", "-fno-builtin", "-o", objects[-1], f"{folder}/m{n}.c"]
                subprocess.run(command, check=True)
            subprocess.run(["ar", "rcs", f"{folder}/lib.a", *objects], check=True, stderr=subprocess.DEVNULL)
            status, lines = self.run_tidy({}, "--lib", f"{folder}/lib.a")
        return status, [line.split(": libc-call: ")[1].split()[0] for line in lines[:-1]]

    def test_allowed(self):
        text = "void g() { memcpy(); mmap(); pthread_setspecific(); __errno_location(); abort(); }"
        self.assertEqual(self.symbols(text, "void h() { g(); }"), (0, []))

    def test_reported(self):
        calls, found = "void g() { printf(); __tls_get_addr(); malloc(); }", ["__tls_get_addr", "printf"]
        self.assertEqual(self.symbols(calls, "void malloc() { }"), (1, found))
        self.assertEqual(self.symbols(calls, "static void malloc() { } void h() { malloc(); }"),
                         (1, ["__tls_get_addr", "malloc", "printf"]))

    def test_weak(self):
        weak = "void g(void) { _ZSt15get_new_handlerv(); }\n#pragma weak _ZSt15get_new_handlerv\n"
        self.assertEqual(self.symbols(weak), (0, []))
        self.assertEqual(self.symbols(weak.split("\n", 1)[0]), (1, ["_ZSt15get_new_handlerv"]))
        self.assertEqual(self.symbols(weak.replace("_ZSt15get_new_handlerv", "qsort")), (1, ["qsort"]))

    def test_no_library(self):
        status, lines = self.run_tidy({}, "--lib", "/nonexistent.a")
        self.assertEqual(status, 0)
        self.assertEqual(lines[0], "tidy: /nonexistent.a does not exist, rule libc-call skipped")
        with tempfile.NamedTemporaryFile(suffix=".a") as text:
            status, lines = self.run_tidy({}, "--lib", text.name)
        self.assertEqual(status, 1)
        self.assertIn("nm cannot read the symbols", lines[0])
        self.assertEqual(self.symbols("int __gnu_lto_slim;"), (1, ["nm"]))

if __name__ == "__main__":
    unittest.main()
