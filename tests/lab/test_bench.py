# SPDX-License-Identifier: MIT
"""Goal: `hakmem bench`, `ab` and `sweep` measure what is there, name what is not, and survive
broken peers.

Method: peers made for the test: one that crashes, one that hangs, one that fails, one that is no
library, one that is missing. The table must name each and still give figures for the others.
"""
import csv
import subprocess
import unittest

from lab import BUILD, LAB, LabTest

# Both wait for a size that only the workload asks for.
CRASH = """
#include <stdlib.h>
void *__libc_malloc(size_t);
void *malloc(size_t size) { if (size == 64) abort(); return __libc_malloc(size); }
"""
HANG = CRASH.replace("abort();", "for (;;) { }").replace("#include <stdlib.h>", "#include <stddef.h>")
EMPTY = CRASH.replace("abort();", "return 0;")
# Lets the first COUNT processes live, of all that share the file.
LATE = """
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void count(void) {
    int file = open("FILE", O_RDWR | O_CREAT | O_APPEND, 0600);
    if (file < 0 || write(file, "x", 1) != 1) _exit(9);
    if (lseek(file, 0, SEEK_END) > COUNT) abort();
    close(file);
}
"""
DEBUG = """
#include <unistd.h>
__attribute__((constructor)) static void banner(void) {
    static const char text[] = "hakmem: version 0.1.0 (debug build) is loaded\\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(1);
}
"""


