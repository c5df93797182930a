# SPDX-License-Identifier: MIT
"""The speed figures: per family one group of bars for every workload, a bar per allocator."""

import math

from gnuplot import (FAINT, INK, Board, Figure, entries_of, legend_height, log_ticks, short_number,
                     shortened, text_width)

WIDTH = 960
LOG_ABOVE = 3   # the axis turns logarithmic when our own ratio passes this
LOG_LEFT = 0.1  # and then starts here


class SpeedAxis:
    """The x axis of the bars: from zero, or logarithmic where our own ratio is large."""

    def __init__(self, results, rows):
        ours = [a.name for a in results.contenders if a.role == "own"]
        reach = [results.relative_speed(row, name) or 1 for row in rows for name in ours]
        reach += [row.speed.high for row in rows if row.speed and row.speed.high]
        self.is_log = max(reach) > LOG_ABOVE
        self.left = LOG_LEFT if self.is_log else 0
        self.right = max(1.2, max(reach) * (1.25 if self.is_log else 1.06))

    def commands(self):
        if self.is_log:
            return ("set logscale x", f"set xrange [{self.left}:{self.right:.6g}]",
                    f"set xtics ({log_ticks(self.left, self.right)})")
        return (f"set xrange [0:{self.right:.6g}]", "set xtics 0.2" if self.right < 2 else
                "set xtics 0.5")

    def note(self, value):
        """The text beside a bar that is too short to be seen, None beside the others."""
        if value < (self.left if self.is_log else self.right * 0.02):
            return short_number(value) + (" (off scale)" if self.is_log else "")
        return None


class SpeedBars:
    """Geometry of one bar figure: rows of one bar per allocator, our own first and thicker."""
    TOP_GAP, PAD, OWN, PEER, BOTTOM, RIGHT = 34, 6, 11, 7, 50, 178

    def __init__(self, results, rows, legend_px):
        self.order = sorted(results.contenders, key=lambda a: a is not results.own)
        self.left = 16 + min(max(text_width(shortened(row.name, 28)) for row in rows), 210)
        self.row_px = 2 * self.PAD + self.OWN + self.PEER * (len(self.order) - 1)
        self.top = legend_px + self.TOP_GAP
        self.bottom = self.top + self.row_px * len(rows)
        self.height = math.ceil(self.bottom + self.BOTTOM)

    def bar(self, index, slot):
        """Top and bottom of a bar in pixels below the plot's top edge."""
        top = index * self.row_px + self.PAD
        if slot == 0:
            return top, top + self.OWN - 1
        top += self.OWN + (slot - 1) * self.PEER
        return top, top + self.PEER - 1


def speed_figure(results, looks, family):
    rows = [row for row in results.rows if row.family == family and results.best_peer(row)]
    if not rows:
        return None
    axis = SpeedAxis(results, rows)
    entries = entries_of(results.contenders + floors_in(results, rows), looks)
    bars = SpeedBars(results, rows, legend_height(entries, WIDTH))
    title = f"Speed of the {family} workloads"
    board = Board(f"speed-{family}", title, WIDTH, bars.height)
    board.legend(entries, swatch="box")
    edge = WIDTH - bars.RIGHT
    board.margins(bars.left, bars.top, edge, bars.bottom)
    board.add(*axis.commands(), f"set yrange [{bars.bottom - bars.top}:0]", "unset ytics",
              "set border 1", "set grid noy",
              f"set arrow from 1, graph 0 to 1, graph 1 nohead back lw 1.5 lc rgb '{INK}'")
    board.text((bars.left + edge) / 2, bars.bottom + 36,
               "speed relative to the best peer of the row (1 = best peer, longer is faster"
               + (", logarithmic)" if axis.is_log else ")"), "center")
    board.text(edge + 12, bars.top - 12, f"{shortened(results.own.name, 12)} / best peer",
               colour=FAINT)
    for index, row in enumerate(rows):
        label_speed_row(board, bars, axis, results, (index, row))
    plot_speed_bars(board, bars, axis, results, rows, looks)
    return Figure(board.name, title, speed_caption(results, rows, axis), board.svg())


def speed_caption(results, rows, axis):
    parts = ["Each bar is the median speed of one allocator, divided by that of the row's best "
             f"peer; {results.own.name} is the thick bar on top."]
    if any(row.speed and row.speed.low is not None for row in rows):
        parts.append("Its whisker is the 95 % interval of its ratio to that peer.")
    parts.append("A bar past the line at 1 beats every peer.")
    parts.append("The axis is logarithmic and starts at 0.1; a slower allocator has its ratio in "
                 "figures instead of a bar." if axis.is_log else "The axis starts at zero.")
    if floors_in(results, rows):
        parts.append("The grey stroke is the floor, the cost of the loop without an allocator; "
                     "where it lies beyond the axis, its value stands at the edge.")
    return " ".join(parts)


