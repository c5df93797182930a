# SPDX-License-Identifier: MIT
"""The figures of a benchmark run, as SVG files that also stand alone (docs use the same ones).

draw(results) returns them all, drawn; write(figures, folder) stores them. A figure for which the
run has no data is left out.
"""

import re
from math import ceil, floor, log10
from pathlib import Path
from statistics import geometric_mean

from gnuplot import (FAINT, INK, Board, Figure, entries_of, legend_height, log_ticks, looks_of,
                     shortened, text_width)
from plots_speed import speed_figure
from report_data import FAMILIES, PERCENTILES

CURVES_MAX = 12      # panels of memory over time
CURVE_POINTS = 70    # per line, at most
POINTS_MAX = 6000    # of all lines of memory over time: keeps the file below 200 KB
LATENCY_COLUMNS = 4
LATENCY_LINES_MAX = 150  # of one latency figure, for the same reason; more make a second one
PLANE_OUTSIDE = 2.5  # workload points further out than the means by this factor go to the edge


def draw(results):
    looks = looks_of(results)
    makers = [speed_figure(results, looks, family) for family in FAMILIES]
    makers += [plane_figure(results, looks), curves_figure(results, looks)]
    for family in FAMILIES:
        makers += latency_figures(results, looks, family)
    return [figure for figure in makers if figure]


OUR_FILES = re.compile(rf"(speed|latency)-({'|'.join(FAMILIES)})(-\d+)?\.svg|"
                       r"speed-and-memory\.svg|memory-over-time\.svg")


