"""Tests cells of the grid of recurrent models, and layers of each family: proved, or refused with a reason."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from tests import grid_of_parts
from tests.grid import BEGIN, END, README, SETTINGS, Cell, every_cell, pairwise_cells, run
from tests.grid_of_parts import FAMILIES, KINDS, Part, every_part

pytestmark = pytest.mark.train

CELLS = pairwise_cells()
# A layer of some families, with one kind of recurrence; tests/keras_models has the layers of the others.
PARTS = [
    Part(family, 0, kind, is_masked=True)
    for family, kind in zip(("cells", "operations", "unsupported"), KINDS, strict=True)
]
TABLES = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].split("\n\n")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, vars(cell).values())))
def test_a_cell_is_proved(cell: Cell) -> None:
    outcome = run(cell)
    assert outcome.refusal == ""
    assert outcome.ratio is not None
    assert outcome.ratio <= 1
    native = {"SimpleRNN": "RNN", "LSTM": "LSTM"}.get(cell.cell, "GRU")
    assert outcome.operators == {native}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.family}-{part.kind}")
def test_a_layer_is_proved_or_refused_with_its_reason(part: Part) -> None:
    ratio, refusal = grid_of_parts.run(part)
    if part.family == "unsupported":
        assert "has the activation 'hard_shrink'" in refusal
        assert refusal.startswith("layer ")
        return
    assert refusal == ""
    assert ratio is not None
    assert ratio <= 1


def test_the_table_in_the_readme_is_complete_and_shows_no_failure() -> None:
    rows = re.findall(r"^\| (.*?) \| (\w+) \| (.*) \|$", TABLES[0], re.MULTILINE)[1:]
    assert [(cell, direction) for cell, direction, _ in rows] == [
        (cell, direction) for cell in SETTINGS["cell"] for direction in SETTINGS["direction"]
    ]
    proved, of = zip(*[pair for *_, cells in rows for pair in re.findall(r"(\d+) of (\d+)", cells)], strict=True)
    assert proved == of
    assert sum(map(int, of)) == len(every_cell())


def test_the_table_of_layers_in_the_readme_is_complete_and_shows_no_failure() -> None:
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", TABLES[1], re.MULTILINE)[1:]
    assert [family for family, _ in rows] == list(FAMILIES)
    for family, cells in rows:
        pairs = [tuple(map(int, pair)) for pair in re.findall(r"(\d+) of (\d+)", cells)]
        count = len(FAMILIES[family])
        assert pairs == [(0 if family == "unsupported" else count, count)] * len(KINDS)
    refused, of = map(int, re.findall(r"^Refused: (\d+) of (\d+) models", TABLES[2], re.MULTILINE)[0])
    assert of == len(every_part())
    assert refused == sum(part.family == "unsupported" for part in every_part())
