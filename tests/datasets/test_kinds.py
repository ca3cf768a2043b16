from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.config import ModelKind
from rnnx.datasets import DESCRIPTIONS, kind_of, load_any
from tests.sensors import save
from tests.texts import make_texts
from tests.treebank import make_sentences, to_conllu


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("imdb", "texts"),
        ("reviews", "texts"),
        ("a.conllu.csv", "texts"),
        ("npz", "texts"),
        ("en_ewt-ud-train.conllu", "sentences"),
        ("A.CoNLLU", "sentences"),
        ("sensor.npz", "sequences"),
        ("runs/B.NPZ", "sequences"),
    ],
)
def test_the_ending_tells_the_kind(name: str, kind: ModelKind) -> None:
    assert kind_of(name) == kind


def test_a_data_set_of_any_kind_is_loaded(tmp_path: Path) -> None:
    table = tmp_path / "a.jsonl"
    table.write_text(
        "".join(f'{{"text": "{text.decode()}", "label": "{label}"}}\n' for text, label in make_texts(4, 1))
    )
    treebank = tmp_path / "b.conllu"
    treebank.write_bytes(to_conllu(make_sentences(3, 1)))
    arrays = save(tmp_path / "c.npz", x=np.zeros((4, 2, 1)), y=[0, 1, 0, 1])
    loaded = {path: load_any(str(path)) for path in (table, treebank, arrays)}
    assert {path.name: (kind_of(str(path)), data.kind) for path, data in loaded.items()} == {
        "a.jsonl": ("texts", "texts"),
        "b.conllu": ("sentences", "sentences"),
        "c.npz": ("sequences", "sequences"),
    }
    assert {data.kind for data in loaded.values()} == set(DESCRIPTIONS)


def test_values_are_loaded_on_request(tmp_path: Path) -> None:
    path = save(tmp_path / "c.npz", x=np.zeros((4, 2, 1)), y=[0.5, 1, 0, 1])
    data = load_any(str(path), "regression")
    assert data.labels == ()
