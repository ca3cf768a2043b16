"""Tests the front matter of cards: what is known, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import hash_bytes, read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.bundle.front_matter import add_front_matter, shipped_licence, without_front_matter
from rnnx.card.card import save_evaluation, write_card
from rnnx.errors import ModelError
from rnnx.metrics.calibration import measure_calibration
from rnnx.metrics.figures import measure


def front_matter(name: str, record: dict[str, Any] | None = None, **changes: Any) -> str:
    """Returns the front matter of a shipped model whose training or evaluation was changed."""
    bundle = read_directory(find_directory(name))
    assert bundle.config.training
    config = dataclasses.replace(bundle.config, training=dataclasses.replace(bundle.config.training, **changes))
    files = dict(bundle.files)
    if record is not None:
        files["evaluation.json"] = json.dumps(json.loads(files["evaluation.json"]) | record).encode()
    return add_front_matter("", config, files).rstrip("\n")


def test_a_data_set_of_another_size_or_name_is_not_named() -> None:
    assert "datasets:\n  - stanfordnlp/imdb\n" in front_matter("imdb")
    for changes in ({"train_count": 100}, {"dataset": "films"}):
        changed = front_matter("imdb", **changes)
        assert "datasets" not in changed
        assert "language" not in changed
    for record in ({"count": 100}, {"dataset": "films (test part)"}, {"dataset": "imdb"}, {"model_sha256": 64 * "0"}):
        assert "model-index" not in front_matter("imdb", record)


def test_only_a_shipped_model_has_a_licence(bundle_copy: Path) -> None:
    assert shipped_licence(find_directory("imdb")) == "mit"
    assert shipped_licence(find_directory("pos")) == "cc-by-sa-4.0"
    assert shipped_licence(bundle_copy) is None
    assert shipped_licence(bundle_copy.parent / "imdb") is None


def test_front_matter_is_replaced_and_taken_away() -> None:
    bundle = read_directory(find_directory("imdb"))
    card = write_card(bundle.config, bundle.files)
    once = add_front_matter(card, bundle.config, bundle.files)
    assert add_front_matter(once, bundle.config, bundle.files) == once
    assert without_front_matter(once) == card == without_front_matter(card)


@pytest.mark.parametrize("name", ["no", "NULL", "1e3", "caf\xe9 - 3.0", "2024-01-01"])
def test_a_name_is_a_string_in_yaml(name: str) -> None:
    bundle = read_directory(find_directory("imdb"))
    config: ModelConfig = dataclasses.replace(bundle.config, name=name)
    assert f'\n  - name: "{name}"\n' in add_front_matter("", config, bundle.files)


def test_a_broken_evaluation_is_one_error() -> None:
    bundle = read_directory(find_directory("imdb"))
    record = {"model_sha256": hash_bytes(bundle["model.onnx"]), "dataset": "imdb (test part)"}
    for data in (b"[", b"[1]", b"{}x", json.dumps(record).encode()):
        with pytest.raises(ModelError, match="its evaluation is broken"):
            add_front_matter("", bundle.config, {**bundle.files, "evaluation.json": data})


def test_a_saved_evaluation_writes_the_front_matter(bundle_copy: Path) -> None:
    labels = read_directory(bundle_copy).config.labels
    ids, probs = np.array([0, 1]), np.eye(2)
    save_evaluation(bundle_copy, "films", measure(ids, ids, labels, measure_calibration(probs, ids, ids)))
    card = (bundle_copy / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: onnx\npipeline_tag: text-classification\n")
    assert "metrics:\n  - accuracy\n" in card
