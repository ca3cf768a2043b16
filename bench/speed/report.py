"""Writes the measurements of `latency` as Markdown, JSON and a plot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from bench.speed.measure import Cell, Timing
from bench.speed.peers import DEFAULT_GRAPH_NAME, OWN_PREFIX


@dataclass(frozen=True)
class Results:
    """The measurements of one run, and the machine that it ran on.

    Attributes:
        command: The command as it was typed.
        date: The date in ISO format.
        cpu: The processor's name.
        threads: The number of threads of every system.
        cores: The cores that the process was bound to.
        versions: The version of each distribution, by name.
        systems: The names of the systems that were asked for, in the order of the tables.
        absent: The reason why a system was not measured at all, by network and system.
        cells: The measurements, in the order in which they were made.
    """

    command: str
    date: str
    cpu: str
    threads: int
    cores: Sequence[int]
    versions: Mapping[str, str]
    systems: Sequence[str]
    absent: Mapping[str, Mapping[str, str]]
    cells: Sequence[Cell]

    @property
    def subjects(self) -> list[str]:
        """The names of the networks, in the order in which they were measured."""
        return list(dict.fromkeys(cell.subject for cell in self.cells))


def write(results: Results, out: Path, stem: str) -> str:
    """Writes the Markdown, the JSON and the plot into a folder.

    Args:
        results: The measurements.
        out: The folder.
        stem: The names of the files without their suffixes.

    Returns:
        The Markdown.
    """
    out.mkdir(parents=True, exist_ok=True)
    markdown = to_markdown(results)
    document = json.dumps(dataclasses.asdict(results), indent=2, allow_nan=False) + "\n"
    (out / f"{stem}.md").write_text(markdown, encoding="utf-8")
    (out / f"{stem}.json").write_text(document, encoding="utf-8")
    draw(results, out / f"{stem}.png")
    return markdown


def to_markdown(results: Results) -> str:
    """Writes a heading, three tables for each network, and the reasons why cells are missing from them."""
    tools = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [
        f"`{results.command}`, {results.date}, {results.cpu}, threads: {results.threads}.",
        "",
        "Medians of single calls from ids to probabilities, both NumPy arrays. The systems took turns, warm. Each was",
        "compared on the same ids with the reference in float64 before it was timed.",
        "",
        f"Versions: {tools}.",
    ]
    for subject in results.subjects:
        cells = [cell for cell in results.cells if cell.subject == subject]
        errors = {name: _error(name, cells) for name in results.systems}
        lines += ["", f"## {subject}", "", "Milliseconds:", ""]
        lines += _table(results.systems, cells, lambda timing, _: _digits(timing.median_ms), ("max error", errors))
        if any(_best_ms(cell) for cell in cells):
            lines += ["", "Divided by the time of rnnx's fastest form in that column (above 1, rnnx is faster):", ""]
            lines += _table(results.systems, cells, _ratio)
        lines += ["", "From the 10th to the 90th percentile, in milliseconds:", ""]
        lines += _table(results.systems, cells, _spread)
        lines += _missing(results, subject, cells)
    return "\n".join(lines) + "\n"


def _table(
    systems: Sequence[str],
    cells: Sequence[Cell],
    show: Callable[[Timing, Cell], str],
    last: tuple[str, Mapping[str, str]] | None = None,
) -> list[str]:
    """Writes a row for each system and a column for each cell; `last` is a further column, as heading and entries."""
    heads = [f"B{cell.batch} T{cell.time}" for cell in cells] + ([last[0]] if last else [])
    rows = [f"| system | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name in systems:
        if not any(name in cell.timings or name in cell.refused for cell in cells):
            continue
        entries = [show(cell.timings[name], cell) if name in cell.timings else "-" for cell in cells]
        entries += [last[1][name]] if last else []
        rows.append(f"| {name} | {' | '.join(entries)} |")
    return rows


def _error(name: str, cells: Sequence[Cell]) -> str:
    errors = [cell.timings[name].max_abs_diff for cell in cells if name in cell.timings]
    return f"{max(errors):.1e}" if errors else "-"


def _best_ms(cell: Cell) -> float | None:
    """Returns the time of rnnx's fastest form; None if no form was timed."""
    own = [timing.median_ms for name, timing in cell.timings.items() if name.startswith(OWN_PREFIX)]
    return min(own, default=None)


def _ratio(timing: Timing, cell: Cell) -> str:
    best = _best_ms(cell)
    return "-" if best is None else f"{timing.median_ms / best:.2f}"


def _spread(timing: Timing, cell: Cell) -> str:
    return f"{_digits(timing.p10_ms)}..{_digits(timing.p90_ms)}"


def _digits(value: float) -> str:
    """Formats a number with three significant digits, never as a power of ten."""
    decimals = next((places for places, limit in ((3, 1), (2, 10), (1, 100)) if value < limit), 0)
    return f"{value:.{decimals}f}"


def _missing(results: Results, subject: str, cells: Sequence[Cell]) -> list[str]:
    notes = [f"- {name}: {reason}" for name, reason in results.absent.get(subject, {}).items()]
    for cell in cells:
        notes += [f"- {name}, B{cell.batch} T{cell.time}: {reason}" for name, reason in cell.refused.items()]
    return ["", "Not measured:", "", *notes] if notes else []


def draw(results: Results, path: Path) -> None:
    """Plots latency over batch size: a row of panels for each network, a column for each length, a line per system."""
    subjects = results.subjects
    times = sorted({cell.time for cell in results.cells})
    figure = Figure(figsize=(5 * len(times) + 3, 4 * len(subjects)), layout="constrained")
    colors = colormaps["tab20"].colors  # type: ignore[attr-defined]  # a ListedColormap, typed as its base
    lines = {}
    for row, subject in enumerate(subjects):
        for column, time in enumerate(times):
            axes = figure.add_subplot(len(subjects), len(times), row * len(times) + column + 1)
            cells = sorted(
                (cell for cell in results.cells if (cell.subject, cell.time) == (subject, time)),
                key=lambda cell: cell.batch,
            )
            for name, color in zip(results.systems, colors, strict=False):
                points = [(cell.batch, cell.timings[name].median_ms) for cell in cells if name in cell.timings]
                if points:
                    lines[name] = axes.plot(*zip(*points, strict=True), color=color, **_style(name))[0]
            axes.set(title=f"{subject}, {time} steps", xlabel="Batch", ylabel="ms", xscale="log", yscale="log")
            batches = [cell.batch for cell in cells]
            axes.set_xticks(batches, [str(batch) for batch in batches], minor=False)
            axes.minorticks_off()
            axes.grid(alpha=0.3)
    names = [name for name in results.systems if name in lines]
    figure.legend([lines[name] for name in names], names, loc="outside right upper")
    figure.savefig(path, dpi=100)


def _style(name: str) -> dict[str, Any]:
    """Draws rnnx's lines thick, and the graph that they replace dashed."""
    if name.startswith(OWN_PREFIX):
        return {"marker": "o", "linewidth": 3}
    return {"marker": "o", "linewidth": 1, "linestyle": "--" if name == DEFAULT_GRAPH_NAME else "-"}
