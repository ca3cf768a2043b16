"""Tests that the page does what it says in a real browser, and gives the answers of the reference."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.directory import read_directory
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch
from tests.runtimes.page import LONG_WORDS, big_text, drive, missing, read_row
from tests.runtimes.samples import Row

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]


@pytest.fixture(scope="module")
def seen(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if absent := missing():
        pytest.skip(f"needs {absent}")
    return drive(bundles[0], tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def rows(bundles: list[Path]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((bundles[0] / "golden.json").read_bytes())
    return found


def is_answer(row: dict[str, Any], answer: dict[str, Any], labels: tuple[str, ...]) -> bool:
    expected = np.array(row["text_probs"])
    is_near = np.abs(expected - answer["probs"]).max() <= row["tolerance"]
    return bool(is_near) and answer["label"] == labels[int(expected.argmax())]


def test_the_page_gives_the_answers_of_the_reference(
    seen: dict[str, Any], rows: list[dict[str, Any]], bundles: list[Path]
) -> None:
    labels = read_directory(bundles[0]).config.labels
    assert len(seen["typed"]) == 5
    for row, answer in zip(rows, seen["typed"], strict=False):
        assert is_answer(row, answer, labels), row["text"]
    no_utf8 = next(row for row in rows if b"\xff\xfe" in bytes.fromhex(row["bytes"]))
    assert is_answer(no_utf8, seen["file"], labels)
    assert is_answer(no_utf8, seen["chosen"], labels)
    empty = next(row for row in rows if row["bytes"] == "")
    assert is_answer(empty, seen["empty"], labels)
    assert seen["emptyWay"] is False
    assert seen["emptyFacts"].startswith("No word yet: this is the answer to an empty text; ")


def test_the_snippet_of_the_card_runs_in_the_browser(seen: dict[str, Any], bundles: list[Path]) -> None:
    (expected,) = Session((bundles[0] / "model.text.onnx").read_bytes(), device="cpu").run(
        to_batch([b"A wonderful film."])
    )
    np.testing.assert_allclose(expected[0], [float(word) for word in seen["snippet"].split()], rtol=0, atol=1e-6)


def test_a_megabyte_is_answered(seen: dict[str, Any], bundles: list[Path]) -> None:
    (expected,) = Session((bundles[0] / "model.text.onnx").read_bytes(), device="cpu").run(to_batch([big_text()]))
    np.testing.assert_allclose(expected[0], seen["big"]["probs"], rtol=0, atol=1e-6)


def test_golden_vectors_pass_in_the_browser(
    seen: dict[str, Any], rows: list[dict[str, Any]], matrix: list[Row], bundles: list[Path]
) -> None:
    row = read_row(seen, bundles[0])
    assert row.right == row.count == 2 * len(rows)
    matrix.append(row)


def test_the_page_sends_nothing_to_other_machines(seen: dict[str, Any]) -> None:
    assert seen["foreign"] == []
    assert seen["posts"] == []
    assert seen["errors"] == []


def test_the_loaded_page_works_offline(seen: dict[str, Any]) -> None:
    assert seen["offline"]["probs"] == pytest.approx(seen["typed"][0]["probs"], abs=1e-6)


def test_each_keystroke_runs_the_model_once(seen: dict[str, Any]) -> None:
    """The median should be below 50 ms on an idle machine; it is printed, but not asserted."""
    assert len(seen["keystrokes"]) == 30
    assert seen["keystrokeAnswers"] == 30
    print(f"a keystroke in 500 words is answered in {statistics.median(seen['keystrokes']):.0f} ms")  # noqa: T201


def test_the_page_shows_the_answer_after_each_word(seen: dict[str, Any]) -> None:
    assert seen["longWay"]["points"] == LONG_WORDS
    assert re.match(r"Word 506: “watch” (up|down) ", seen["longWay"]["last"])
    assert seen["start"]["movers"] == 5


def test_the_page_works_with_keyboard_and_screen_reader(seen: dict[str, Any]) -> None:
    assert seen["focused"] == "text"  # the field of the text comes after the buttons
    before, after = seen["position"]
    assert before.startswith("Word ")
    assert after != before
    assert seen["names"] == {"text": "Your text", "file": "Open a file", "position": "Word by word"}
    assert seen["live"] == "polite"


def test_a_screen_reader_hears_each_part(seen: dict[str, Any]) -> None:
    outline = seen["outline"]
    for part in (
        'heading "Text in, probability out" [level=1]',
        'textbox "Your text"',
        'button "Open a file"',
        'button "Clear"',
        'region "Answer"',
        'meter "neg"',
        'meter "pos"',
        'heading "How the probability of “pos” moved" [level=2]',
        'slider "Word by word"',
        'group "The text; stronger colour where a word moved the probability more"',
    ):
        assert f"- {part}" in outline, outline


def test_a_long_text_fits_on_a_small_and_a_large_window(seen: dict[str, Any]) -> None:
    assert len(seen["overflow"]) == 4
    assert max(seen["overflow"]) <= 0
    assert seen["isShown"] is True  # the word that the slider is at


def test_a_model_that_cannot_be_fetched_is_one_line(seen: dict[str, Any]) -> None:
    first, later = seen["failure"]
    assert re.match(r"Something failed: cannot fetch \S+model\.text\S*\.onnx: ", first)
    assert later == first  # to a text that is typed then, too


def test_the_page_has_a_light_and_a_dark_scheme(seen: dict[str, Any]) -> None:
    dark, light = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in seen["backgrounds"])
    assert dark < 150
    assert light > 600