def floors_in(results, rows):
    return [a for a in results.floors if any(row.speed_of(a.name) for row in rows)]


def label_speed_row(board, bars, axis, results, numbered):
    index, row = numbered
    top = bars.top + index * bars.row_px
    middle = top + bars.row_px / 2
    if index % 2 == 0:
        board.add(f"set object rectangle from {board.at(0, top)} to "
                  f"{board.at(WIDTH, top + bars.row_px)} behind fs solid noborder fc rgb '#f5f5f5'")
    board.text(bars.left - 8, middle, shortened(row.name, 28), "right")
    own = results.relative_speed(row, results.own.name)
    peer = shortened(results.best_peer(row), 16)
    ours = f"{short_number(own)} × {peer}" if own else f"no result ({peer} best)"
    interval = row.speed if row.speed and row.speed.low is not None else None
    board.text(WIDTH - bars.RIGHT + 12, middle - (6 if interval else 0), ours,
               colour=INK if own and own >= 1 else "#a03000")
    if interval:
        board.text(WIDTH - bars.RIGHT + 12, middle + 8, f"[{short_number(interval.low)} to "
                   f"{short_number(interval.high)}]", size=9, colour="#777777")
    for slot, allocator in enumerate(bars.order):
        value = results.relative_speed(row, allocator.name)
        cell = row.cells.get(allocator.name)
        if value is None:
            note = f"{allocator.name}: {'not run' if cell is None else 'failed'}"
        else:
            note = axis.note(value)
        if note:
            low, high = bars.bar(index, slot)
            board.text(bars.left + 5, bars.top + (low + high) / 2, shortened(note, 40), size=8,
                       colour="#555555")


def plot_speed_bars(board, bars, axis, results, rows, looks):
    series = []
    for slot, allocator in enumerate(bars.order):
        block, lines = f"$bar{slot}", []
        for index, row in enumerate(rows):
            value = results.relative_speed(row, allocator.name)
            if value and value > axis.left:
                top, bottom = bars.bar(index, slot)
                lines.append(f"{value:.5g} {top} {axis.left} {value:.5g} {top} {bottom}")
        border = "border lc rgb '#6b2f00'" if slot == 0 else "noborder"
        if lines:
            board.add(f"{block} << EOD", *lines, "EOD")
            series.append((allocator.name, f"{block} using 1:2:3:4:5:6 with boxxyerror "
                           f"fs solid {border} fc rgb '{looks[allocator.name].colour}'"))
    series += whiskers(board, bars, results, rows)
    for number, floor in enumerate(floors_in(results, rows)):
        series += floor_strokes(board, bars, axis, results, (number, floor, rows))
    board.plot(series)


def whiskers(board, bars, results, rows):
    lines = []
    for index, row in enumerate(rows):
        if row.speed and row.speed.low is not None and row.speed.low > 0:
            top, bottom = bars.bar(index, 0)
            lines.append(f"{row.speed.value:.5g} {(top + bottom) / 2} {row.speed.low:.5g} "
                         f"{row.speed.high:.5g}")
    if not lines:
        return []
    board.add("$whisker << EOD", *lines, "EOD", "set errorbars 0.6")
    return [("95 % interval", "$whisker using 1:2:3:4 with xerrorbars pt 0 ps 0 lw 1.3 "
             f"lc rgb '{INK}'")]


def floor_strokes(board, bars, axis, results, numbered):
    """A stroke through the row at the floor's speed; its value at the edge where it is beyond."""
    number, floor, rows = numbered
    lines = []
    for index, row in enumerate(rows):
        value = results.relative_speed(row, floor.name)
        top, bottom = bars.bar(index, 0)[0] - 2, bars.bar(index, len(bars.order) - 1)[1] + 2
        if value is None:
            continue
        if axis.left < value <= axis.right:
            lines.append(f"{value:.5g} {top} 0 {bottom - top}")
        else:
            board.text(WIDTH - bars.RIGHT - 3, bars.top + bottom - 6,
                       f"{shortened(floor.name, 16)} {short_number(value)} →", "right", size=9,
                       colour="#666666")
    if not lines:
        return []
    board.add(f"$floor{number} << EOD", *lines, "EOD")
    return [(floor.name, f"$floor{number} using 1:2:3:4 with vectors nohead lw 2 lc rgb '{FAINT}'")]
