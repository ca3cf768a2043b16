"""Prints the matrix of runtimes, and that of tools and runtimes for every form: `python -m tests.runtimes.matrix`.

`--write` puts them into exported/embed/README.md, together with the screenshot of the page. `--tools` leaves out the
first one.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rnnx.bundle.find_model import SAMPLES_PATH, find_directory, shipped_names
from tests.runtimes import page
from tests.runtimes.engines import ENGINES, TOKENIZER_ENGINES, run_golden
from tests.runtimes.file_runtimes import collect_tools
from tests.runtimes.id_model import write_sample_bundle
from tests.runtimes.samples import NEEDS, Project, Row, missing
from tests.runtimes.tool_rows import format_tools

README = SAMPLES_PATH / "README.md"
BEGIN, END = "<!-- runtimes: begin -->\n", "<!-- runtimes: end -->\n"
TOOLS_BEGIN, TOOLS_END = "<!-- tools: begin -->\n", "<!-- tools: end -->\n"
_HEAD = "| runtime | version | bundle | right | largest difference | us a text |\n|---|---|---|---:|---:|---:|"


def format_matrix(rows: Sequence[Row]) -> str:
    """Formats rows as a Markdown table."""
    lines = [
        f"| {row.runtime} | {row.version} | {row.bundle} | {row.right} of {row.count} | "
        f"{row.largest_difference:.1e} | {row.microseconds:,.0f} |"
        for row in rows
    ]
    return "\n".join([_HEAD, *lines])


def collect(bundles: Sequence[Path], folder: Path) -> list[Row]:
    """Runs every runtime that this machine has, in a folder; reports on stderr which ones it does not have."""
    rows = []
    ids = write_sample_bundle(folder / "ids")
    for target in NEEDS:
        if absent := missing(target):
            print(f"{target}: left out; needs {absent}", file=sys.stderr)  # noqa: T201
            continue
        project = Project(target, bundles[0], folder / target)
        for bundle in (*bundles, ids):
            project.use(bundle)
            rows.append(project.run_golden())
    if absent := page.missing():
        print(f"browser: left out; needs {absent}", file=sys.stderr)  # noqa: T201
    else:
        rows.append(page.read_row(page.drive(bundles[0], folder), bundles[0]))
    for engine in TOKENIZER_ENGINES:
        if importlib.util.find_spec(engine) is None:
            print(f"{engine}: left out; pip install {engine}", file=sys.stderr)  # noqa: T201
            continue
        rows += [run_golden(engine, bundle) for bundle in (*(bundles if engine in ENGINES else ()), ids)]
    return rows


def main() -> None:
    """Parses the command line, runs the matrix and prints it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", default=["imdb", "imdb-article"])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--tools", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(collect_tools([find_directory(name) for name in shipped_names()], Path(folder) / "web"))
        for row in rows:
            for name, reason in row.failed.items():
                print(f"{row.tool}: {name}: {reason}", file=sys.stderr)  # noqa: T201
        tables = {(TOOLS_BEGIN, TOOLS_END): format_tools(rows)}
        if not args.tools:
            bundles = [find_directory(bundle) for bundle in args.bundles]
            tables[BEGIN, END] = format_matrix(collect(bundles, Path(folder)))
        if args.write and (screenshot := Path(folder) / page.SCREENSHOT).is_file():
            shutil.copyfile(screenshot, SAMPLES_PATH / "page.png")
    for (begin, end), table in tables.items():
        print(table, end="\n\n")  # noqa: T201
        if args.write:
            before, _, rest = README.read_text(encoding="utf-8").partition(begin)
            README.write_text(f"{before}{begin}{table}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
