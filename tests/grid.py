"""Exports every model of the grid of recurrent models, from a file: each is proved, or refused with its reason.

`python -m tests.grid` runs the whole grid, which takes a quarter of an hour, and then the layers of each family
(`tests.grid_of_parts`), and prints both tables; `--write` puts them into rnnx/export/README.md.
`tests/export/test_grid.py` runs a few cells in which every two settings meet, and a few of the layers.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.forms import build_forms
from rnnx.export.probes import Probes
from rnnx.export.prove import prove
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from tests import grid_of_parts
from tests.keras_files import through_file

README = Path(__file__).parents[1] / "rnnx" / "export" / "README.md"
BEGIN, END = "<!-- grid: begin -->\n", "<!-- grid: end -->\n"

SETTINGS: Mapping[str, Sequence[Any]] = {
    "cell": ("SimpleRNN", "LSTM", "GRU", "GRU, reset before"),
    "direction": ("forward", "backward", "both"),
    "given": ("ids", "numbers"),
    "is_masked": (False, True),
    "return_sequences": (False, True),
    "activation": ("tanh", "relu"),
    "layer_count": (1, 2, 4),
}
_IDS, _FEATURES, _UNITS, _CLASSES = 12, 3, 4, 3


@dataclass(frozen=True)
class Cell:
    """One model of the grid, given by its settings."""

    cell: str
    direction: str
    given: str
    is_masked: bool
    return_sequences: bool
    activation: str
    layer_count: int


@dataclass(frozen=True)
class Outcome:
    """The result of exporting and proving a cell.

    Attributes:
        ratio: The largest ratio of difference to bound, over Keras and every form; None if the cell was refused.
        refusal: The reason of a refusal; empty if the cell was proved.
        operators: The recurrent operators of `model.onnx`.
    """

    ratio: float | None
    refusal: str = ""
    operators: frozenset[str] = frozenset()


def every_cell() -> list[Cell]:
    """Returns all combinations of the settings."""
    return [Cell(*values) for values in itertools.product(*SETTINGS.values())]


def pairwise_cells(seed: int = 0) -> list[Cell]:
    """Returns a few cells in which every two settings meet.

    The choice is greedy: each cell is the one, among those drawn, with the most pairs of settings still missing.
    """
    rng = np.random.default_rng(seed)
    cells = every_cell()
    missing = {pair for cell in cells for pair in _pairs(cell)}
    chosen = []
    while missing:
        drawn = [cells[i] for i in rng.choice(len(cells), 200, replace=False)]
        best = max(drawn, key=lambda cell: len(missing & _pairs(cell)))
        if missing & _pairs(best):
            chosen.append(best)
            missing -= _pairs(best)
    return chosen


def _pairs(cell: Cell) -> set[tuple[tuple[str, Any], ...]]:
    return set(itertools.combinations(dataclasses.asdict(cell).items(), 2))


def make(cell: Cell) -> keras.Model:
    """Builds the model of a cell with random weights."""
    keras.utils.set_random_seed(1)
    is_ids = cell.given == "ids"
    given = keras.Input((None,) if is_ids else (None, _FEATURES), dtype="int32" if is_ids else "float32")
    x = layers.Embedding(_IDS, _FEATURES, mask_zero=cell.is_masked)(given) if is_ids else given
    if cell.is_masked and not is_ids:
        x = layers.Masking()(x)
    for i in range(cell.layer_count):
        x = _recurrent(cell, is_last=i == cell.layer_count - 1)(x)
    return keras.Model(given, layers.Dense(_CLASSES, activation="softmax")(x))


def _recurrent(cell: Cell, *, is_last: bool) -> keras.Layer:
    kind = getattr(layers, cell.cell.partition(",")[0])
    settings: dict[str, Any] = {"reset_after": False} if cell.cell == "GRU, reset before" else {}
    settings |= {"activation": cell.activation, "return_sequences": cell.return_sequences or not is_last}
    if cell.direction == "both":
        return layers.Bidirectional(kind(_UNITS, **settings))
    return kind(_UNITS, go_backwards=cell.direction == "backward", **settings)


def run(cell: Cell) -> Outcome:
    """Saves and loads a cell, builds its forms and proves them; nothing is published.

    Raises:
        AssertionError: If a form was not proved, or has a Loop.
    """
    model = through_file(make(cell))
    try:
        network = read_network(model)
        forms = build_forms(model, network)
    except ModelError as error:
        return Outcome(None, str(error))
    operators = [{node.op_type for node in form.model.graph.node} for form in forms.values()]
    assert not any("Loop" in of_form for of_form in operators), cell
    report = prove(model, network, forms, probes(cell))
    assert report.passed, (cell, report.verdict)
    ratio = max(runtime.worst.ratio or 0.0 for runtime in report.runtimes)
    return Outcome(ratio, operators=frozenset(operators[0] & {"RNN", "LSTM", "GRU"}))


def probes(cell: Cell) -> Probes:
    """Returns the batches on which a cell is proved."""
    rng = np.random.default_rng(2)
    given = rng.integers(1, _IDS, (6, 7)).astype(np.int32)
    if cell.given == "numbers":
        given = rng.standard_normal((6, 7, _FEATURES)).astype(np.float32)
    # Zeros in front, at the end, between, everywhere; they are masked if the network has a mask.
    given[0, :3] = given[1, 4:] = given[2, 1::2] = given[3] = 0
    names = ("in front", "at the end", "between", "everywhere", "nowhere", "nowhere either")
    batches = (ProbeBatch(given, names), ProbeBatch(given[4:5, :1], ("one step",)))
    return Probes(batches, 0, len(names) + 1, batches[0])


def format_table(outcomes: Mapping[Cell, Outcome]) -> str:
    """Formats outcomes as Markdown: how many of how many were proved, and the largest ratio among them."""
    columns = [("ids", False), ("ids", True), ("numbers", False), ("numbers", True)]
    head = " | ".join(f"{given}, {'masked' if is_masked else 'no mask'}" for given, is_masked in columns)
    lines = [f"| layer | direction | {head} |", f"|---|---|{'---:|' * len(columns)}"]
    for kind, direction in itertools.product(SETTINGS["cell"], SETTINGS["direction"]):
        row = [
            [
                outcome
                for cell, outcome in outcomes.items()
                if (cell.cell, cell.direction, cell.given, cell.is_masked) == (kind, direction, *column)
            ]
            for column in columns
        ]
        lines.append(f"| {kind} | {direction} | {' | '.join(map(_format, row))} |")
    return "\n".join(lines)


def _format(outcomes: Iterable[Outcome]) -> str:
    ratios = [outcome.ratio for outcome in outcomes]
    proved = [ratio for ratio in ratios if ratio is not None]
    return f"{len(proved)} of {len(ratios)}, {max(proved, default=0.0):.2f}"


def run_all(cells: Sequence[Cell], record: Path | None) -> dict[Cell, Outcome]:
    """Runs the cells that the record does not hold yet, and adds their outcomes to it."""
    outcomes: dict[Cell, Outcome] = {}
    if record and record.is_file():
        for line in record.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            outcomes[Cell(**row["cell"])] = Outcome(row["ratio"], row["refusal"], frozenset(row["operators"]))
    for cell in cells:
        if cell in outcomes:
            continue
        outcomes[cell] = outcome = run(cell)
        if record:
            row = {"cell": vars(cell), **vars(outcome), "operators": sorted(outcome.operators)}
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return {cell: outcomes[cell] for cell in cells}


def main() -> None:
    """Parses the command line, runs the grid and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--record", type=Path, help="a file of outcomes, from which a later run continues")
    args = parser.parse_args()
    table = format_table(run_all(every_cell(), args.record))
    parts = grid_of_parts.format_table({part: grid_of_parts.run(part) for part in grid_of_parts.every_part()})
    table = f"{table}\n\n{parts}"
    print(table)  # noqa: T201
    if args.write:
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        README.write_text(f"{before}{BEGIN}{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