def write(figures, folder):
    """Store the figures; those of an earlier run go, even if not drawn now, other files stay."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if OUR_FILES.fullmatch(old.name):
            old.unlink()
    for figure in figures:
        (folder / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")


# ---- speed against memory ----

def plane_points(results):
    """allocator's name -> list of (RSS / leanest, speed / fastest), one per workload.

    Only workloads of which both are known; fastest and leanest are among all allocators, ours too.
    """
    points = {a.name: [] for a in results.contenders}
    for row in results.rows:
        able = [name for name in points if row.speed_of(name) and row.rss_of(name)]
        if len(able) < 2:
            continue
        fastest = max(row.speed_of(name) for name in able)
        leanest = min(row.rss_of(name) for name in able)
        for name in able:
            points[name].append((row.rss_of(name) / leanest, row.speed_of(name) / fastest))
    return {name: of_one for name, of_one in points.items() if of_one}


def plane_figure(results, looks):
    points = plane_points(results)
    if len(points) < 2:
        return None
    means = {name: tuple(geometric_mean(axis) for axis in zip(*of_one))
             for name, of_one in points.items()}
    dots = points.get(results.own.name, [])
    dots = dots if len(dots) > 1 else []  # the mean of one is the one
    most = max(len(of_one) for of_one in points.values())
    right = max(1.3, min(max(x for x, _ in list(means.values()) + dots),
                         PLANE_OUTSIDE * max(x for x, _ in means.values())) * 1.08)
    low = min(0.8, max(min(y for _, y in list(means.values()) + dots),
                       min(y for _, y in means.values()) / PLANE_OUTSIDE) / 1.08)
    shown = [a for a in results.contenders if a.name in means]
    entries = [(a.name + ("" if len(points[a.name]) == most else
                          f" ({len(points[a.name])} of {most} workloads)"), looks[a.name])
               for a in shown]
    top = 12 + legend_height(entries, 760) + 20
    board = Board("speed-and-memory", "Speed against memory", 760, top + 430)
    board.legend(entries, swatch="mark")
    plane = Plane(board, (72, top, 735, top + 370), (0.97, right), (low, 1.04))
    plane.axes()
    board.text(72, top - 12, "↖ faster and leaner", size=10, colour="#777777")
    outside = plane.dots(dots, looks[results.own.name], results.own.name)
    plane.means(means, looks, results.own.name)
    caption = ("Large marks: geometric mean over the workloads of peak RSS relative to the leanest "
               "allocator (to the left is leaner) and of speed relative to the fastest (up is "
               f"faster); the best place is the top left corner."
               + (f" Small dots: {results.own.name} on each of its {len(dots)} workloads."
                  if dots else "")
               + (f" {outside} of them lie outside and are drawn as rings at the edge."
                  if outside else "") + " Both axes are logarithmic.")
    return Figure(board.name, board.title, caption, board.svg())


class Plane:
    """The plotting area of the plane, able to tell where a value lies in pixels."""

    def __init__(self, board, box, x_range, y_range):
        self.board, self.box = board, box
        self.x_range, self.y_range = x_range, y_range

    def axes(self):
        left, top, right, bottom = self.box
        self.board.margins(*self.box)
        self.board.add("set logscale xy",
                       "set xrange [{:.5g}:{:.5g}]".format(*self.x_range),
                       "set yrange [{:.5g}:{:.5g}]".format(*self.y_range),
                       f"set xtics ({log_ticks(*self.x_range)})",
                       f"set ytics ({log_ticks(*self.y_range)})")
        self.board.text((left + right) / 2, bottom + 40,
                        "peak RSS relative to the leanest (left is leaner)", "center")
        self.board.add(f"set ylabel 'speed relative to the fastest (up is faster)' "
                       f"tc rgb '{INK}' offset 0.5,0")

    def pixels(self, x, y):
        left, top, right, bottom = self.box
        def share(value, limits):
            return log10(value / limits[0]) / log10(limits[1] / limits[0])
        return (left + share(x, self.x_range) * (right - left),
                bottom - share(y, self.y_range) * (bottom - top))

    def dots(self, points, look, name):
        """Draws a dot per workload; returns how many had to be moved to the edge."""
        inside, outside = [], []
        for x, y in points:
            at = (min(x, self.x_range[1]), max(y, self.y_range[0]))
            (inside if at == (x, y) else outside).append("{:.5g} {:.5g}".format(*at))
        self.series = []
        for block, lines, mark in (("$inside", inside, 7), ("$outside", outside, 6)):
            if lines:
                self.board.add(f"{block} << EOD", *lines, "EOD")
                self.series.append((f"{name}, one workload", f"{block} using 1:2 with points "
                                    f"pt {mark} ps 0.5 lw 1.2 lc rgb '#90{look.colour[1:]}'"))
        return len(outside)

    def means(self, means, looks, own):
        taken = [self.around(*self.pixels(*at), 8, 8) for at in means.values()]
        for index, (name, at) in enumerate(means.items()):
            look = looks[name]
            self.board.add(f"$mean{index} << EOD", "{:.5g} {:.5g}".format(*at), "EOD")
            self.series.append((name, f"$mean{index} using 1:2 with points pt {look.mark} "
                                f"ps {1.9 if name == own else 1.4} lc rgb '{look.colour}'"))
            self.name_point(name, self.pixels(*at), taken)
        self.board.plot(self.series)

    @staticmethod
    def around(x, y, half_width, half_height):
        return (x - half_width, y - half_height, x + half_width, y + half_height)

    def name_point(self, name, at, taken):
        """Write the name beside its mark, on the first side where it covers nothing."""
        text = shortened(name, 24)
        half = text_width(text) / 2
        left, top, right, bottom = self.box
        for dx, dy in ((half + 16, 0), (-half - 16, 0), (0, -19), (0, 19), (half + 13, 17),
                       (half + 13, -17), (-half - 13, -17), (-half - 13, 17), (0, 33), (0, -33)):
            area = self.around(at[0] + dx, at[1] + dy, half, 7)
            fits = area[0] > left and area[2] < right + 20 and area[1] > top - 12 and \
                area[3] < bottom
            if fits and not any(area[0] < t[2] and t[0] < area[2] and area[1] < t[3] and
                                t[1] < area[3] for t in taken):
                taken.append(area)
                self.board.text(at[0] + dx, at[1] + dy, text, "center")
                return  # where no side is free the legend has to do


# ---- panels ----

class Grid:
    """Places of equal panels under a legend, row by row."""

    def __init__(self, count, columns, entries, cell, gap=58):
        self.gap = gap
        self.columns = min(columns, count)
        self.cell_width, self.cell_height = cell
        self.width = max(520, self.cell_width * self.columns + 82 - gap)
        self.top = 12 + legend_height(entries, self.width) + 8
        self.height = self.top + ceil(count / self.columns) * self.cell_height + 8

    def box(self, index):
        """Edges of the plotting area of a panel, and whether it is the first of its row."""
        left = (index % self.columns) * self.cell_width + 62
        top = self.top + (index // self.columns) * self.cell_height + 26
        return left, top, left + self.cell_width - self.gap, top + self.cell_height - 64


def start_panels(board, entries):
    """The legend belongs to no panel: it is drawn with an empty one."""
    board.add("set multiplot")
    board.legend(entries)


def next_panel(board, box, title):
    left, top, right, _ = box
    board.margins(*box)
    board.text((left + right) / 2, top - 13,
               shortened(title, int((right - left + 40) / text_width("n"))), "center")


def close_panel(board):
    board.add("unset label", "unset arrow", "unset object")


# ---- memory over time ----

def curves_of(results, row):
    """allocator's name -> curve, our own last so that it lies on top."""
    order = sorted(results.allocators, key=lambda a: (a is results.own, a.role != "floor"))
    found = {a.name: row.cells[a.name].rss_curve for a in order if a.name in row.cells}
    return {name: curve for name, curve in found.items() if curve}


