"""Tests what the card says about an evaluation, recorded by this version or an earlier one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.card.card import write_card
from rnnx.card.card_kinds import card_kind
from rnnx.card.evaluation_card import describe_evaluation
from rnnx.errors import ModelError
from rnnx.metrics.calibration import measure_calibration
from rnnx.metrics.figures import measure, measure_lengths


def config_of(name: str) -> ModelConfig:
    return read_directory(find_directory(name)).config


def record_of(config: ModelConfig, dataset: str) -> dict[str, Any]:
    """Returns the record of an evaluation with one example per label.

    Each prediction has the probability 0.9, and all but the first are right. The lengths are 1, 2, and so on; the last
    example was truncated.
    """
    count = len(config.labels)
    expected, actual = np.arange(count), np.array([1, *range(1, count)])
    probs = np.full((count, count), 0.1 / (count - 1))
    probs[np.arange(count), actual] = 0.9
    tokens = np.arange(1, count + 1)
    figures = measure(
        expected,
        actual,
        config.labels,
        measure_calibration(probs, expected, actual),
        measure_lengths(tokens, tokens == count, expected == actual),
    )
    record = {"dataset": dataset, "model_sha256": 64 * "0", **dataclasses.asdict(figures)}
    return json.loads(json.dumps(record, allow_nan=False))  # type: ignore[no-any-return]  # the record again


def test_the_card_shows_calibration_and_accuracy_by_length() -> None:
    config = config_of("imdb")
    section = describe_evaluation(card_kind(config), record_of(config, "imdb (test part)"))
    assert "`rnnx evaluate imdb imdb --save`" in section
    assert "| tokens | accuracy | texts |" in section
    assert "| 1 | 0.0000 | 1 |\n| 2, cut: longer than the model reads | 1.0000 | 1 |" in section
    assert "Expected calibration error **0.4000**" in section
    # -(ln 0.1 + ln 0.9) / 2, and (0.9^2 + 0.1^2) / 2
    assert "Negative log likelihood 1.2040 nats; Brier score 0.4100" in section
    assert section.endswith("| predicted probability | mean | correct | texts |\n|---:|---:|---:|---:|\n"
                            "| 0.867 to 0.933 | 0.9000 | 0.5000 | 2 |")  # fmt: skip


def test_the_command_names_the_training_part() -> None:
    config = config_of("imdb")
    section = describe_evaluation(card_kind(config), record_of(config, "imdb (train part)"))
    assert "`rnnx evaluate imdb imdb --part train --save`" in section


def test_the_card_of_a_tagger_has_bins_but_no_likelihood_and_no_lengths() -> None:
    config = config_of("pos")
    record = record_of(config, "en_ewt-ud (test part)")
    record["calibration"] |= {"negative_log_likelihood": None, "brier_score": None}
    record["by_length"] = []
    section = describe_evaluation(card_kind(config), record)
    assert "Expected calibration error" in section
    assert "| predicted probability | mean | correct | words |" in section
    assert "likelihood" not in section
    assert "By length" not in section


def test_the_card_shows_the_fitted_temperature() -> None:
    bundle = read_directory(find_directory("imdb-article"))
    calibration = record_of(bundle.config, "imdb")["calibration"]
    better = calibration | {"expected_calibration_error": 0.0123}
    metrics = json.loads(bundle["metrics.json"]) | {
        "temperature": 1.5,
        "validation_calibration": {"before": calibration, "after": better},
    }
    card = write_card(bundle.config, {**bundle.files, "metrics.json": json.dumps(metrics).encode()})
    assert "divided the logits by a temperature of 1.5000, fitted on the validation texts" in card
    assert "| expected calibration error | 0.4000 | 0.0123 |\n| negative log likelihood | 1.2040 | 1.2040 |" in card
    assert "temperature" not in write_card(bundle.config, bundle.files)


@pytest.mark.parametrize("name", ["imdb", "pos"])
def test_an_evaluation_of_an_earlier_version_can_be_shown(name: str) -> None:
    bundle = read_directory(find_directory(name))
    record = json.loads(bundle["evaluation.json"])
    record.pop("calibration", None)
    record.pop("by_length", None)
    card = write_card(bundle.config, {**bundle.files, "evaluation.json": json.dumps(record).encode()})
    assert f"**{record['accuracy']:.4f}** on" in card
    assert "### Calibration" not in card
    assert "By length" not in card


def test_a_broken_evaluation_is_a_model_error() -> None:
    bundle = read_directory(find_directory("imdb"))
    record = json.loads(bundle["evaluation.json"]) | {"by_length": [{"shortest": 1}]}
    with pytest.raises(ModelError, match="its history, evaluation or proof is broken"):
        write_card(bundle.config, {**bundle.files, "evaluation.json": json.dumps(record).encode()})
