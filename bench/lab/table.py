# SPDX-License-Identifier: MIT
"""Tables on the terminal and in docs/benchmarks.md."""
import io
import sys


def layout(rows):
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def ratio(entry):
    if entry is None:
        return "-"
    spread = f" [{entry['low']:.2f}..{entry['high']:.2f}]" if entry["low"] < entry["high"] else ""
    return f"{entry['ratio']:.3f}{spread}"


def cell(result, metric, show):
    if result is None:
        return "-"
    if result["status"] != "ok":
        return "failed"
    return show(result["median"][metric])


def section(title, workloads, names, metric, show, comparison):
    if not workloads:
        return ""
    header = ["workload"] + names + ["best peer", "ratio [95 %]"]
    rows = [header]
    for workload in workloads:
        compared = workload[comparison]
        rows.append([workload["name"]]
                    + [cell(workload["results"].get(name), metric, show) for name in names]
                    + [compared["peer"] if compared else "-", ratio(compared)])
    return f"\n{title}\n{layout(rows)}\n"


def mebibytes(kib):
    return f"{kib / 1024:.1f}"


KINDS = (
    ("pattern", "Throughput, Mops/s"),
    ("program", "Real programs, runs per second of processor time"),
    ("start", "Start-up, runs per second"),
)


def means_section(means):
    rows = [["geometric mean of hakmem / peer", "speed", "peak RSS"]]
    for name in means["speed"]:
        rows.append([name, ratio(means["speed"][name]), ratio(means["rss"].get(name))])
    return f"\n{layout(rows)}\n('best': the best peer of each row)\n" if len(rows) > 1 else ""


def print_results(results, out=sys.stdout):
    names = [a["name"] for a in results["allocators"]]
    for kind, title in KINDS:
        chosen = [w for w in results["workloads"] if w["kind"] == kind]
        out.write(section(f"{title}; ratio above 1: hakmem is faster", chosen, names, "speed",
                          number, "speed"))
    out.write(section("Peak RSS, MiB; ratio below 1: hakmem is leaner", results["workloads"], names,
                      "rss_peak_kib", mebibytes, "rss"))
    out.write(means_section(results["means"]))
    failures = [f"{w['name']}: {name}: {r['status']}" for w in results["workloads"]
                for name, r in w["results"].items() if r["status"] != "ok"]
    if failures:
        out.write("\nNot measured\n  " + "\n  ".join(failures) + "\n")
    for sentence in results.get("skipped", []):
        out.write(f"skipped: {sentence}\n")


# ---- the same for docs/benchmarks.md ----

BEGIN, END = "<!-- table: written by hakmem report --docs -->", "<!-- end of table -->"


def describe(results):
    found = results["machine"]
    versions = ", ".join(f"{a['name']} {a['version']}".strip() for a in results["allocators"])
    return (f"{results['date'][:10]}, {found['cpu']}, {found['cores']} cores, "
            f"{found['memory_kib'] / 2**20:.0f} GiB, {found['system']}, kernel {found['kernel']}, "
            f"{found['libc']}, transparent huge pages {found.get('huge_pages', 'unknown')}; "
            f"{results['rounds']} rounds{', quick' if results['quick'] else ''}. {versions}.")


def has_place(text):
    return 0 <= text.find(BEGIN) < text.find(END)


def into_document(text, results, figures):
    """The document with the part between the two marks replaced."""
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    out = io.StringIO()
    print_results(results, out)
    images = "\n\n".join(f"![{f.title}](figures/{f.name}.svg)\n\n{f.caption}" for f in figures)
    return (f"{before}{BEGIN}\n{describe(results)}\n\n```\n{out.getvalue().strip()}\n```\n\n"
            f"{images}\n{END}{after}")
