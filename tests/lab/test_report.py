#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: the report says what the results say, whatever is missing in them, and refuses others.

Method: invented results (synthetic.py), changed in one place per test; the page and the figures
are parsed again, and what they show is compared with the numbers that went in.
"""
import contextlib
import copy
import io
import math
import os
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "bench" / "lab")]
sys.dont_write_bytecode = True

import report  # noqa: E402
import synthetic  # noqa: E402
import table  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
FILE_BYTES_MAX = 200_000
HOSTILE = "<script>alert('x')</script> & `touch pwned` $(touch pwned) {a}_2 %s \"q\""


class Elements(HTMLParser):
    """The page as a list of [tag, attributes, text]; complains about tags that do not match."""
    VOID = ("meta", "br")

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.unbalanced = [], [], []
        self.feed(text)
        self.unbalanced += self.open

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.found.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def of(self, tag, **wanted):
        return [element for element in self.found if element[0] == tag and
                all(element[1].get(key) == value for key, value in wanted.items())]


def rename(results, old, new):
    """Give an allocator another name."""
    for entry in results["allocators"]:
        entry["name"] = new if entry["name"] == old else entry["name"]
    for row in results["workloads"]:
        row["results"] = {new if name == old else name: cell
                          for name, cell in row["results"].items()}
        for ratio in filter(None, (row["speed"], row["rss"])):
            ratio["peer"] = new if ratio["peer"] == old else ratio["peer"]
    for means in results["means"].values():
        means.update({new: means.pop(old)} if old in means else {})


def drop_peers(results):
    results["allocators"] = [a for a in results["allocators"] if a["role"] != "peer"]
    names = {a["name"] for a in results["allocators"]}
    for row in results["workloads"]:
        row["results"] = {name: row["results"][name] for name in row["results"] if name in names}
        row["speed"] = row["rss"] = None
    results["means"] = {"speed": {}, "rss": {}}


def fail(results, name, rows=None):
    """Let an allocator crash on the named workloads, or on all."""
    for row in results["workloads"]:
        if rows is None or row["name"] in rows:
            row["results"][name] = {"status": "failed: killed by SIGABRT", "samples": [],
                                    "median": None}
            if name == "hakmem":
                row["speed"] = row["rss"] = None


def clear(results, *keys):
    for row in results["workloads"]:
        for cell in row["results"].values():
            cell.update({key: None for key in keys})


class ReportTest(unittest.TestCase):
    ORIGINAL = synthetic.make()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.data = copy.deepcopy(self.ORIGINAL)

    def call(self, *argv):
        """Exit status and what went to stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = report.main([str(a) for a in argv])
        return status, err.getvalue()

    def make(self, *argv):
        synthetic.write(self.folder, self.data)
        self.assertEqual(self.call(self.folder, *argv), (0, ""))

    def page(self):
        elements = Elements((self.folder / "report.html").read_text(encoding="utf-8"))
        self.assertEqual(elements.unbalanced, [])
        return elements

    def rows(self):
        """Workload's name -> texts of its cells."""
        rows, elements = {}, self.page().found
        start = next(i for i, e in enumerate(elements) if e[1].get("id") == "workloads")
        end = next((i for i, e in enumerate(elements) if e[1].get("id") == "memory"),
                   len(elements))
        for tag, attributes, text in elements[start:end]:
            if tag == "th" and attributes.get("scope") == "row":
                rows[text] = cells = []
            elif tag == "td":
                cells.append(text)
        return rows

    def figure(self, name):
        return ElementTree.parse(self.folder / "figures" / f"{name}.svg").getroot()

    def row(self, name):
        return next(row for row in self.data["workloads"] if row["name"] == name)

    def refused(self, status, *fragments, argv=None):
        """One sentence on stderr with the fragments, and nothing was written."""
        before = sorted(self.folder.rglob("*"))
        ended, err = self.call(*(argv if argv is not None else [self.folder]))
        self.assertEqual(ended, status, err)
        self.assertEqual(err.count("\n"), 1, err)
        for fragment in fragments:
            self.assertIn(str(fragment), err)
        self.assertEqual(sorted(self.folder.rglob("*")), before)


def texts(svg):
    return ["".join(text.itertext()) for text in svg.iter(SVG + "text")]


def series(svg):
    """What is drawn: name -> list of groups (one per panel)."""
    found = {}
    for group in svg.iter(SVG + "g"):
        title = group.find(SVG + "title")
        if title is not None:
            found.setdefault(title.text, []).append(group)
    return found