class Bench(LabTest):
    def test_broken_peers_are_named_and_the_table_goes_on(self):
        (self.folder / "text.so").write_text("no library\n")
        peers = {"crash": self.library("crash", CRASH), "hang": self.library("hang", HANG),
                 "empty": self.library("empty", EMPTY), "text": self.folder / "text.so",
                 "gone": self.folder / "gone.so"}
        listed = ",".join(f"{name}={path}" for name, path in peers.items())
        done = self.bench("--only", "tiny-*", "--rounds", "1", "--timeout", "20", "--peers",
                          f"glibc,{listed}")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("skipped: gone: ", done.stdout)
        rows = {row["name"]: row["results"] for row in self.results()["workloads"]}
        row = rows["tiny-64"]
        self.assertEqual(row["hakmem"]["status"], "ok")
        self.assertEqual(row["glibc"]["status"], "ok")
        self.assertIn("killed by SIGABRT", row["crash"]["status"])
        self.assertIn("hangs", row["hang"]["status"])
        self.assertIn("out of memory", row["empty"]["status"])
        self.assertIn("cannot be preloaded", row["text"]["status"])
        for name in ("crash", "hang", "empty", "text"):
            self.assertIn(f"tiny-64: {name}: failed", done.stdout)
        self.assertEqual(rows["tiny-1024"]["crash"]["status"], "ok")

    def test_a_peer_that_dies_later_leaves_the_others_whole(self):
        """In the second round; and after all rounds, in the run for latency."""
        peers = []
        for name, count in (("round", 2), ("last", 4)):
            source = LATE.replace("FILE", str(self.folder / f"{name}.count"))
            peers.append(f"{name}={self.library(name, source.replace('COUNT', str(count)))}")
        done = self.bench("--only", "tiny-64", "--rounds", "3", "--peers",
                          ",".join(["glibc"] + peers))
        self.assertEqual(done.returncode, 1, done.stderr)
        results = self.results()
        row, = results["workloads"]
        for name, samples in (("round", 1), ("last", 3)):
            self.assertIn("killed by SIGABRT", row["results"][name]["status"])
            self.assertIn(f"FAILED tiny-64: {name}: ", done.stderr)
            self.assertEqual(len(row["results"][name]["samples"]), samples)
        self.assertEqual(len(row["results"]["glibc"]["samples"]), 3)
        self.assertEqual((row["speed"]["peer"], row["rss"]["peer"]), ("glibc", "glibc"))
        self.assertEqual(set(results["means"]["speed"]), {"glibc", "best"})

    def test_result_files(self):
        done = self.bench("--only", "tiny-64", "--rounds", "2", "--peers", "glibc")
        self.assertEqual(done.returncode, 0, done.stderr)
        results = self.results()
        row, = results["workloads"]
        samples = row["results"]["hakmem"]["samples"]
        self.assertEqual(len(samples), 2)
        self.assertGreater(row["results"]["floor"]["median"]["speed"], 0)
        self.assertEqual(row["speed"]["peer"], "glibc")
        self.assertGreater(row["results"]["hakmem"]["latency_ns"]["max"], 0)
        self.assertTrue(row["results"]["hakmem"]["rss_curve"])
        self.assertAlmostEqual(results["means"]["speed"]["best"]["ratio"], row["speed"]["ratio"])
        with open(self.folder / "out" / "samples.csv", newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        self.assertEqual(len(lines), 2 * 3)
        mine = [float(line["speed"]) for line in lines if line["allocator"] == "hakmem"]
        self.assertEqual(mine, [sample["speed"] for sample in samples])

    def test_only_a_release_build_is_measured(self):
        done = self.bench("--lib", self.library("debug", DEBUG), "--only", "tiny-64")
        self.assertEqual(done.returncode, 2)
        self.assertIn("is a debug build", done.stderr)

    def test_wrong_arguments(self):
        for arguments, sentence in (
                (("--only", "nonsense"), "no row matches 'nonsense'"),
                (("--peers", "nonsense"), "unknown peer 'nonsense'; known: glibc"),
                (("--list", "--only", "nonsense"), "no row matches 'nonsense'"),
                (("--peers", "glibc,glibc"), "'glibc' is named twice"),
                (("--peers", "mine="), "'mine' has no path"),
                (("--peers", "glibc,"), "'' cannot name a peer"),
                (("--only", "tiny-64", "--out", "/dev/null/x"), "cannot write to '/dev/null/x'"),
                (("--only", "start-true", "--instructions"), "none of these rows can be counted"),
                (("--rounds", "0"), "'0' is not a number from 1 to"),
                (("--threads", "x"), "'x' is not a number from 1 to"),
                (("--lib", "/no/lib.so"), "/no/lib.so does not exist")):
            with self.subTest(arguments):
                done = self.bench(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(sentence, done.stderr)
                self.assertNotIn("Traceback", done.stderr)

    def test_every_workload_has_its_program(self):
        listed = self.bench("--list").stdout.splitlines()
        self.assertGreaterEqual(len(listed), 25)
        for line in listed:
            _, family, program = line.split()[:3]
            if family != "program":
                self.assertTrue((BUILD / "bench" / program).is_file(), line)


class Ab(LabTest):
    def test_a_slow_setting_is_no_go(self):
        """pool-only takes the lists away from small sizes: several times slower on any machine."""
        done = self.command("ab", "route=tiny-first,pool-only", "tiny-64", "--scale", "0.05")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^NO-GO  tiny-64: HAKMEM_ROUTE=pool-only against tiny-first")

    def test_a_setting_that_makes_the_library_talk(self):
        done = self.command("ab", "verbose=0,1", "tiny-64", "--scale", "0.01")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("HAKMEM_VERBOSE=1 against 0", done.stdout)

    def test_wrong_arguments(self):
        for arguments, sentence in (
                (("rout=a,b", "tiny-64"), "the nearest is HAKMEM_ROUTE"),
                (("route=tiny-first,x", "tiny-64"), "HAKMEM_ROUTE"),
                (("route=tiny-first", "tiny-64"), "is not SETTING=A,B"),
                (("route=tiny-first,tiny-only", "nonsense"), "unknown workload 'nonsense'; known:")):
            with self.subTest(arguments):
                done = self.command("ab", *arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(sentence, done.stderr)


class Sweep(LabTest):
    def test_grid(self):
        done = subprocess.run(["python3", LAB, "sweep", "route=tiny-first,pool-only", "verbose=0,0",
                               "--only", "tiny-*", "--rounds", "2", "--quick"], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = list(csv.DictReader(done.stdout.splitlines()))
        self.assertEqual(len(lines), 2 * 2 * 2 * 2)
        self.assertEqual({line["HAKMEM_ROUTE"] for line in lines}, {"tiny-first", "pool-only"})
        self.assertEqual({line["status"] for line in lines}, {"ok"})


if __name__ == "__main__":
    unittest.main()
