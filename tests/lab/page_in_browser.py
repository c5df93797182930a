#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Goal: a reader sees a whole, tidy report page. Method: make one from an invented run, open it in
headless Chromium at a desktop's and a phone's width and look at what was laid out.

Usage: page_in_browser.py [--keep FOLDER]  (keeps the page and the screenshots there)
Exit status: 0 all well, 1 a check failed, 77 Chromium is not installed.
"""

import argparse
import base64
import contextlib
import copy
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "bench" / "lab")]
sys.dont_write_bytecode = True

import report  # noqa: E402
import synthetic  # noqa: E402
from test_report import drop_peers, fail, rename  # noqa: E402

SKIP = 77
WIDTHS = (1280, 480)
HANG_S = 120
KEEP = None
FIGURES = ("speed-small", "speed-memory", "speed-threads", "speed-program", "speed-and-memory",
           "memory-over-time", "latency-small", "latency-memory", "latency-threads")



def lengthen_names(data):
    for row in data["workloads"]:
        row["name"] += "-and-a-name-that-goes-on-and-on"
    for entry in data["allocators"]:
        if entry["role"] == "peer":
            rename(data, entry["name"], f"{entry['name']}-built-by-somebody-from-source")


def lead(data):
    for row in data["workloads"][::2]:
        for key in ("ratio", "low", "high"):
            row["speed"][key] *= 7


ODD = {"long names": lengthen_names, "large leads": lead, "no peers": drop_peers,
       "one row": lambda data: data.update(workloads=data["workloads"][:1]),
       "a failed peer": lambda data: fail(data, "mimalloc")}

# Texts of a figure that cover each other or stick out of it, in CSS pixels; a pixel is allowed.
CROWDED = """
const svg = document.querySelector('#' + CSS.escape(arguments[0]) + ' svg');
const frame = svg.getBoundingClientRect(), found = [];
const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim())
  .map(t => [t.textContent, t.getBoundingClientRect()]);