def colours(group):
    return {value for element in group.iter() for key in ("fill", "stroke", "color")
            if re.fullmatch("#[0-9a-f]{6}", value := element.get(key) or "")}


def bars(group):
    """(left, right, top) of every bar, from the top of the figure."""
    found = []
    for shape in group.iter():
        numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", shape.get("points") or "")]
        if numbers:
            found.append((min(numbers[::2]), max(numbers[::2]), min(numbers[1::2])))
    return sorted(found, key=lambda bar: bar[2])


class Refusals(ReportTest):
    def test_wrong_usage(self):
        self.refused(2, "FOLDER", argv=[])
        self.refused(2, "--colour", argv=[self.folder, "--colour"])
        self.refused(2, "nowhere", "not a folder", argv=[self.folder / "nowhere"])
        self.refused(2, self.folder, "no results.json")

    def test_not_json(self):
        for text in ("", "{", "\xff", "[" * 100_000, '{"schema": }'):
            with self.subTest(text=text[:10]):
                (self.folder / "results.json").write_text(text, encoding="latin-1")
                self.refused(1, "results.json", "not JSON")

    def test_malformed(self):
        tiny = "data['workloads'][0]"
        for change, fragment in (
                ("data['schema'] = 'hakmem-bench/2'", "'hakmem-bench/2'"),
                ("del data['schema']", "its schema is None"),
                ("del data['workloads']", "'workloads'"),
                ("data['workloads'] = []", "no workloads"),
                ("data['machine'] = 'fast'", "'machine'"),
                ("data['allocators'][0]['role'] = 'peer'", "'own'"),
                ("data['allocators'][1]['role'] = 'judge'", "'judge'"),
                ("data['allocators'][1]['name'] = 'hakmem'", "same name"),
                ("data['workloads'][1]['name'] = 'tiny-64'", "same name"),
                (f"{tiny}['family'] = 'huge'", "workloads[0]"),
                (f"{tiny}['results']['who'] = {{}}", "'who'"),
                (f"{tiny}['results']['glibc'] = 7", "workloads[0].results.glibc"),
                (f"{tiny}['results']['glibc']['median'] = None", "'median'"),
                (f"{tiny}['results']['glibc']['median']['speed'] = float('nan')", "nan"),
                (f"{tiny}['results']['glibc']['median']['speed'] = 'fast'", "'speed'"),
                (f"{tiny}['results']['glibc']['median']['speed'] = 0", "'speed'"),
                (f"{tiny}['results']['glibc']['median']['rss_peak_kib'] = -1", "rss_peak_kib"),
                (f"{tiny}['results']['glibc']['latency_ns'] = [1]", "latency_ns"),
                (f"{tiny}['results']['glibc']['rss_curve'] = [[1, 2, 3]]", "rss_curve"),
                (f"{tiny}['speed']['ratio'] = -1", "'ratio'"),
                (f"{tiny}['speed']['low'] = 9", "interval"),
                (f"{tiny}['speed']['peer'] = 'who'", "'who'"),
                ("data['means']['speed'] = 3", "means.speed")):
            with self.subTest(change=change):
                data = copy.deepcopy(self.ORIGINAL)
                exec(change, {}, {"data": data})
                synthetic.write(self.folder, data)
                self.refused(1, "results.json", "malformed", fragment)

    def test_gnuplot_is_missing_or_fails(self):
        synthetic.write(self.folder, self.data)
        fake = self.folder / "bin" / "gnuplot"
        fake.parent.mkdir()
        with mock.patch.dict(os.environ, PATH=str(fake.parent)):
            self.refused(1, "gnuplot is not installed")
            fake.write_text("#!/bin/sh\necho 'no pens left' >&2\nexit 3\n")
            fake.chmod(0o755)
            self.refused(1, "gnuplot failed", "no pens left")

    def test_output_cannot_be_written(self):
        synthetic.write(self.folder, self.data)
        (self.folder / "file").write_text("")
        self.refused(1, "cannot write", argv=[self.folder, "--out", self.folder / "file" / "sub"])