def curve_variation(results, row):
    """How far the allocators lie apart: most by least of the mean RSS, 1 MiB added to both."""
    means = [sum(kib for _, kib in curve) / len(curve)
             for name, curve in curves_of(results, row).items()
             if name in {a.name for a in results.contenders}]
    return (max(means) + 1024) / (min(means) + 1024) if means else 0


def thinned(curve, points_max):
    """At most that many points, each the highest of its slice of time: peaks stay."""
    start, end = curve[0][0], curve[-1][0]
    if len(curve) <= points_max or end <= start:
        return curve
    slices = {}
    for point in curve:
        index = int((point[0] - start) / (end - start) * (points_max - 1))
        if index not in slices or point[1] > slices[index][1]:
            slices[index] = point
    return [slices[index] for index in sorted(slices)]


def curves_figure(results, looks):
    rows = sorted((row for row in results.rows if curve_variation(results, row)),
                  key=lambda row: -curve_variation(results, row))
    if not rows:
        return None
    rows, left_out = rows[:CURVES_MAX], rows[CURVES_MAX:]
    names = {name for row in rows for name in curves_of(results, row)}
    entries = entries_of([a for a in results.allocators if a.name in names], looks)
    grid = Grid(len(rows), 3, entries, (312, 200))
    board = Board("memory-over-time", "Memory over time", grid.width, grid.height)
    start_panels(board, entries)
    lines = sum(len(curves_of(results, row)) for row in rows)
    points_max = max(10, min(CURVE_POINTS, POINTS_MAX // lines))
    for index, row in enumerate(rows):
        curves = {name: thinned(curve, points_max)
                  for name, curve in curves_of(results, row).items()}
        curve_panel(board, grid.box(index), row.name, curves, looks)
    board.add("unset multiplot")
    caption = ("RSS of the process in MiB (upwards, from zero) over seconds (to the right). A line "
               "ends with its process; where the amount of work is fixed, a short line is a fast "
               f"one. Lines of more than {points_max} points are thinned; peaks are kept.")
    if left_out:
        chosen = (f"the {len(rows)} workloads whose RSS differs most between the allocators, most "
                  "first" if len(results.contenders) > 1 else f"the first {len(rows)} workloads")
        names = ", ".join(row.name for row in left_out)
        caption += f" Shown are {chosen}; left out: {names}."
    return Figure(board.name, board.title, caption, board.svg())


def curve_panel(board, box, title, curves, looks):
    next_panel(board, box, title)
    ends = max(curve[-1][0] for curve in curves.values())
    most = max(kib for curve in curves.values() for _, kib in curve) / 1024
    board.add(f"set xrange [0:{ends or 1:.5g}]", f"set yrange [0:{most * 1.08 or 1:.5g}]",
              f"set xtics {round_step((ends or 1) / 5)}",
              f"set ytics {round_step((most or 1) / 4.5)}")
    left, _, right, bottom = box
    board.text(right + 6, bottom, "s", size=9, colour=FAINT)
    board.text(left - 8, box[1] - 14, "MiB", "right", size=9, colour=FAINT)
    series = []
    for index, (name, curve) in enumerate(curves.items()):
        lines = [f"{seconds:.5g} {kib / 1024:.5g}" for seconds, kib in curve]
        board.add(f"$curve{index} << EOD", *lines, "EOD")
        look = looks[name]
        series.append((name, f"$curve{index} using 1:2 with lines lw {look.width} dt {look.dash} "
                       f"lc rgb '{look.colour}'"))
    board.plot(series)
    close_panel(board)


def round_step(wanted):
    """The round number at or above: 1, 2 or 5 times a power of ten."""
    decade = 10.0 ** floor(log10(wanted))
    return next(f"{step * decade:.6g}" for step in (1, 2, 5, 10) if step * decade >= wanted * 0.999)


# ---- latency ----

def latencies_of(results, row):
    order = sorted(results.allocators, key=lambda a: (a is results.own, a.role != "floor"))
    found = {a.name: row.cells[a.name].latency_ns for a in order if a.name in row.cells}
    return {name: values for name, values in found.items() if values}


def duration(nanoseconds):
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if nanoseconds >= size:
            return f"{nanoseconds // size} {unit}"
    return f"{nanoseconds} ns"


def latency_figures(results, looks, family):
    rows = [row for row in results.rows if row.family == family and latencies_of(results, row)]
    size = max(1, LATENCY_LINES_MAX // len(results.allocators) // LATENCY_COLUMNS)
    size *= LATENCY_COLUMNS
    parts = [rows[i:i + size] for i in range(0, len(rows), size)]
    figures = []
    for number, part in enumerate(parts, 1):
        title = f"Latency of the {family} workloads"
        title += f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        name = f"latency-{family}" + (f"-{number}" if number > 1 else "")
        figures.append(latency_figure(results, looks, part, (name, title)))
    return figures


def latency_figure(results, looks, rows, named):
    values = [max(value, 1) for row in rows for of_one in latencies_of(results, row).values()
              for value in of_one.values() if value is not None]
    low, high = min(values) / 1.6, max(max(values) * 1.6, 10)
    names = {name for row in rows for name in latencies_of(results, row)}
    entries = entries_of([a for a in results.allocators if a.name in names], looks)
    grid = Grid(len(rows), LATENCY_COLUMNS, entries, (220, 215), gap=20)
    board = Board(*named, grid.width, grid.height)
    start_panels(board, entries)
    board.add("set logscale y", f"set yrange [{low:.5g}:{high:.5g}]",
              "set xrange [-0.3:3.3]", "set xtics (" +
              ", ".join(f"'{label}' {x}" for x, (_, label) in enumerate(PERCENTILES)) + ")")
    decades = [10 ** e for e in range(ceil(log10(low)), floor(log10(high)) + 1)]
    for index, row in enumerate(rows):
        labelled = index % grid.columns == 0  # the panels of a row share the axis of its first
        board.add("set ytics (" + ", ".join(f"'{duration(d) if labelled else ''}' {d}"
                                            for d in decades) + ")")
        latency_panel(board, grid.box(index), row.name, latencies_of(results, row), looks)
    board.add("unset multiplot")
    caption = ("Time of one call (upwards, logarithmic, the same axis in every panel): half of the "
               "calls take at most p50, 99 of 100 at most p99, 999 of 1000 at most p99.9; max is "
               "the slowest call of all, which also holds what the system did meanwhile.")
    return Figure(board.name, board.title, caption, board.svg())


def latency_panel(board, box, title, latencies, looks):
    next_panel(board, box, title)
    series = []
    for index, (name, values) in enumerate(latencies.items()):
        lines = [f"{x} {max(values[key], 1):.5g}" for x, (key, _) in enumerate(PERCENTILES)
                 if values[key] is not None]
        board.add(f"$latency{index} << EOD", *lines, "EOD")
        look = looks[name]
        style = f"linespoints pt {look.mark} ps 0.5" if look.mark else "lines"
        series.append((name, f"$latency{index} using 1:2 with {style} lw {look.width} "
                       f"dt {look.dash} lc rgb '{look.colour}'"))
    board.plot(series)
    close_panel(board)