texts.forEach(([text, r], i) => {
  if (r.left < frame.left - 1 || r.right > frame.right + 1 ||
      r.top < frame.top - 1 || r.bottom > frame.bottom + 1) found.push(text + ' sticks out');
  for (const [other, o] of texts.slice(i + 1))
    if (Math.min(r.right, o.right) - Math.max(r.left, o.left) > 1 &&
        Math.min(r.bottom, o.bottom) - Math.max(r.top, o.top) > 3.5)
      found.push(text + ' covers ' + other);
});
return found;
"""

# The browser decodes its own screenshot; the page's own policy forbids that, so a blank one does.
COLOURS = """
const [data, done] = arguments, image = new Image();
image.onload = () => {
  const canvas = document.createElement('canvas');
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(
    context.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  done([counts.size, 1 - Math.max(...counts.values()) / pixels.length]);
};
image.onerror = () => done([0, 0]);
image.src = 'data:image/png;base64,' + data;
"""


def open_browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--hide-scrollbars", "--force-device-scale-factor=1"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    browser.set_page_load_timeout(HANG_S)
    browser.set_script_timeout(HANG_S)
    return browser


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if KEEP:
            cls.folder = KEEP
            cls.folder.mkdir(parents=True, exist_ok=True)
        else:
            temporary = tempfile.TemporaryDirectory()
            cls.addClassCleanup(temporary.cleanup)
            cls.folder = Path(temporary.name)
        cls.results = synthetic.write(cls.folder)
        with contextlib.redirect_stdout(None):
            status = report.main([str(cls.folder)])
        if status != 0:
            raise AssertionError("the report was not made")
        cls.address = (cls.folder.resolve() / "report.html").as_uri()
        cls.browser = open_browser()
        cls.addClassCleanup(cls.browser.quit)

    def show(self, width, address=None):
        """The page with this inside width; a window could not be made as narrow as a phone."""
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
        self.browser.get(address or self.address)

    def picture(self, name, element=None):
        """PNG of an element, or of what the window shows, in base64."""
        if element is None:
            data = self.browser.get_screenshot_as_base64()
        else:
            data = element.screenshot_as_base64
        if KEEP:
            (KEEP / f"{name}.png").write_bytes(base64.b64decode(data))
        return data

    def each(self, selector):
        return self.browser.find_elements("css selector", selector)

    def test_loads_alone_and_without_complaint(self):
        self.browser.get_log("performance")
        self.browser.get_log("browser")
        self.show(WIDTHS[0])
        self.assertEqual(self.browser.get_log("browser"), [])
        messages = [json.loads(entry["message"])["message"]
                    for entry in self.browser.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages
                 if m["method"] == "Network.requestWillBeSent"]
        self.assertEqual(asked, [self.address])
        self.assertEqual(self.browser.execute_script(
            "return performance.getEntriesByType('resource').length"), 0)
        self.assertEqual(self.browser.title, "hakmem benchmark report")

    def test_no_id_is_used_twice(self):
        self.show(WIDTHS[0])
        ids = self.browser.execute_script(
            "return [...document.querySelectorAll('[id]')].map(e => e.id)")
        self.assertGreater(len(ids), 100)
        self.assertEqual(len(ids), len(set(ids)))

    def test_the_table_has_a_row_per_workload(self):
        self.show(WIDTHS[0])
        rows = [row.text for row in self.each("#workloads tr.workload th")]
        self.assertEqual(sorted(rows), sorted(w["name"] for w in self.results["workloads"]))

    def test_the_page_never_scrolls_sideways(self):
        for width in WIDTHS:
            with self.subTest(width=width):
                self.show(width)
                wide, inside = self.browser.execute_script(
                    "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]")
                self.assertEqual(inside, width)
                self.assertLessEqual(wide, width)

    def test_the_table_fits_a_desktop(self):
        self.show(1280)
        table, box = self.browser.execute_script(
            "const t = document.querySelector('#workloads');"
            "return [t.scrollWidth, t.parentElement.clientWidth]")
        self.assertLessEqual(table, box)

    def test_a_narrow_table_scrolls_in_its_box(self):
        self.show(480)
        box, table = self.browser.execute_script(
            "const t = document.querySelector('#workloads'), b = t.parentElement;"
            "b.scrollLeft = 10000; return [[b.clientWidth, b.scrollLeft], t.scrollWidth]")
        self.assertGreater(table, box[0])
        self.assertEqual(box[1], table - box[0])
        first = self.each("#workloads tr.workload th")[0]
        self.assertGreaterEqual(first.rect["x"], 0, "the name of the row has to stay in view")

    def test_every_figure_is_seen(self):
        for width in WIDTHS:
            self.show(width)
            figures = self.each("figure")
            self.assertEqual([f.get_attribute("id") for f in figures], list(FIGURES))
            for figure in figures:
                name = figure.get_attribute("id")
                with self.subTest(width=width, figure=name):
                    svg = figure.find_element("css selector", "svg")
                    self.assertTrue(svg.is_displayed())
                    self.assertGreaterEqual(svg.rect["width"], 600)
                    self.assertGreaterEqual(svg.rect["height"], 250)
                    self.assertLess(svg.rect["height"], 2500)
                    self.assertGreater(len(figure.find_element("css selector",
                                                               "figcaption").text), 20)

    def test_no_text_of_a_figure_covers_another(self):
        self.show(WIDTHS[0])
        for name in FIGURES:
            with self.subTest(figure=name):
                self.assertEqual(self.browser.execute_script(CROWDED, name), [])

    def test_odd_results_stay_tidy(self):
        for name, change in ODD.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                data = copy.deepcopy(self.results)
                change(data)
                synthetic.write(folder, data)
                with contextlib.redirect_stdout(None):
                    self.assertEqual(report.main([folder]), 0)
                for width in WIDTHS:
                    self.show(width, (Path(folder) / "report.html").as_uri())
                    self.assertLessEqual(self.browser.execute_script(
                        "return document.documentElement.scrollWidth"), width)
                    for figure in self.each("figure"):
                        self.assertEqual(self.browser.execute_script(
                            CROWDED, figure.get_attribute("id")), [])

    def test_pictures_are_not_blank(self):
        pictures = {}
        for width in WIDTHS:
            self.show(width)
            pictures[f"top-{width}"] = self.picture(f"top-{width}")
            for figure in self.each("figure"):
                name = f"{figure.get_attribute('id')}-{width}"
                pictures[name] = self.picture(name, figure)
            for identity in ("#workloads", "#means"):
                box = self.each(identity)[0].find_element("xpath", "..")
                pictures[f"{identity[1:]}-{width}"] = self.picture(f"{identity[1:]}-{width}", box)
        self.browser.get("about:blank")
        for name, data in pictures.items():
            with self.subTest(picture=name):
                colours, inked = self.browser.execute_async_script(COLOURS, data)
                self.assertGreater(colours, 20)
                self.assertGreater(inked, 0.02)


def main():
    global KEEP
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, help="folder for the page and the screenshots")
    KEEP = parser.parse_args().keep
    if shutil.which("chromium") is None:
        print("Chromium is not installed")
        sys.exit(SKIP)
    unittest.main(argv=sys.argv[:1], verbosity=2)


if __name__ == "__main__":
    main()
