"""Tests which thresholds a config of several labels may have, and that other configs do not mention them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rnnx.bundle.config import ModelConfig, TokenizerConfig
from rnnx.strict_json import from_json, to_json

CONFIG = ModelConfig(
    name="emotions",
    labels=("joy", "fear"),
    output_size=2,
    vocabulary_size=10,
    tokenizer=TokenizerConfig(10, True, True, "batch", "left", "left"),
    architecture=(),
    parameter_count=1,
    training=None,
    tools={},
    task="multilabel",
    thresholds=(0.25, 0.5),
)


def test_the_thresholds_are_read_back() -> None:
    assert from_json(ModelConfig, to_json(CONFIG)) == CONFIG


def test_other_tasks_do_not_mention_thresholds() -> None:
    text = to_json(dataclasses.replace(CONFIG, task="classification", thresholds=()))
    assert "thresholds" not in text
    assert "best_validation_f1" not in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": (0.5,)}, "an output and a threshold for each of 2 labels"),
        ({"output_size": 1}, "an output and a threshold for each of 2 labels"),
        ({"thresholds": (0.5, 1.0)}, "above 0 and below 1, not 1.0"),
        ({"thresholds": (0.0, 0.5)}, "above 0 and below 1, not 0.0"),
        ({"thresholds": (float("nan"), 0.5)}, "above 0 and below 1, not nan"),
        ({"task": "classification"}, "thresholds are not allowed for the task classification"),
        ({"labels": ("joy",), "thresholds": (0.5,)}, "labels should be two or more different names"),
    ],
)
def test_other_thresholds_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
