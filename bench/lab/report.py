# SPDX-License-Identifier: MIT
"""The command `report`: from the results.json of a run a page and its figures.

Exit status: 0 written, 1 the results are unusable or gnuplot is missing or fails, 2 wrong usage.
"""

import argparse
import json
import sys
from pathlib import Path

import plots
import report_page
import table
from gnuplot import GnuplotFailed
from report_data import BadResults, load


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser():
    made = Parser(prog="hakmem report", allow_abbrev=False,
                  description="Make report.html, one page that needs nothing else, and "
                              "figures/*.svg from the results of 'hakmem bench'.")
    made.add_argument("folder", metavar="FOLDER", type=Path, help="holds results.json")
    made.add_argument("--out", metavar="FOLDER", type=Path,
                      help="where to write, made if missing (default: the same folder)")
    made.add_argument("--docs", metavar="FILE", type=Path,
                      help="no page; put the table into this document, and the figures beside it")
    return made


def complain(sentence, status):
    print(f"hakmem report: {sentence}", file=sys.stderr)
    return status


def main(argv):
    try:
        args = parser().parse_args(argv)
    except SystemExit as end:  # --help and wrong usage; the text is out already
        return end.code
    if not args.folder.is_dir():
        return complain(f"'{args.folder}' is not a folder; give one that holds results.json", 2)
    source = args.folder / "results.json"
    if not source.is_file():
        return complain(f"'{args.folder}' holds no results.json; 'hakmem bench' writes one", 2)
    out = args.out or args.folder
    try:
        results = load(source)
        written = document(results, source, args.docs) if args.docs else make(results, out)
    except (BadResults, GnuplotFailed) as error:
        return complain(error, 1)
    except OSError as error:
        return complain(f"cannot write to '{args.docs or out}': {error.strerror or error}", 1)
    print("\n".join(str(path) for path in written))
    return 0


def draw_into(results, folder):
    """Draws everything before anything is written: a failure leaves the folder as it was."""
    figures = plots.draw(results)
    folder.mkdir(parents=True, exist_ok=True)
    plots.write(figures, folder / "figures")
    return figures, [folder / "figures" / f"{figure.name}.svg" for figure in figures]


def make(results, out):
    figures, written = draw_into(results, out)
    page = out / "report.html"
    page.write_text(report_page.page(results, figures), encoding="utf-8")
    return written + [page]


def document(results, source, path):
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadResults(f"'{path}' is not UTF-8 text") from None
    if not table.has_place(text):
        raise BadResults(f"'{path}' has no lines '{table.BEGIN}' and '{table.END}'")
    figures, written = draw_into(results, path.parent)
    path.write_text(table.into_document(text, json.loads(source.read_text(encoding="utf-8")),
                                       figures), encoding="utf-8")
    return written + [path]
