"""Tests that a wrong argument of the Python interface is an error that names it and the allowed values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnx
from rnnx.errors import DataError, UsageError

BAD_COUNTS: list[Any] = [0, -1, 1.5, 2.0, "64", True, float("nan"), [1]]
BAD_THRESHOLDS: list[Any] = [-0.1, 1.1, float("nan"), float("inf"), "0.5", None, [0.5], 1j]
BAD_INPUTS: list[Any] = [None, 5, 1.5, object()]


@pytest.mark.parametrize("device", ["tpu", "CUDA", "", None, 0, ["cpu"]])
def test_an_unknown_device_is_named_with_the_allowed_ones(tiny_bundle: Path, device: Any) -> None:
    with pytest.raises(UsageError, match="device should be auto, cpu, cuda, not"):
        rnnx.load(tiny_bundle, device=device)


@pytest.mark.parametrize("value", BAD_COUNTS)
@pytest.mark.parametrize("name", ["batch_size", "threads"])
def test_a_wrong_count_is_named_with_the_allowed_ones(tiny_bundle: Path, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} should be an integer of at least 1"):
        rnnx.load(tiny_bundle, **{name: value})


@pytest.mark.parametrize("value", [1, np.int64(3), 10**6, 2**63, 10**30])
def test_any_positive_integer_is_a_count(tiny_bundle: Path, value: Any) -> None:
    texts = ["fine", "awful film", "", "so so"]
    predictor = rnnx.load(tiny_bundle, batch_size=value, threads=value)
    assert [p.label for p in predictor.predict(texts)] == [p.label for p in rnnx.load(tiny_bundle).predict(texts)]


@pytest.mark.parametrize("value", BAD_THRESHOLDS)
def test_a_wrong_threshold_is_named_with_the_allowed_range(streaming_bundle: Path, value: Any) -> None:
    predictor = rnnx.load(streaming_bundle)
    for call in (
        lambda: predictor.predict(["fine"], threshold=value),
        lambda: list(predictor.predict_stream(["fine"], threshold=value)),
        lambda: list(predictor.predict_windows([["fine"]], threshold=value)),
        lambda: predictor.stream(threshold=value),
    ):
        with pytest.raises(UsageError, match="threshold should be a number in 0"):
            call()


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5)])
def test_a_number_in_the_range_is_a_threshold(tiny_bundle: Path, value: Any) -> None:
    assert len(rnnx.load(tiny_bundle).predict(["fine"], threshold=value)) == 1


@pytest.mark.parametrize("inputs", BAD_INPUTS)
@pytest.mark.parametrize("model", ["imdb-article", "pos", "sensor"])
def test_inputs_that_are_no_list_are_an_error_that_says_what_to_give(
    model: str, inputs: Any, stream_bundles: dict[str, Path]
) -> None:
    with pytest.raises(TypeError, match=r"predict takes an iterable of (texts|sequences)"):
        rnnx.load(stream_bundles.get(model, model)).predict(inputs)


@pytest.mark.parametrize("model", ["imdb-article", "pos", "sensor"])
def test_a_single_text_is_an_error_that_says_what_to_give(model: str, stream_bundles: dict[str, Path]) -> None:
    predictor = rnnx.load(stream_bundles.get(model, model))
    for text in ("text", b"text", ""):
        with pytest.raises((TypeError, DataError), match=r"put a single one into a list|not texts"):
            predictor.predict(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["imdb-article", "pos"])
def test_keys_and_names_of_columns_are_not_taken_for_texts(model: str) -> None:
    class DataFrame:
        columns = ("text", "label")

        def __iter__(self) -> Iterator[str]:
            return iter(self.columns)

    predictor = rnnx.load(model)
    tables: tuple[Any, ...] = ({"text": "a wonderful film"}, DataFrame())
    for inputs in tables:
        with pytest.raises(TypeError, match=rf"not {type(inputs).__name__}; give the list or the column that holds"):
            predictor.predict(inputs)


@pytest.mark.parametrize("model", ["imdb-article", "pos", "sensor", "ids"])
@pytest.mark.parametrize(
    "nothing", [[], (), iter(()), np.zeros((0, 5, 3), np.float32)], ids=["list", "tuple", "iterator", "array"]
)
def test_no_inputs_have_no_answers(model: str, nothing: Any, stream_bundles: dict[str, Path]) -> None:
    assert rnnx.load(stream_bundles.get(model, model)).predict(nothing) == []
