"""Tests cells of the grid of recurrent models: each is proved, or refused with its reason."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from tests.grid import BEGIN, END, README, REFUSED, SETTINGS, Cell, every_cell, pairwise_cells, run

pytestmark = pytest.mark.train

CELLS = pairwise_cells()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, vars(cell).values())))
def test_a_cell_is_proved_or_refused_with_its_reason(cell: Cell) -> None:
    outcome = run(cell)
    if cell.activation in REFUSED:
        assert REFUSED[cell.activation] in outcome.refusal
        assert outcome.refusal.startswith("layer ")
        return
    assert outcome.refusal == ""
    assert outcome.ratio is not None
    assert outcome.ratio <= 1
    native = {"SimpleRNN": "RNN", "LSTM": "LSTM"}.get(cell.cell, "GRU")
    assert outcome.operators == {native}


def test_the_table_in_the_readme_is_complete_and_shows_no_failure() -> None:
    table = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = re.findall(r"^\| (.*?) \| (\w+) \| (.*) \|$", table, re.MULTILINE)[1:]
    assert [(cell, direction) for cell, direction, _ in rows] == [
        (cell, direction) for cell in SETTINGS["cell"] for direction in SETTINGS["direction"]
    ]
    proved = [int(n) for *_, cells in rows for n in re.findall(r"(\d+) of \d+", cells)]
    of = [int(n) for *_, cells in rows for n in re.findall(r"\d+ of (\d+)", cells)]
    refused = int(re.findall(r"^Refused: (\d+) of", table, re.MULTILINE)[0])
    assert proved == of
    assert sum(of) + refused == len(every_cell())
    assert refused == sum(cell.activation in REFUSED for cell in every_cell())