class Page(ReportTest):
    def test_every_workload_has_its_numbers(self):
        self.make()
        rows = self.rows()
        self.assertEqual(sorted(rows), sorted(row["name"] for row in self.data["workloads"]))
        names = [a["name"] for a in self.data["allocators"]]
        for row in self.data["workloads"]:
            cells = dict(zip(names, rows[row["name"]]))
            best, ratio, place, memory = rows[row["name"]][len(names):]
            for name, cell in row["results"].items():
                with self.subTest(row=row["name"], allocator=name):
                    if cell["status"] == "ok":
                        shown = float(cells[name].replace("\u202f", ""))
                        self.assertTrue(math.isclose(shown, cell["median"]["speed"], rel_tol=0.01))
                    else:
                        self.assertEqual(cells[name], "failed")
            self.assertEqual(best, row["speed"]["peer"])
            for text, key in ((ratio, "speed"), (memory, "rss")):
                numbers = [float(n) for n in re.findall(r"\d+\.\d+", text)]
                for shown, part in zip(numbers, ("ratio", "low", "high"), strict=True):
                    self.assertTrue(math.isclose(shown, row[key][part], rel_tol=0.01))
            self.assertEqual(place.startswith("not first"), row["speed"]["ratio"] < 1)
            self.assertEqual("level" in place, row["speed"]["low"] <= 1 <= row["speed"]["high"])

    def test_rows_behind_are_listed_by_gap(self):
        self.make()
        listed = [text for _, _, text in self.page().of("ul", id="behind")][0]
        behind = sorted((row for row in self.data["workloads"] if row["speed"]["ratio"] < 1),
                        key=lambda row: row["speed"]["ratio"])
        self.assertGreater(len(behind), 3)
        places = [listed.index(f"{row['name']}: ") for row in behind]
        self.assertEqual(places, sorted(places))
        self.assertEqual(listed.count("slower than"), len(behind))

    def test_means_and_machine(self):
        self.make()
        page = self.page()
        means = [text for _, _, text in page.of("table", id="means")][0]
        for name, ratio in self.data["means"]["speed"].items():
            if name != "best":
                self.assertIn(f"{name}{ratio['ratio']:.3f}×", means)
        cards = [text for _, attributes, text in page.found if attributes.get("class") == "card"]
        for card, metric in zip(cards, ("speed", "rss"), strict=True):
            best = self.data["means"][metric]["best"]
            for part in ("ratio", "low", "high"):
                self.assertIn(f"{best[part]:.3f}", card)
        facts = " ".join(text for _, _, text in page.of("dd"))
        for fact in ("Invented CPU", "2 cores", "8.0 GiB", "6.1.0-18-amd64", "glibc 2.36",
                     "2026-11-21T13:00:00Z", "mimalloc 8.1"):
            self.assertIn(fact, facts)

    def test_failures_and_what_was_skipped_are_named(self):
        self.data["skipped"] = ["snmalloc: no library"]
        self.make()
        page = self.page()
        listed = [text for _, _, text in page.of("ul", id="failures")][0]
        for row, name, status in (synthetic.CRASH, synthetic.HANG):
            self.assertIn(f"{name} on {row}: {status}", listed)
        self.assertEqual([text for _, _, text in page.of("ul", id="skipped")],
                         ["snmalloc: no library"])

    def test_names_are_only_text(self):
        rename(self.data, "mimalloc", HOSTILE)
        rename(self.data, "floor", "fl<oor>\n\x07")
        self.row("tiny-64").update(name=f"w {HOSTILE}", unit="<i>", command="<u>\" onclick=\"x")
        self.data["machine"]["cpu"] = "</dd><b>cpu"
        fail(self.data, HOSTILE, ["lua"])
        self.row("lua")["results"][HOSTILE]["status"] = "failed: <s>"
        self.make()
        page = self.page()
        for tag in ("script", "i", "u", "s", "oor"):
            self.assertEqual(page.of(tag), [])
        self.assertFalse([e for e in page.found if "onclick" in e[1]])
        self.assertIn(f"w {HOSTILE}", self.rows())
        self.assertIn(HOSTILE, [text for _, _, text in page.of("th")])
        self.assertIn(HOSTILE, texts(self.figure("latency-small")))
        self.assertIn(HOSTILE, series(self.figure("speed-small")))
        self.assertFalse(list(self.folder.rglob("pwned")) + list(Path.cwd().glob("pwned")))

    def test_nothing_comes_from_elsewhere(self):
        self.make()
        text = (self.folder / "report.html").read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"https?://[^\s\"'<>]*", text)),
                         {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"})
        page = self.page()
        for tag in ("script", "link", "img", "iframe", "object", "a"):
            self.assertEqual(page.of(tag), [])
        for _, attributes, _ in page.found:
            self.assertNotIn("src", attributes)
            self.assertTrue((attributes.get("xlink:href") or "#").startswith("#"))

    def test_the_figures_of_the_page_are_the_files(self):
        self.make()
        text = (self.folder / "report.html").read_text(encoding="utf-8")
        shown = {f.get("id") for _, f, _ in self.page().of("figure")}
        files = sorted((self.folder / "figures").glob("*.svg"))
        self.assertEqual(shown, {path.stem for path in files})
        inlined = re.sub(r'<svg style="[^"]*" ', "<svg ", text)
        for path in files:
            self.assertIn(path.read_text(encoding="utf-8").split("?>", 1)[1].strip(), inlined)

    def test_missing_parts_leave_a_page(self):
        for name, change in {
                "no latency": lambda d: clear(d, "latency_ns"),
                "no curves": lambda d: clear(d, "rss_curve", "syscalls"),
                "no peers": drop_peers,
                "one workload": lambda d: d.update(workloads=d["workloads"][3:4]),
                "a peer that always fails": lambda d: fail(d, "scudo"),
                "our own always fails": lambda d: (fail(d, "hakmem"), d.update(means={})),
                "our own fails once": lambda d: fail(d, "hakmem", ["tiny-64"]),
                "no means": lambda d: d.pop("means"),
                "no memory": lambda d: [c["median"].pop("rss_peak_kib") for w in d["workloads"]
                                        for c in w["results"].values() if c["median"]],
                "no floor": lambda d: [d["allocators"].pop()] and
                [w["results"].pop("floor", None) for w in d["workloads"]],
                "one round": lambda d: d.update(rounds=1, quick=True)}.items():
            with self.subTest(name):
                self.data = copy.deepcopy(self.ORIGINAL)
                change(self.data)
                self.make()
                self.assertEqual(len(self.rows()), len(self.data["workloads"]))
                drawn = {path.stem for path in (self.folder / "figures").iterdir()}
                self.assertEqual("latency-small" in drawn, name != "no latency")
                self.assertEqual("memory-over-time" in drawn, name != "no curves")
                self.assertEqual("speed-small" in drawn, name != "no peers")
                self.assertEqual("speed-and-memory" in drawn, name not in ("no peers", "no memory"))
                self.assertEqual("95 % interval" in (self.folder / "report.html").read_text(),
                                 name not in ("no peers", "one round",
                                              "our own always fails"))
                self.assertEqual("quick run" in "".join(t for _, _, t in self.page().of("p")),
                                 name == "one round")

    def test_where_the_files_go(self):
        synthetic.write(self.folder, self.data)
        figures = self.folder / "a" / "b" / "figures"
        figures.mkdir(parents=True)
        (figures / "latency-program.svg").write_text("from an earlier run")
        (figures / "speed-of-light.svg").write_text("of somebody else")
        self.assertEqual(self.call(self.folder, "--out", figures.parent), (0, ""))
        self.assertEqual({path.name for path in figures.parent.iterdir()},
                         {"figures", "report.html"})
        self.assertFalse((figures / "latency-program.svg").exists())
        self.assertTrue((figures / "speed-of-light.svg").exists())
        self.assertTrue((figures / "speed-small.svg").exists())
        self.assertFalse((self.folder / "report.html").exists())

    def test_into_a_document(self):
        synthetic.write(self.folder, self.data)
        docs = self.folder / "docs"
        docs.mkdir()
        document = docs / "page.md"
        document.write_text("no place for a table\n")
        status, said = self.call(self.folder, "--docs", document)
        self.assertEqual(status, 1)
        self.assertIn("has no lines", said)
        self.assertEqual(document.read_text(), "no place for a table\n")
        document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
        for _ in range(2):  # a second time replaces the first
            self.assertEqual(self.call(self.folder, "--docs", document), (0, ""))
        text = document.read_text()
        self.assertTrue(text.startswith("before\n") and text.endswith(f"{table.END}\nafter\n"))
        self.assertNotIn("\nold\n", text)
        for row in self.data["workloads"]:
            self.assertEqual(text.count(f"\n{row['name']} "), 2)  # speed and peak RSS
        self.assertIn("](figures/speed-small.svg)", text)
        self.assertTrue((docs / "figures" / "speed-small.svg").exists())
        self.assertFalse((docs / "report.html").exists())


if __name__ == "__main__":
    unittest.main()
