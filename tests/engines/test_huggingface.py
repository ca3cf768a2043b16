"""Tests the repository of `rnnx embed huggingface` with huggingface_hub, offline.

`ModelCard.validate` asks the Hub, so it is not called. All that the package checks by itself is: the block of YAML, the
fields of `ModelCardData`, and the results of the model index.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from rnnx.bundle.directory import read_directory
from rnnx.bundle.embed import write_project
from rnnx.bundle.find_model import find_directory
from rnnx.bundle.front_matter import add_front_matter
from tests.make_bundles import BUNDLES

pytestmark = pytest.mark.engines
hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

FIELDS = {field for field in vars(hub.ModelCardData()) if field not in ("eval_results", "model_name")}


@pytest.mark.parametrize(
    ("bundle", "tag", "figures"),
    [
        ("imdb", "text-classification", (("accuracy", 0.9123), ("f1", 0.9123))),
        ("imdb-article", "text-classification", (("accuracy", 0.8421), ("f1", 0.842))),
        ("pos", "token-classification", (("accuracy", 0.9541), ("f1", 0.9174))),
        (BUNDLES / "texts", "text-classification", ()),
        (BUNDLES / "words", "token-classification", ()),
        (BUNDLES / "sensor", None, ()),
    ],
)
def test_the_card_loads_with_all_its_fields(
    bundle: str | Path, tag: str | None, figures: tuple[tuple[str, float], ...], tmp_path: Path
) -> None:
    write_project("huggingface", bundle, tmp_path / "project")
    path = tmp_path / "project" / "README.md"
    metadata = hub.metadata_load(path)
    assert set(metadata) <= FIELDS | {"model-index"}
    card = hub.ModelCard.load(path)
    assert card.data.to_dict() == hub.ModelCardData(**metadata).to_dict()
    assert card.data.pipeline_tag == tag
    assert card.data.library_name == "onnx"
    assert card.text.lstrip().startswith("# ")
    shipped = bool(figures)
    assert card.data.license == (("cc-by-sa-4.0" if bundle == "pos" else "mit") if shipped else None)
    assert card.data.language == (["en"] if shipped else None)
    results = card.data.eval_results or []
    assert [(result.metric_type, result.metric_value) for result in results] == list(figures)
    for result in results:
        assert result.task_type == tag
        assert [result.dataset_type] == card.data.datasets
        assert result.dataset_split == "test"


def test_the_index_is_what_the_package_would_write(tmp_path: Path) -> None:
    write_project("huggingface", "imdb", tmp_path / "project")
    index = hub.metadata_load(tmp_path / "project" / "README.md")["model-index"]
    name, results = hub.repocard_data.model_index_to_eval_results(index)
    assert hub.repocard_data.eval_results_to_model_index(name, results) == index


@pytest.mark.parametrize("name", ["no", "NULL", "1e3", "caf\xe9 - 3.0", "2024-01-01", "\U0001d400", "y"])
def test_each_name_of_a_model_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    bundle = read_directory(find_directory("imdb"))
    card = add_front_matter("# Card\n", dataclasses.replace(bundle.config, name=name), bundle.files)
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert hub.ModelCard.load(tmp_path / "README.md").data.model_name == name


def test_the_ids_of_the_labels_are_those_that_the_hub_reads(tmp_path: Path) -> None:
    write_project("huggingface", "pos", tmp_path / "project")
    config = json.loads((tmp_path / "project" / "config.json").read_bytes())
    assert {int(i): label for i, label in config["id2label"].items()} == {
        i: label for label, i in config["label2id"].items()
    }
