#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: the figures of the report show the numbers of the results, and stand alone as files.

Method: draw invented results, parse the SVGs, and measure the shapes in them.
"""
import copy
import math
import re
import unittest
import xml.etree.ElementTree as ElementTree

from test_report import FILE_BYTES_MAX, SVG, ReportTest, bars, colours, fail, series, texts
import plots  # test_report knows where these are
import report_data


class Figures(ReportTest):
    def caption(self, name):
        elements = self.page().found
        start = next(i for i, e in enumerate(elements)
                     if e[0] == "figure" and e[1].get("id") == name)
        return next(text for tag, _, text in elements[start:] if tag == "figcaption")

    def check_files(self):
        files = list((self.folder / "figures").iterdir())
        self.assertGreater(len(files), 5)
        for path in files:
            with self.subTest(path.name):
                root = ElementTree.parse(path).getroot()
                size = (root.get("width"), root.get("height"))
                self.assertEqual(root.get("viewBox"), "0 0 %s %s" % size)
                rect = next(e for e in root.iter() if e.tag not in (SVG + "svg", SVG + "g",
                                                                    SVG + "title"))
                self.assertEqual((rect.tag, rect.get("fill"), rect.get("width"),
                                  rect.get("height")), (SVG + "rect", "#ffffff", *size))
                self.assertTrue(root.find(SVG + "title").text)
                self.assertLess(path.stat().st_size, FILE_BYTES_MAX)

    def test_files_stand_alone(self):
        self.make()
        self.check_files()

    def test_files_stay_small_with_many_rows_and_allocators(self):
        for entry in [a for a in self.data["allocators"] if a["role"] == "peer"]:
            name = f"{entry['name']}-other-version"
            self.data["allocators"].append(dict(entry, name=name))
            for row in self.data["workloads"]:
                row["results"][name] = copy.deepcopy(row["results"][entry["name"]])
        for row in self.data["workloads"]:
            row["family"] = "small"
        self.make()
        self.check_files()
        panels = [text for path in (self.folder / "figures").glob("latency-*.svg")
                  for text in texts(ElementTree.parse(path).getroot())]
        for row in self.data["workloads"]:
            if any(cell["latency_ns"] for cell in row["results"].values()):
                self.assertEqual(panels.count(row["name"]), 1)

    def test_bars_are_as_long_as_the_ratios(self):
        self.make()
        for family in ("small", "memory", "threads", "program"):
            rows = [row for row in self.data["workloads"] if row["family"] == family]
            drawn = series(self.figure(f"speed-{family}"))
            for name in ("hakmem", "glibc", "mimalloc", "jemalloc", "tcmalloc", "scudo"):
                able = [row for row in rows if row["results"][name]["status"] == "ok"]
                shapes = bars(drawn[name][0])
                self.assertEqual(len(shapes), len(able))
                for row, (left, right, _) in zip(able, shapes):
                    peer = row["speed"]["peer"]
                    best = max(b[1] for b in bars(drawn[peer][0])) - left
                    speed = {n: row["results"][n]["median"]["speed"] for n in (name, peer)}
                    with self.subTest(row=row["name"], allocator=name):
                        self.assertAlmostEqual(right - left, best * speed[name] / speed[peer],
                                               delta=1.0)

    def test_whiskers_are_the_intervals(self):
        self.make()
        drawn = series(self.figure("speed-small"))
        rows = [row for row in self.data["workloads"] if row["family"] == "small"]
        left = bars(drawn["hakmem"][0])[0][0]
        one = max(bar[1] for bar in bars(drawn["mimalloc"][0])) - left
        spans = re.findall(r"M([\d.]+),([\d.]+) L([\d.]+),\2", " ".join(
            e.get("d") or "" for e in drawn["95 % interval"][0].iter()))
        spans = sorted((float(y), float(a), float(b)) for a, y, b in spans)
        self.assertEqual(len(spans), len(rows))
        for row, (_, low, high) in zip(rows, spans):
            self.assertAlmostEqual(low, left + one * row["speed"]["low"], delta=1.0)
            self.assertAlmostEqual(high, left + one * row["speed"]["high"], delta=1.0)

    def test_a_large_lead_makes_the_axis_logarithmic(self):
        row = self.row("tiny-1024")
        factor = 5 / row["speed"]["ratio"]
        row["speed"].update({key: row["speed"][key] * factor for key in ("ratio", "low", "high")})
        slow = row["results"]["scudo"]["median"]
        slow["speed"] = row["results"][row["speed"]["peer"]]["median"]["speed"] * 0.004
        self.make()
        self.assertIn("logarithmic", self.caption("speed-small"))
        self.assertNotIn("logarithmic", self.caption("speed-threads"))
        drawn = series(self.figure("speed-small"))
        own, others = bars(drawn["hakmem"][0])[1], bars(drawn[row["speed"]["peer"]][0])
        decade = max(bar[1] for bar in others) - own[0]  # the axis starts at 0.1
        self.assertAlmostEqual(own[1] - own[0], decade * (1 + math.log10(5)), delta=1.0)
        rows = [r for r in self.data["workloads"] if r["family"] == "small"]
        self.assertEqual(len(bars(drawn["scudo"][0])), len(rows) - 1)
        self.assertIn("0.004 (off scale)", texts(self.figure("speed-small")))

    def test_failed_and_very_slow_ones_are_named(self):
        fail(self.data, "hakmem", ["lua"])
        self.make()
        self.assertIn("jemalloc: failed", texts(self.figure("speed-memory")))
        row = self.row("realloc-grow")
        ratio = (row["results"]["tcmalloc"]["median"]["speed"] /
                 row["results"][row["speed"]["peer"]]["median"]["speed"])
        self.assertIn(f"{ratio:.2g}", texts(self.figure("speed-memory")))
        self.assertIn("hakmem: failed", texts(self.figure("speed-program")))
        self.assertTrue(any(text.startswith("no result") for text in
                            texts(self.figure("speed-program"))))

    def test_an_allocator_has_one_colour(self):
        self.make()
        seen = {}
        for path in (self.folder / "figures").iterdir():
            for name, groups in series(ElementTree.parse(path).getroot()).items():
                for group in groups:
                    seen.setdefault(name, set()).update(colours(group))
        names = [a["name"] for a in self.data["allocators"]]
        seen["hakmem"].discard("#6b2f00")  # the outline of its bars
        self.assertTrue(all(len(seen[name]) == 1 for name in names if name != "floor"), seen)
        self.assertEqual(len({min(seen[name]) for name in names}), len(names))
        for red, green, blue in (re.findall("..", c[1:]) for c in seen["floor"]):
            self.assertEqual((red, red), (green, blue), "the floor is grey")

    def test_the_floor_is_no_bar_and_no_peer(self):
        self.row("tiny-64")["results"]["floor"]["median"]["speed"] = \
            self.row("tiny-64")["results"]["glibc"]["median"]["speed"]
        self.make()
        drawn = series(self.figure("speed-small"))
        self.assertEqual(bars(drawn["floor"][0]), [])
        self.assertNotIn("floor", series(self.figure("speed-and-memory")))
        self.assertTrue(any(re.fullmatch(r"floor \d.* →", text)
                            for text in texts(self.figure("speed-small"))))

    def test_plane_shows_the_geometric_means(self):
        self.data["allocators"] = self.data["allocators"][:2]
        self.data["workloads"] = self.data["workloads"][:2]
        self.data["means"] = {}
        figures = {"hakmem": ((10, 100), (30, 900)), "glibc": ((20, 400), (10, 100))}
        for index, row in enumerate(self.data["workloads"]):
            row.update(speed=None, rss=None)
            row["results"] = {name: row["results"][name] for name in figures}
            for name, cells in figures.items():
                speed, rss = cells[index]
                row["results"][name]["median"].update(speed=speed, rss_peak_kib=rss)
        results = report_data.read_results(self.data)
        self.assertEqual(plots.plane_points(results), {"hakmem": [(1, 0.5), (9, 1)],
                                                       "glibc": [(4, 1), (1, 1 / 3)]})
        self.make()
        place = {name: self.marks(group[-1])[0]
                 for name, group in series(self.figure("speed-and-memory")).items()
                 if name in figures}
        ticks = {text: at for text, at in self.tick_places(self.figure("speed-and-memory"))}
        # hakmem: RSS sqrt(9), speed sqrt(1/2); glibc: RSS sqrt(4), speed sqrt(1/3).
        per_log = (ticks["3"] - ticks["1"]) / math.log(3)
        self.assertAlmostEqual(place["hakmem"][0], ticks["3"], delta=1)
        self.assertAlmostEqual(place["hakmem"][0] - place["glibc"][0], per_log * math.log(1.5),
                               delta=1)
        self.assertLess(place["hakmem"][1], place["glibc"][1])

    @staticmethod
    def marks(group):
        return [tuple(float(n) for n in re.findall(r"[\d.]+", use.get("transform"))[:2])
                for use in group.iter(SVG + "use")]

    @staticmethod
    def tick_places(svg):
        """(text, x) of the labels below the x axis."""
        for group in svg.iter(SVG + "g"):
            text = group.find(SVG + "text")
            if text is not None and group.get("text-anchor") == "middle":
                at = re.match(r"translate\(([\d.]+),([\d.]+)\)", group.get("transform"))
                if at:
                    yield "".join(text.itertext()), float(at.group(1))

    def test_curves_are_those_that_differ_most(self):
        for index, row in enumerate(self.data["workloads"]):
            for number, cell in enumerate(row["results"].values()):
                if cell["status"] == "ok":
                    level = 50_000 * (1 + (index * number if index % 2 else 0))
                    cell["rss_curve"] = [[i / 10, level] for i in range(5)]
        self.make()
        shown = [row["name"] for row in self.data["workloads"][1::2][-plots.CURVES_MAX:]]
        drawn = texts(self.figure("memory-over-time"))
        left_out = self.caption("memory-over-time").split("left out: ")[1].rstrip(".").split(", ")
        names = [row["name"] for row in self.data["workloads"]]
        self.assertEqual([t for t in drawn if t in names], shown[::-1])
        self.assertEqual(sorted(left_out + shown), sorted(names))

    def test_thinning_keeps_peaks(self):
        curve = [[i, 7 + i % 3] for i in range(1000)]
        curve[517][1] = 5000
        thin = plots.thinned(curve, 70)
        self.assertLessEqual(len(thin), 70)
        self.assertIn([517, 5000], thin)
        self.assertEqual(thin, sorted(thin))
        self.assertEqual(plots.thinned(curve[:70], 70), curve[:70])

    def test_latencies_rise_on_a_logarithmic_axis(self):
        for row in self.data["workloads"]:
            for cell in row["results"].values():
                if cell["status"] == "ok":
                    cell["latency_ns"] = {"p50": 10, "p99": 100, "p999": 1000, "max": 10_000}
        self.data["workloads"][0]["results"]["glibc"]["latency_ns"]["p999"] = None
        self.data["workloads"][0]["results"]["scudo"]["latency_ns"]["p50"] = 0
        self.make()
        drawn = series(self.figure("latency-small"))
        heights = [y for _, y in self.marks(drawn["hakmem"][0])]
        steps = [a - b for a, b in zip(heights, heights[1:])]
        self.assertEqual(len(heights), 4)
        self.assertGreater(min(steps), 10)
        self.assertLess(max(steps) - min(steps), 0.1)
        self.assertEqual(len(self.marks(drawn["glibc"][0])), 3)
        bottom = self.marks(drawn["scudo"][0])[0][1]  # 0 is drawn as 1 ns
        self.assertAlmostEqual(bottom - heights[0], steps[0], delta=0.1)


if __name__ == "__main__":
    unittest.main()
