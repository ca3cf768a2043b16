"""Tests the repository of `rnnx embed huggingface`, without packages of the Hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rnnx.bundle.directory import read_directory
from rnnx.bundle.embed import languages, next_step, targets_of, write_project
from rnnx.cli import run
from rnnx.errors import ModelError
from tests.make_bundles import BUNDLES

FORMS = {"model.onnx", "model.batch.onnx", "model.text.onnx", "model.stream.onnx"}
POS = """\
---
language:
  - en
license: "cc-by-sa-4.0"
library_name: onnx
pipeline_tag: token-classification
tags:
  - onnx
  - onnxruntime
  - rnnx
datasets:
  - universal-dependencies/universal_dependencies
metrics:
  - accuracy
  - f1
model-index:
  - name: pos
    results:
      - task:
          type: token-classification
        dataset:
          type: universal-dependencies/universal_dependencies
          name: "Universal Dependencies English Web Treebank"
          config: en_ewt
          split: test
        metrics:
          - type: accuracy
            value: 0.9541
            name: "Accuracy"
          - type: f1
            value: 0.9174
            name: "Macro F1"
---

# pos
"""


@pytest.mark.parametrize("name", ["default", "texts", "words", "series", "sensor", "ids", "states"])
def test_a_repository_holds_the_forms_the_labels_and_a_card(name: str, tmp_path: Path) -> None:
    bundle = read_directory(BUNDLES / name)
    project = tmp_path / "project"
    written = {path.as_posix() for path in write_project("huggingface", BUNDLES / name, project)}
    forms = FORMS & set(bundle.config.files)
    assert {f"onnx/{form}" for form in forms} == {path for path in written if path.endswith(".onnx")}
    assert {"README.md", "config.json", ".gitattributes"} < written
    for form in forms:
        assert (project / "onnx" / form).read_bytes() == bundle[form]
    for file in {"vocabulary.txt", "golden.json"} & set(bundle.config.files):
        assert (project / file).read_bytes() == bundle[file]
    config = json.loads((project / "config.json").read_bytes())
    labels = bundle.config.labels
    assert config.get("id2label", {}) == {str(i): label for i, label in enumerate(labels)}
    assert config.get("label2id", {}) == {label: i for i, label in enumerate(labels)}
    card = (project / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert f"\n---\n\n# {bundle.config.name}\n" in card
    named = re.findall(r"[\w/]*model(?:\.\w+)?\.onnx", card)
    assert named
    assert all(file.startswith("onnx/model") for file in named)
    assert all(image in written for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", card))
    assert "rnnx.load" not in card
    assert "InferenceSession" in card
    tags = {"texts": "text-classification", "sentences": "token-classification"}
    assert re.findall(r"^pipeline_tag: (.*)$", card, re.MULTILINE) == [
        tag for kind, tag in tags.items() if kind == bundle.config.kind
    ]
    assert "\nlicense:" not in card
    assert "\ndatasets:" not in card


def test_the_front_matter_of_a_shipped_model_says_what_is_known(tmp_path: Path) -> None:
    write_project("huggingface", "pos", tmp_path / "project")
    assert (tmp_path / "project" / "README.md").read_text(encoding="utf-8").startswith(POS)


def test_models_with_several_labels_or_a_number_have_a_repository() -> None:
    assert targets_of("multilabel") == targets_of("regression") == ["huggingface", "python"]


def test_a_training_run_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this is a training run; rnnx export makes a bundle of it"):
        write_project("huggingface", tiny_run, tmp_path / "project")
    assert not any(tmp_path.iterdir())


def test_the_command_writes_a_repository_and_says_how_to_upload_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", "huggingface", "pos", "--out", str(tmp_path / "project")]) == 0
    assert str(tmp_path / "project" / "onnx" / "model.onnx") in capsys.readouterr().out
    assert next_step("huggingface") == "then hf upload USER/NAME ."
    assert {next_step(target) for target in languages()} == {"then the two commands of its README.md"}
