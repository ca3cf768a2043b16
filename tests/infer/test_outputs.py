"""Tests that outputs that do not fit the config are refused, since the file of a stranger may put out anything."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import InputConfig, OutputConfig
from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.errors import ModelError
from rnnx.infer.outputs import require_outputs
from rnnx.infer.stream import Stream

CONFIG = read_directory(find_directory("imdb-article")).config
TAGGER = dataclasses.replace(CONFIG, task="tagging", outputs=(OutputConfig("probs", (None, 1)),))
POOLED = dataclasses.replace(CONFIG, task="values", labels=(), outputs=(OutputConfig("probs", (None, 1)),))
RIGHT = np.ones((3, 1), np.float32)


def test_right_outputs_are_returned_as_the_config_lists_them() -> None:
    assert list(require_outputs(CONFIG, {"more": 1, "probs": RIGHT}, 3, 5)) == ["probs"]
    assert require_outputs(TAGGER, {"probs": np.ones((3, 5, 1), np.float32)}, 3, 5)["probs"].shape == (3, 5, 1)
    assert require_outputs(POOLED, {"probs": np.ones((3, 2, 1), np.float32)}, 3, 5)["probs"].shape == (3, 2, 1)


@pytest.mark.parametrize(
    ("config", "values", "found"),
    [
        (CONFIG, RIGHT[:2], r"float32 \(2, 1\)"),
        (CONFIG, RIGHT[:, 0], r"float32 \(3,\)"),
        (CONFIG, RIGHT[:, :0], r"float32 \(3, 0\)"),
        (CONFIG, RIGHT.astype(np.int64), r"int64 \(3, 1\)"),
        (CONFIG, np.full((3, 1), "a", object), r"object \(3, 1\)"),
        (CONFIG, [RIGHT], "missing, or not an array"),
        (CONFIG, None, "missing, or not an array"),
        (TAGGER, np.ones((3, 4, 1), np.float32), r"float32 \(3, 4, 1\)"),
    ],
)
def test_other_outputs_are_refused(config: Any, values: Any, found: str) -> None:
    with pytest.raises(ModelError, match=rf"output 'probs' should be float32 \(3, .*, and is {found}"):
        require_outputs(config, {"probs": values}, 3, 5)


@pytest.mark.parametrize("value", [-0.07, 1.07, np.inf])
def test_a_value_that_is_not_a_probability_is_refused(value: float) -> None:
    values = np.array([[0.5], [value], [0.5]], np.float32)
    with pytest.raises(ModelError, match="should hold probabilities, and has"):
        require_outputs(CONFIG, {"probs": values}, 3, 5)
    assert require_outputs(POOLED, {"probs": values[:, :, None]}, 3, 5)
    assert require_outputs(CONFIG, {"probs": np.full((3, 1), np.nan, np.float32)}, 3, 5)


def test_a_config_without_outputs_is_refused() -> None:
    with pytest.raises(ModelError, match="names no outputs"):
        require_outputs(dataclasses.replace(CONFIG, outputs=()), {}, 3, 5)


def stream_of(shape: list[Any], config: Any = TAGGER) -> Stream:
    session: Any = SimpleNamespace(
        input_names=["ids", "h_in"], output_names=["probs", "h_out"], input_shapes={"h_in": shape}
    )
    return Stream(session, config, None)


@pytest.mark.parametrize("shape", [[], ["batch"], ["batch", "units"], ["batch", 0], ["batch", 1 << 30], [1, 2, 3]])
def test_a_state_without_a_size_is_refused(shape: list[Any]) -> None:
    with pytest.raises(ModelError, match=r"has no size for its state 'h'"):
        stream_of(shape)


def test_a_state_that_changes_its_shape_is_refused() -> None:
    config = dataclasses.replace(TAGGER, inputs=(InputConfig("ids", "ids", (None,), 9),))
    stream = stream_of(["batch", 4], config)
    results = {"probs": np.ones((1, 2, 1), np.float32), "h_out": np.ones((1, 3), np.float32)}
    stream._session.run_by_name = lambda given: results  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="states of another shape than it takes"):
        stream.feed([1, 2])
    with pytest.raises(ModelError, match="names no inputs"):
        stream_of(["batch", 4], dataclasses.replace(TAGGER, inputs=()))
    with pytest.raises(ModelError, match="fixed time of 2 for ids, and a stream has none"):
        stream_of(["batch", 4], dataclasses.replace(TAGGER, inputs=(InputConfig("ids", "ids", (2,), 9),)))
