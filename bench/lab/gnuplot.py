# SPDX-License-Identifier: MIT
"""The drawing board: gnuplot scripts in pixels, and the SVG that gnuplot makes of them.

Places are pixels from the top left corner, as in the SVG, because labels can then be laid out
without overlap. Names come from the user; quoted() is the only way a text gets into a script.
"""

import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from xml.sax.saxutils import escape

TIMEOUT_S = 120
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
FONT_SIZE = 11
INK = "#222222"
FAINT = "#9a9a9a"
GRID = "#e4e4e4"

# Okabe and Ito's colours, then Paul Tol's muted ones: told apart by colour-blind readers too.
# Vermilion is kept for our own allocator, and each allocator has a mark of its own as well.
OWN_COLOUR = "#d55e00"
FLOOR_COLOUR = "#8c8c8c"
KNOWN = {"glibc": "#0072b2", "mimalloc": "#009e73", "jemalloc": "#cc79a7", "tcmalloc": "#56b4e9",
         "scudo": "#b8a000"}
MORE = ("#332288", "#882255", "#999933", "#44aa99", "#000000", "#ddcc77")
OWN_MARK = 7
MARKS = (5, 9, 11, 13, 15, 4, 8, 10, 12, 14, 6)


class GnuplotFailed(Exception):
    """gnuplot is missing or refused a script; the text is one sentence."""


@dataclass
class Figure:
    name: str     # of the file, without .svg
    title: str
    caption: str  # plain text: how to read it
    svg: str


class Look:
    """Colour, mark and width of one allocator, the same in every figure. The floor has no mark."""

    def __init__(self, colour, mark, width=1.4, dash=1):
        self.colour = colour
        self.mark = mark
        self.width = width
        self.dash = dash


def looks_of(results):
    looks = {}
    spare = [colour for name, colour in KNOWN.items()
             if name not in {a.name for a in results.allocators}]
    spare = list(MORE) + spare
    others = 0
    for allocator in results.allocators:
        if allocator.role == "floor":
            looks[allocator.name] = Look(FLOOR_COLOUR, None, dash=2)
        elif allocator is results.own:
            looks[allocator.name] = Look(OWN_COLOUR, OWN_MARK, width=2.6)
        else:
            colour = KNOWN.get(allocator.name) or spare[others % len(spare)]
            looks[allocator.name] = Look(colour, MARKS[others % len(MARKS)])
            others += 1
    return looks


def clean(text):
    """Without control characters: XML has no way to write them, nor has a one-line script."""
    return "".join(c if c.isprintable() else "?" for c in text)


def quoted(text):
    """A gnuplot string. In single quotes nothing is expanded, and a doubled quote is a quote."""
    return "'" + clean(text).replace("'", "''") + "'"


def shortened(text, characters):
    return text if len(text) <= characters else text[:characters - 1] + "…"


def text_width(text, size=FONT_SIZE):
    """Estimate in pixels: the viewer's font is unknown, DejaVu Sans is the widest of the list."""
    return size * sum(0.98 if c in "mwMW@%" else 0.4 if c in "fijlrtI.,:;|'()[]- " else 0.66
                      for c in text)


class Board:
    """One figure under construction."""

    def __init__(self, name, title, width, height):
        self.name, self.title = name, title
        self.width, self.height = width, height
        self.lines = []
        self.series_names = []  # a list per plot: what a viewer shows on hovering

    def add(self, *lines):
        self.lines += lines

    def at(self, x, y):
        return f"screen {x / self.width:.5f}, screen {1 - y / self.height:.5f}"

    def margins(self, left, top, right, bottom):
        """The plotting area, by the pixels of its edges."""
        self.add(f"set lmargin at screen {left / self.width:.5f}",
                 f"set rmargin at screen {right / self.width:.5f}",
                 f"set tmargin at screen {1 - top / self.height:.5f}",
                 f"set bmargin at screen {1 - bottom / self.height:.5f}")

    def text(self, x, y, text, align="left", size=FONT_SIZE, colour=INK):
        self.add(f"set label {quoted(text)} at {self.at(x, y)} {align} front "
                 f"font ',{size}' tc rgb '{colour}'")

    def mark(self, x, y, look, size=0.75):
        self.add(f"set label '' at {self.at(x, y)} point pt {look.mark} ps {size} "
                 f"lc rgb '{look.colour}' front")

    def line(self, x1, y1, x2, y2, look):
        self.add(f"set arrow from {self.at(x1, y1)} to {self.at(x2, y2)} nohead front "
                 f"lw {look.width} dt {look.dash} lc rgb '{look.colour}'")

    def plot(self, series):
        """series: (name for the viewer, what gnuplot is to plot)."""
        self.series_names.append([name for name, _ in series])
        self.add("plot " + ", \\\n  ".join(what + " notitle" for _, what in series))

    def legend(self, entries, left=16, top=12, swatch="line"):
        """entries: (text, Look). swatch: line (with mark), mark, or box."""
        for (x, y), (text, look) in zip(legend_places(entries, self.width, left), entries):
            middle = top + y + 7
            if swatch == "box":
                half = 7 if look.mark else 1  # the floor is a stroke, not a bar
                self.add(f"set object rectangle from {self.at(x + 11 - half, middle - 5)} to "
                         f"{self.at(x + 11 + half, middle + 5)} front fs solid noborder "
                         f"fc rgb '{look.colour}'")
            if swatch == "line":
                self.line(x, middle, x + 22, middle, look)
            if swatch != "box" and look.mark:
                self.mark(x + 11, middle, look)
            self.text(x + 28, middle, text)

    def script(self):
        head = ("set encoding utf8",
                f"set terminal svg size {self.width},{self.height} fixed noenhanced "
                f"font 'Sans,{FONT_SIZE}' background '#ffffff'",
                f"set border 3 lc rgb '{FAINT}' lw 1", f"set tics textcolor rgb '{INK}' nomirror",
                "set tics scale 0.5", "unset key", f"set grid lc rgb '{GRID}' lt 1 lw 1, lc rgb "
                f"'{GRID}' lt 1 lw 0.5", "set grid back")
        return "\n".join(head + tuple(self.lines)) + "\n"

    def svg(self):
        return finish(run_gnuplot(self.script()), self)


