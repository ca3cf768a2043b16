"""Tests that the shipped bundles are complete and proved, described by their own figures, and still reproducible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.directory import hash_bytes, read_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.bundle.front_matter import add_front_matter, shipped_licence
from rnnx.card.card import write_card
from rnnx.proof.verify import REFERENCE_TOLERANCE

NAMES = shipped_names()


def test_the_shipped_bundles_are_these() -> None:
    assert NAMES == ["imdb", "imdb-article", "pos"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_complete_and_proved(name: str) -> None:
    bundle = read_directory(find_directory(name))
    assert bundle.config.name == name
    assert sorted(p.relative_to(bundle.path).as_posix() for p in bundle.path.rglob("*.*")) == sorted(
        [*bundle.files, "config.json"]
    )
    assert json.loads(bundle["parity.json"])["passed"] is True
    assert all(len(data) < 8_000_000 for name, data in bundle.files.items() if name.endswith(".onnx"))


@pytest.mark.parametrize("name", NAMES)
def test_a_card_follows_from_the_other_files(name: str) -> None:
    bundle = read_directory(find_directory(name))
    card = write_card(bundle.config, bundle.files)
    card = add_front_matter(card, bundle.config, bundle.files, shipped_licence(bundle.path))
    assert bundle["README.md"].decode() == card
    evaluation = json.loads(bundle["evaluation.json"])
    assert evaluation["model_sha256"] == hash_bytes(bundle["model.onnx"])
    count, unit = (25_094, "words") if name == "pos" else (25_000, "texts")
    assert evaluation["count"] == count
    assert f"**{evaluation['accuracy']:.4f}** on {count:,} {unit}" in bundle["README.md"].decode()


def test_the_promised_accuracies_are_reached() -> None:
    assert json.loads(read_directory(find_directory("imdb"))["evaluation.json"])["accuracy"] >= 0.86
    assert json.loads(read_directory(find_directory("pos"))["evaluation.json"])["accuracy"] >= 0.94
    history = json.loads(read_directory(find_directory("imdb-article"))["history.json"])
    assert len(history) <= 10
    assert max(epoch["validation_accuracy"] for epoch in history) >= 0.82


def test_the_tagger_names_its_treebank_and_tags() -> None:
    card = read_directory(find_directory("pos"))["README.md"].decode()
    assert "Universal Dependencies English Web Treebank" in card
    assert "CC BY-SA 4.0" in card
    tagging = rnnx.load("pos").tag(["They", "didn't", "see", "the", "old", "station", "in", "London", "."])
    tags = [word.tag for word in tagging.words]
    assert tags[:1] + tags[2:] == ["PRON", "VERB", "DET", "ADJ", "NOUN", "ADP", "PROPN", "PUNCT"]


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_can_be_exported_again(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.export.pipeline import export

    exported = export(name, tmp_path / "again")
    assert exported.report.passed
    assert exported.report.text_count >= 13
    recorded, made = (read_directory(path)["golden.json"] for path in (find_directory(name), exported.path))
    assert_alike(json.loads(recorded), json.loads(made))


def assert_alike(recorded: Any, made: Any, key: str = "") -> None:
    """Compares two JSON documents; fractions may differ, because processors add in different orders."""
    assert type(recorded) is type(made)
    if isinstance(recorded, dict):
        assert recorded.keys() == made.keys()
        for name, value in recorded.items():
            assert_alike(value, made[name], name)
    elif isinstance(recorded, list):
        assert len(recorded) == len(made)
        for pair in zip(recorded, made, strict=True):
            assert_alike(*pair)
    elif isinstance(recorded, float) and key == "tolerance":
        assert made <= recorded * (1 + 1e-6)  # the bounds of a later version may be sharper, never wider
    elif isinstance(recorded, float):
        assert abs(recorded - made) <= REFERENCE_TOLERANCE
        assert recorded == pytest.approx(
            made, rel=1e-6, abs=0
        )  # a relative limit, because recorded tolerances are small
    else:
        assert recorded == made
