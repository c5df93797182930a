# SPDX-License-Identifier: MIT
"""The page of a benchmark run: one HTML file with everything in it, no script, no network.

Every text from the results goes through esc(); the figures are the files of plots.py, with limits
to their width added.
"""

import re
from html import escape

from report_data import FAMILIES

FAMILY_TITLES = {"small": "Small blocks", "memory": "Sizes, growth and memory use",
                 "threads": "Threads", "program": "Real programs"}
SECTIONS = (("speed-", "Speed per workload"), ("speed-and-memory", "Speed against memory"),
            ("memory-over-time", "Memory over time"), ("latency-", "Latency"))

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1d2126;
  font: 15px/1.5 system-ui, "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 40px 0 8px; padding-top: 12px; border-top: 1px solid #dfe3e8; }
h3 { font-size: 1rem; margin: 20px 0 4px; }
p, ul { max-width: 76ch; margin: 6px 0; overflow-wrap: anywhere; }
ul { padding-left: 22px; }
.sub, figcaption, .small { color: #57606a; }
.small { font-size: .87em; }
.note { border-left: 4px solid #d0a215; background: #fdf8e6; padding: 8px 12px; max-width: 76ch;
  margin: 12px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 12px 0; }
dt { color: #57606a; }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.card { flex: 1 1 240px; border: 1px solid #dfe3e8; border-radius: 8px; padding: 12px 16px; }
.card b { display: block; font-size: 1.9rem; line-height: 1.25; font-weight: 650; }
.box { overflow-x: auto; border: 1px solid #dfe3e8; border-radius: 8px; margin: 10px 0;
  max-width: 100%; }
.fit { width: fit-content; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums;
  width: 100%; }
th, td { padding: 4px 7px; text-align: right; white-space: nowrap;
  border-top: 1px solid #eceff2; }
thead th { border-top: 0; border-bottom: 1px solid #b6bec7; background: #f6f8fa;
  vertical-align: bottom; }
th[scope=row], .left { text-align: left; }
th[scope=row] { position: sticky; left: 0; background: #fff; font-weight: 500; }
thead th:first-child { position: sticky; left: 0; text-align: left; }
tr.family th { text-align: left; background: #f6f8fa; font-weight: 650; position: static; }
tr.family span { position: sticky; left: 7px; }
#means thead th { white-space: normal; }
td.own { background: #fff6f0; }
td.best { font-weight: 700; }
td.ahead { background: #e6f3ea; }
td.behind { background: #fbe7e1; }
td.failed { background: #f3e3e8; }
td.floor { color: #6e7781; }
figure { margin: 14px 0 26px; }
figcaption { max-width: 92ch; font-size: .9em; margin-top: 6px; overflow-wrap: anywhere; }
figure .box { border-color: #eceff2; }
figure svg { display: block; width: 100%; height: auto; margin: 0 auto; }
details { margin: 10px 0; }
summary { cursor: pointer; }
@media (max-width: 600px) { main { padding: 16px 12px 40px; } }
"""


def esc(text):
    return escape(str(text), quote=True)


# ---- numbers ----

def significant(value):
    """Three significant digits without an exponent."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def times(value):
    return f"{value:.3f}" if 0.1 <= value < 10 else f"{value:.3g}" if value < 1 else f"{value:.1f}"


def interval(ratio, brackets="[]"):
    if ratio.low is None:
        return ""
    return f"{brackets[0]}{times(ratio.low)}\u2009–\u2009{times(ratio.high)}{brackets[1]}"


def mebibytes(kib):
    return significant(kib / 1024)


def percent(ratio):
    """How much less than the peer, in words."""
    return f"{max((1 - ratio) * 100, 0.1):.1f} %"


# ---- the page ----

def page(results, figures):
    own = results.own.name
    parts = [head(results), headline(results), not_first(results), failures(results),
             "<h2>All workloads</h2>", table_help(results), speed_table(results),
             memory_details(results), figure_sections(figures)]
    title = f"{own} benchmark report"
    return ("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" "
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            f"<title>{esc(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
            + "\n".join(part for part in parts if part) + "\n</main>\n</body>\n</html>\n")


def system_of(machine):
    labels = {"system": "", "kernel": "Linux ", "libc": "", "huge_pages": "huge pages: "}
    return ", ".join(f"{label}{machine[key]}" for key, label in labels.items()
                     if machine.get(key)) or "unknown"


def head(results):
    machine = results.machine
    memory = machine.get("memory_kib")
    memory = f", {memory / 1024 ** 2:.1f} GiB" if isinstance(memory, int) and memory else ""
    facts = [("Machine", f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores"
              + memory),
             ("System", system_of(machine)),
             ("Date", results.date),
             ("Allocators", ", ".join(f"{a.name} {a.version}".strip()
                                      + (" (floor)" if a.role == "floor" else "")
                                      for a in results.allocators))]
    lines = "".join(f"<dt>{esc(key)}</dt><dd>{esc(value)}</dd>" for key, value in facts)
    count = f"{len(results.rows)} workload{'s' * (len(results.rows) != 1)}"
    rounds = ("one round, hence without intervals" if results.rounds < 2 else
              f"medians of {results.rounds} interleaved rounds; intervals hold the true value with "
              "95 % confidence")
    quick = ("<p class=\"note\">This was a quick run with shorter measurements. Use it to find "
             "what is broken, not to quote figures.</p>") if results.quick else ""
    return (f"<h1>{esc(results.own.name)} benchmark report</h1>\n<p class=\"sub\">{count}, "
            f"{rounds}.</p>\n"
            f"{quick}<dl>{lines}</dl>")


def headline(results):
    speed, rss = results.means.get("speed", {}), results.means.get("rss", {})
    if not speed and not rss:
        why = ("no peer took part" if not results.peers else
               "the run has not finished" if any(row.speed for row in results.rows) else
               "no workload has a result to compare")
        return f"<p class=\"note\">There are no means: {why}.</p>"
    own = esc(results.own.name)
    cards = []
    if "best" in speed:
        cards.append((speed["best"], f"the speed of the best peer of each workload "
                                     f"(more than 1: {own} is faster)"))
    if "best" in rss:
        cards.append((rss["best"], f"the peak memory of the leanest peer of each workload "
                                   f"(less than 1: {own} is leaner)"))
    shown = "".join(f"<div class=\"card\"><b>{times(ratio.value)}×</b>{text}"
                    + (f"<br><span class=\"small\">95 % interval {interval(ratio)}</span>"
                       if ratio.low is not None else "") + "</div>" for ratio, text in cards)
    peers = [name for name in {**speed, **rss} if name != "best"]
    rows = "".join(f"<tr><th scope=\"row\">{esc(name)}</th>{mean_cell(speed.get(name), True)}"
                   f"{mean_cell(rss.get(name), False)}</tr>" for name in peers)
    table = (f"<div class=\"box fit\"><table id=\"means\"><thead><tr><th>{own} against</th>"
             f"<th>speed (more is better)</th><th>peak memory (less is better)</th></tr></thead>"
             f"<tbody>{rows}</tbody></table></div>") if rows else ""
    return (f"<h2>Geometric means over the workloads</h2>\n<div class=\"cards\">{shown}</div>\n"
            f"{table}")


def mean_cell(ratio, more_is_better):
    if ratio is None:
        return "<td>–</td>"
    return (f"<td class=\"{tint(ratio, more_is_better)}\">{times(ratio.value)}× "
            f"<span class=\"small\">{interval(ratio)}</span></td>")


def tint(ratio, more_is_better):
    """ahead or behind only where the interval supports it."""
    if ratio.low is None or ratio.is_level or ratio.value == 1:
        return "level"
    return "ahead" if (ratio.value > 1) == more_is_better else "behind"


def not_first(results):
    compared = [row for row in results.rows if row.speed]
    if not compared:
        return ""
    behind = sorted((row for row in compared if row.speed.value < 1),
                    key=lambda row: row.speed.value)
    own = esc(results.own.name)
    text = f"<h2>Where {own} is not first</h2>\n<p id=\"places\">"
    if not behind:
        return text + f"Nowhere: no peer is faster on any of the {len(compared)} compared.</p>"
    items = "".join(f"<li><b>{esc(row.name)}</b>: {percent(row.speed.value)} slower than "
                    f"{esc(row.speed.peer)}, {times(row.speed.value)}× "
                    f"<span class=\"small\">{interval(row.speed)}</span>"
                    f"{', level' if row.speed.is_level else ''}</li>" for row in behind)
    return (f"{text}On {len(behind)} of {len(compared)} compared workloads, largest gap first:"
            f"</p>\n<ul id=\"behind\">{items}</ul>")


def failures(results):
    failed = results.failures()
    skipped = "".join(f"<li>{esc(sentence)}</li>" for sentence in results.skipped)
    if skipped:
        skipped = f"\n<p>Skipped:</p>\n<ul id=\"skipped\">{skipped}</ul>"
    if not failed:
        return ("<h2>Failures</h2>\n<p id=\"failures\">None: every allocator finished every "
                f"workload it was given.</p>{skipped}")
    items = "".join(f"<li><b>{esc(name)}</b> on <b>{esc(row)}</b>: {esc(status)}</li>"
                    for row, name, status in failed)
    return (f"<h2>Failures</h2>\n<p>These runs gave no result; they count for nobody.</p>\n"
            f"<ul id=\"failures\">{items}</ul>{skipped}")


# ---- tables ----

def table_help(results):
    own = esc(results.own.name)
    floor = (" The floor only pops a stack: what the loop costs without an allocator; it is no "
             "peer.") if results.floors else ""
    if not results.peers:
        return f"<p>Medians, more is better.{floor}</p>"
    known = any(row.speed and row.speed.low is not None for row in results.rows)
    bounds = (", with its 95 % interval; a ratio is tinted only where the interval leaves out 1, "
              "and called level where it does not" if known else "")
    return (f"<p>Medians, more is better; the best of a row is bold. The ratio is {own} divided by "
            f"the best peer of the row{bounds}. The last column compares peak memory with the "
            f"leanest peer, less is better.{floor}</p>")


def speed_table(results):
    names = "".join(f"<th>{esc(a.name)}</th>" for a in results.allocators)
    top = (f"<tr><th>workload</th>{names}<th class=\"left\">best peer"
           f"</th><th>ratio</th><th class=\"left\">{esc(results.own.name)} is</th>"
           f"<th>peak memory ratio</th></tr>")
    return by_family(results, "workloads", top, 5 + len(results.allocators),
                     speed_row, lambda row: row.unit)


def by_family(results, identity, top, columns, row_of, unit_of):
    parts = []
    for family in FAMILIES:
        rows = [row for row in results.rows if row.family == family]
        # One heading per unit, so that every figure below it is of the same kind.
        for unit in dict.fromkeys(unit_of(row) for row in rows):
            heading = esc(FAMILY_TITLES[family] + (f", {unit}" if unit else ""))
            parts.append(f"<tr class=\"family\"><th colspan=\"{columns}\" scope=\"colgroup\">"
                         f"<span>{heading}</span></th></tr>")
            parts += [row_of(results, row) for row in rows if unit_of(row) == unit]
    body = "\n".join(parts)
    return (f"<div class=\"box\" tabindex=\"0\"><table id=\"{identity}\"><thead>{top}</thead>\n"
            f"<tbody>\n{body}\n</tbody></table></div>")


def row_head(row):
    return (f"<tr class=\"workload\"><th scope=\"row\" title=\"{esc(row.command)}\">"
            f"{esc(row.name)}</th>")


def speed_row(results, row):
    best = max((row.speed_of(a.name) or 0 for a in results.contenders), default=0)
    cells = "".join(median_cell(results, row, a, row.speed_of(a.name), best, significant)
                    for a in results.allocators)
    peer = results.best_peer(row)
    if row.speed:
        ratio = (f"<td class=\"{tint(row.speed, True)}\">{times(row.speed.value)} "
                 f"<span class=\"small\">{interval(row.speed)}</span></td>")
    else:
        ratio = "<td>–</td>"
    if row.rss:
        rss = (f"<td class=\"{tint(row.rss, False)}\">{times(row.rss.value)} <span class=\"small\">"
               f"{interval(row.rss)} {esc(row.rss.peer)}</span></td>")
    else:
        rss = "<td>–</td>"
    return (f"{row_head(row)}{cells}"
            f"<td class=\"left\">{esc(peer) if peer else '–'}</td>{ratio}"
            f"<td class=\"left\">{place(results, row)}</td>{rss}</tr>")


def ordinal(place):
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10)
    return f"{place}{ending or 'th'}"


def place(results, row):
    """The row's outcome in words; colour alone would not do."""
    if not row.speed:
        cell = row.cells.get(results.own.name)
        if cell is None:
            return "not run"
        return "not compared" if cell.status == "ok" else "failed"
    level = ", level" if row.speed.is_level else ""
    if row.speed.value >= 1:
        return f"first{level}"
    ahead = sum((results.relative_speed(row, a.name) or 0) > row.speed.value
                for a in results.peers)
    return f"not first: {ordinal(max(ahead, 1) + 1)}{level}"


def median_cell(results, row, allocator, value, best, show):
    cell = row.cells.get(allocator.name)
    marks = [allocator.role] if allocator.role in ("own", "floor") else []
    if cell is not None and cell.status != "ok":
        return f"<td class=\"failed\" title=\"{esc(cell.status)}\">failed</td>"
    if value is None:
        return f"<td class=\"{' '.join(marks)}\">–</td>"
    if value == best and allocator.role != "floor" and len(results.contenders) > 1:
        marks.append("best")
    return f"<td class=\"{' '.join(marks)}\">{show(value)}</td>"


def memory_details(results):
    if not any(row.rss_of(a.name) for row in results.rows for a in results.allocators):
        return ""
    names = "".join(f"<th>{esc(a.name)}</th>" for a in results.allocators)
    table = by_family(results, "memory", f"<tr><th>workload</th>{names}</tr>",
                      1 + len(results.allocators), memory_row, lambda row: "MiB")
    return ("<details><summary>Peak memory (median RSS) of every allocator; the leanest is bold"
            f"</summary>\n{table}</details>")


def memory_row(results, row):
    least = min((row.rss_of(a.name) for a in results.contenders if row.rss_of(a.name)), default=0)
    cells = "".join(median_cell(results, row, a, row.rss_of(a.name), least, mebibytes)
                    for a in results.allocators)
    return f"{row_head(row)}{cells}</tr>"


# ---- figures ----

def figure_sections(figures):
    if not figures:
        return "<h2>Figures</h2>\n<p>None: there is nothing to compare in this run.</p>"
    parts, placed = [], set()
    exact = {prefix for prefix, _ in SECTIONS if not prefix.endswith("-")}
    for prefix, title in SECTIONS:
        chosen = [f for f in figures if f.name == prefix or
                  (prefix.endswith("-") and f.name.startswith(prefix) and f.name not in exact)]
        if chosen:
            parts.append(f"<h2>{title}</h2>")
            parts += [figure_html(figure, title, placed) for figure in chosen]
    return "\n".join(parts)


def figure_html(figure, section, captions):
    """A caption that was given in this page already is not repeated."""
    svg = re.sub(r"^<\?xml.*?\?>\s*", "", figure.svg)
    caption = "Read as the figure before." if figure.caption in captions else esc(figure.caption)
    captions.add(figure.caption)
    natural = float(re.search(r'viewBox="0 0 ([0-9.]+) ', svg).group(1))
    # Neither blown up on a wide screen nor illegible on a narrow one, where its box scrolls.
    svg = svg.replace("<svg ", f'<svg style="max-width:{natural * 1.15:.0f}px;'
                               f'min-width:{min(natural, 480 + natural * 0.22):.0f}px" ', 1)
    heading = f"<h3>{esc(figure.title)}</h3>" if figure.title != section else ""
    return (f"<figure id=\"{esc(figure.name)}\">{heading}<div class=\"box\" tabindex=\"0\">"
            f"{svg}</div><figcaption>{caption}</figcaption></figure>")
