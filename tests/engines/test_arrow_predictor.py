"""Tests record batches in, record batches with the answers out."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.engines import ArrowPredictor
from rnnx.engines.model_copies import load_once
from rnnx.errors import DataError, ModelError, UsageError

pa = pytest.importorskip("pyarrow", reason="needs the [tables] extra")

TEXTS = [b"A wonderful film.", b"", b"not UTF-8: caf\xe9 \xff, awful", b"Two hours I will not get back."]
ROOT = Path(rnnx.__file__).parents[1]


def batch_of(column: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.array(range(len(column)), pa.int64()), column], names=["id", "text"])


def column_of(kind: Any, texts: Sequence[bytes | None]) -> Any:
    """A column of texts that need not be UTF-8, as engines make them."""
    if pa.types.is_dictionary(kind):
        column = column_of(kind.value_type, sorted({text for text in texts if text is not None}))
        places = {text: i for i, text in enumerate(sorted({text for text in texts if text is not None}))}
        indices = pa.array([None if text is None else places[text] for text in texts], kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, column)
    steps = {
        pa.string(): [pa.binary()],
        pa.large_string(): [pa.large_binary()],
        pa.string_view(): [pa.binary(), pa.binary_view()],
    }.get(kind, [kind])
    column = pa.array(texts, steps[0])
    for step in steps[1:]:
        column = column.cast(step)
    return column.view(kind)


KINDS = [
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view()),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.binary())),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_each_type_of_texts_gives_the_answers_of_predict(kind: Any) -> None:
    expected = rnnx.load("imdb").predict(TEXTS)
    batch = batch_of(column_of(kind, [None, *TEXTS, None]))
    answers = ArrowPredictor("imdb")(batch)
    assert answers.schema.names == ["id", "text", "label", "probability", "probabilities", "error"]
    assert [answers.column(i).equals(batch.column(i)) for i in (0, 1)] == [True, True]
    assert answers["label"].to_pylist()[1:-1] == [prediction.label for prediction in expected]
    assert answers["probability"].to_pylist()[1:-1] == [prediction.probability for prediction in expected]
    assert answers["probabilities"].to_pylist()[1:-1] == [prediction.probs for prediction in expected]
    assert answers["error"].to_pylist() == ["no text", None, None, None, None, "no text"]
    assert answers["label"].null_count == answers["probabilities"].null_count == 2


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_slice_of_a_batch_is_answered(count: int) -> None:
    texts: list[bytes | None] = [*TEXTS]
    batch = batch_of(column_of(pa.string(), texts)).slice(1, count)
    answers = ArrowPredictor("imdb")(batch)
    assert answers["label"].to_pylist() == [p.label for p in rnnx.load("imdb").predict(TEXTS[1 : 1 + count])]
    assert answers.schema == ArrowPredictor("imdb").schema(batch.schema)


@pytest.mark.parametrize("sizes", [(), (0,), (2, 0, 1)])
def test_a_table_is_answered_as_its_batches_are(sizes: Sequence[int]) -> None:
    schema = batch_of(column_of(pa.string(), [])).schema
    batches = [batch_of(column_of(pa.string(), TEXTS[:size])) for size in sizes]
    answer = ArrowPredictor("imdb")
    answers = answer(pa.Table.from_batches(batches, schema))
    assert answers.equals(pa.Table.from_batches(map(answer, batches), answer.schema(schema)))
    assert answers.num_rows == sum(sizes)


def test_a_text_of_10_mb_gets_the_answer_of_predict() -> None:
    text = b"I hated it. " * 870_000 + b"In the end it was wonderful. \xff"
    answers = ArrowPredictor("imdb")(batch_of(pa.array([b"good", text, b"\xef\xbb\xbf" + text])))
    expected = rnnx.load("imdb").predict([b"good", text, b"\xef\xbb\xbf" + text])
    assert answers["probability"].to_pylist() == [prediction.probability for prediction in expected]


def test_zero_bytes_are_an_error_of_their_row() -> None:
    answers = ArrowPredictor("imdb")(batch_of(pa.array([b"good", b"a\0b"])))
    assert answers["label"].to_pylist() == ["pos", None]
    assert "zero byte" in answers["error"].to_pylist()[1]


def test_a_name_that_is_taken_gets_another_one() -> None:
    batch = pa.RecordBatch.from_pydict({"label": ["x"], "review": ["good"], "predicted_label": ["y"]})
    answers = ArrowPredictor("imdb", "review")(batch)
    assert answers.schema.names[3:] == ["predicted_predicted_label", "probability", "probabilities", "error"]


def test_wrong_columns_and_models_are_errors() -> None:
    with pytest.raises(DataError, match=r"no column 'text'; the columns are 'a'"):
        ArrowPredictor("imdb")(pa.RecordBatch.from_pydict({"a": ["x"]}))
    with pytest.raises(DataError, match="should hold texts, not int64"):
        ArrowPredictor("imdb", "a")(pa.RecordBatch.from_pydict({"a": [1]}))
    with pytest.raises(UsageError, match="does not label texts"):
        ArrowPredictor("pos")


def test_two_models_in_turn_are_never_mixed_up(tmp_path: Path) -> None:
    """A worker serves two jobs; even a path that holds another model by now is not taken for the first one."""
    path = tmp_path / "model"
    shutil.copytree(ROOT / "exported" / "imdb", path)
    first = ArrowPredictor(path)
    batch = batch_of(column_of(pa.string(), [*TEXTS]))
    expected = {name: ArrowPredictor(name)(batch) for name in ("imdb", "imdb-article")}
    assert expected["imdb"] != expected["imdb-article"]
    assert first(batch) == expected["imdb"]
    shutil.rmtree(path)
    shutil.copytree(ROOT / "exported" / "imdb-article", path)
    second = ArrowPredictor(path)
    for _ in range(2):
        assert second(batch) == expected["imdb-article"]
        assert first(batch) == expected["imdb"]  # this process has it already
    load_once.cache_clear()
    with pytest.raises(ModelError, match="not the model that was asked for"):
        first(batch)


def test_it_is_small_when_pickled_and_loads_one_thread(tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(ROOT / "exported" / "imdb", path)
    predictor = ArrowPredictor(path)
    data = pickle.dumps(predictor)
    assert len(data) < 10_000
    other = pickle.loads(data)  # noqa: S301  # ours
    assert load_once(other.copy)._threads == 1


def test_a_model_is_found_in_the_working_directory_of_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "here" / "model"
    shutil.copytree(ROOT / "exported" / "imdb-article", path)
    predictor = ArrowPredictor(path)
    (tmp_path / "there").mkdir()
    shutil.move(path, tmp_path / "there" / "model")
    monkeypatch.chdir(tmp_path / "there")
    load_once.cache_clear()
    assert predictor(batch_of(pa.array(["good"])))["label"].to_pylist() == ["pos"]


def test_rnnx_stays_without_pyarrow() -> None:
    code = "import sys, rnnx, rnnx.engines; rnnx.load('imdb'); sys.exit('pyarrow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603  # our own code