def legend_places(entries, width, left=16):
    """Pixels of each entry, wrapped into rows."""
    x, y, places = left, 0, []
    for text, _ in entries:
        wide = 28 + text_width(text) + 14
        if x + wide > width - 8 and x > left:
            x, y = left, y + 19
        places.append((x, y))
        x += wide
    return places


def legend_height(entries, width, left=16):
    return legend_places(entries, width, left)[-1][1] + 19


# ---- words and numbers on a figure ----

def entries_of(allocators, looks):
    """What a legend lists. The floor says of itself that it is none of the peers."""
    return [(a.name if a.role != "floor" else f"{a.name} (no allocator: the loop alone)",
             looks[a.name]) for a in allocators]


def short_number(value):
    if 0.095 <= value < 10:
        return f"{value:.2f}"
    return f"{value:.2g}" if value < 1 else f"{value:.0f}"


def log_ticks(low, high):
    span = high / low
    steps = (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2, 2.5, 3, 4, 5, 6, 7, 8, 9) if span < 3 else \
        (1, 1.5, 2, 3, 4, 5, 6, 7, 8) if span < 10 else (1, 2, 5) if span < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0 ** decade for decade in decades for step in steps]
    return ", ".join(f"'{value:g}' {value:.6g}" for value in found
                     if low * 0.999 <= value <= high * 1.001)


# ---- gnuplot itself ----

def run_gnuplot(script):
    program = shutil.which("gnuplot")
    if program is None:
        raise GnuplotFailed("gnuplot is not installed, and the figures are drawn with it "
                            "(Debian: apt install gnuplot-nox)")
    try:
        # -d: no start-up file of the user; the locale decides about the decimal sign.
        done = subprocess.run([program, "-d"], input=script, text=True, encoding="utf-8",
                              capture_output=True, timeout=TIMEOUT_S,
                              env=dict(os.environ, LC_ALL="C.UTF-8"))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GnuplotFailed(f"cannot run '{program}': {error}") from None
    complaint = " ".join(done.stderr.split())
    if done.returncode != 0 or not done.stdout.rstrip().endswith("</svg>"):
        raise GnuplotFailed(f"gnuplot failed with status {done.returncode}: {complaint[-300:]}")
    return done.stdout


# Attributes that gnuplot repeats on every group; they go to the group around all of them.
COMMON = 'fill="none" color="black" stroke="currentColor"'


def finish(svg, board):
    """Make gnuplot's SVG fit to stand in a page beside others, and name what it shows."""
    svg = svg.replace("<title>Gnuplot</title>", f"<title>{escape(board.title)}</title>", 1)
    svg = re.sub(r"<desc>.*?</desc>\n*", "", svg, count=1, flags=re.S)
    svg = svg.replace("<svg ", f'<svg role="img" font-family="{FONT}" ', 1)
    svg = name_series(smaller(svg), board.series_names)
    # An id must be the only one of its name in the page, not only in the figure.
    svg = re.sub(r"""\bid=(["'])([^"']+)\1""", rf'id="{board.name}-\2"', svg)
    return re.sub(r"""xlink:href=(["'])#([^"']+)\1""", rf'xlink:href="#{board.name}-\2"', svg)


def smaller(svg):
    """About half the bytes for the same picture."""
    for spare in (' font-family="Sans"', ' stroke-linecap="butt" stroke-linejoin="miter"',
                  " " + COMMON, ' stroke-width="1.00"'):
        svg = svg.replace(spare, "")
    svg = svg.replace('<g id="gnuplot_canvas">', f'<g id="canvas" {COMMON} stroke-width="1">', 1)
    svg = svg.replace('fill="#ffffff"/>', 'fill="#ffffff" stroke="none"/>', 1)
    svg = re.sub(r"rgb\( *(\d+), *(\d+), *(\d+)\)",
                 lambda m: "#" + "".join(f"{int(part):02x}" for part in m.groups()), svg)
    # A tenth of a pixel is enough for a line.
    svg = re.sub(r" d='[^']*'", lambda m: re.sub(r"(\.\d)\d\b", r"\1", m.group()), svg)
    svg = re.sub(r"<text> +", "<text>", svg)  # a leading blank would shift centred numbers
    svg = re.sub(r"<g(?: [^>]*)?>\s*</g>\n?", "", svg)
    return re.sub(r"\n[\t ]+", "\n", svg)


def name_series(svg, panels):
    """Replace gnuplot_plot_N by what it shows. Every panel counts its series from one again."""
    panel, last = 0, 0

    def name(match):
        nonlocal panel, last
        number = int(match.group(1))
        panel += number <= last
        last = number
        title = escape(clean(panels[panel][number - 1]))
        return f'<g id="series{panel}-{number}"><title>{title}</title>'

    return re.sub(r'<g id="gnuplot_plot_(\d+)\w*" ?><title>[^<]*</title>', name, svg)
