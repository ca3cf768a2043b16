from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.config import ModelKind
from rnnx.datasets import DESCRIPTIONS, Columns, Listener, TableForm, kind_of, load_any
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


@pytest.mark.parametrize(
    ("columns", "form"), [(Columns("review"), None), (None, TableForm(";")), (Columns(tag="2"), TableForm())]
)
def test_options_for_tables_are_said_to_be_ignored_by_other_kinds(
    tmp_path: Path, columns: Columns | None, form: TableForm | None
) -> None:
    for label in ("neg", "pos"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        (tmp_path / "texts" / label / "1.txt").write_text("x")
    (tmp_path / "b.conll").write_bytes(b"a\tX\n\nb\tY\n\n")
    save(tmp_path / "c.npz", x=np.zeros((4, 2, 1)), y=[0, 1, 0, 1])
    for name in ("texts", "b.conll", "c.npz"):
        if name != "b.conll" and columns and columns.tag:
            continue  # a column of tags makes it a file of words
        warnings: list[str] = []
        path = str(tmp_path / name)
        load_any(path, columns=columns, form=form, listener=Listener(on_warning=warnings.append))
        expected = (
            f"{path}: is no table, so the options for tables are ignored (--text-column, --delimiter and the like)"
        )
        assert warnings == ([] if columns and columns.tag else [expected])


def test_values_are_loaded_on_request(tmp_path: Path) -> None:
    path = save(tmp_path / "c.npz", x=np.zeros((4, 2, 1)), y=[0.5, 1, 0, 1])
    data = load_any(str(path), "regression")
    assert data.labels == ()
