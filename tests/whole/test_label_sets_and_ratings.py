"""Tests several labels and a number for each text the whole way: train, export, infer, evaluate, verify, card."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import onnxruntime as ort

import rnnx
from rnnx.bundle.directory import read_directory, write_directory
from rnnx.cli import run
from rnnx.datasets import load_any
from rnnx.errors import ModelError, ParityError, UsageError
from rnnx.export.pipeline import export
from rnnx.infer.evaluate import evaluate_label_sets, evaluate_ratings
from rnnx.infer.predictions import LabelSet, Rating
from rnnx.train.fit import Observer
from rnnx.train.run import train
from tests.texts import BAD, GOOD, NEUTRAL, tiny_recipe

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]
TOPICS = {"bad": BAD[0], "good": GOOD[0], "plot": "plot"}


def write_table(path: Path, key: str, count: int, seed: int) -> Path:
    """Writes texts whose words say which labels they have, or how many stars."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            chosen = [label for label in TOPICS if rng.random() < 0.4]
            words = [*rng.choice([w for w in NEUTRAL if w != "plot"], 6), *(TOPICS[label] for label in chosen)]
            rng.shuffle(words)
            stars = 300 + 100 * (("good" in chosen) - ("bad" in chosen))
            file.write(json.dumps({"text": " ".join(words), key: chosen if key == "labels" else stars}) + "\n")
    return path


@pytest.fixture(scope="module", params=["multilabel", "regression"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains and exports a tiny model of the task; the test data are next to the bundle."""
    task: str = request.param
    folder = tmp_path_factory.mktemp(task)
    key = "labels" if task == "multilabel" else "rating"
    write_table(folder / "test.jsonl", key, 60, 2)
    data = load_any(str(write_table(folder / "train.jsonl", key, 400, 1)), task)  # type: ignore[arg-type]
    recipe = dataclasses.replace(tiny_recipe("default"), epochs=8)
    train(data, recipe, folder / "run", seed=3, observer=Observer())
    export(folder / "run", folder / task)
    return Path(folder / task)


def texts_of(bundle: Path) -> list[str]:
    lines = (bundle.parent / "test.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def test_the_model_learned_and_its_files_agree(bundle: Path) -> None:
    data = load_any(str(bundle.parent / "test.jsonl"), bundle.name)  # type: ignore[arg-type]
    predictor = rnnx.load(bundle)
    metrics = json.loads((bundle / "metrics.json").read_bytes())
    if bundle.name == "multilabel":
        figures = evaluate_label_sets(predictor, data.train, data.labels)  # type: ignore[arg-type]
        assert figures.micro_f1 > 0.8
        assert tuple(metrics["thresholds"].values()) == predictor.config.thresholds
        assert metrics["validation_label_sets"]["micro_f1"] > 0.8
    else:
        values = evaluate_ratings(predictor, data.train)  # type: ignore[arg-type]
        assert values.mae < values.baseline_mae / 2
        assert metrics["validation_ratings"]["mae"] < metrics["validation_ratings"]["baseline_mae"] / 2


def test_answers_are_those_of_the_network(bundle: Path) -> None:
    predictor = rnnx.load(bundle)
    answers = list(predictor.predict_stream(texts_of(bundle)))
    raw = [next(iter(outputs.values())) for _, outputs in predictor.run_stream(texts_of(bundle))]
    for answer, row in zip(answers, raw, strict=True):
        if bundle.name == "multilabel":
            assert isinstance(answer, LabelSet)
            pairs = zip(predictor.labels, row, predictor.config.thresholds, strict=True)
            assert set(answer.labels) == {label for label, p, least in pairs if p >= least}
            assert sorted(answer.labels, key=lambda label: -answer.probs[label]) == list(answer.labels)
        else:
            assert isinstance(answer, Rating)
            assert answer.value == pytest.approx(row[0])


def test_the_proof_decides_at_the_thresholds(bundle: Path) -> None:
    parity = json.loads((bundle / "parity.json").read_bytes())
    assert parity["passed"]
    if bundle.name == "regression":
        assert parity.get("decisions") is None
        return
    decisions = parity["decisions"]
    assert set(decisions["differing"]) == {"model.onnx", "model.batch.onnx", "model.text.onnx"}
    assert not any(decisions["wrong"].values())
    assert 0 < decisions["certain_count"] <= decisions["count"]


def test_the_text_form_gives_a_probability_for_each_label(bundle: Path) -> None:
    if bundle.name == "regression":
        assert not (bundle / "model.text.onnx").exists()
        return
    session = ort.InferenceSession(bundle / "model.text.onnx", providers=["CPUExecutionProvider"])
    predictor = rnnx.load(bundle)
    for text in texts_of(bundle)[:10]:
        (probs,) = session.run(["probs"], {"text": np.frombuffer(text.encode(), np.uint8)[None]})
        (answer,) = predictor.predict_stream([text])
        assert probs[0] == pytest.approx(list(answer.probs.values()), abs=2e-3)  # its embedding has fewer bits


def test_the_commands_answer(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    table = str(bundle.parent / "test.jsonl")
    lines = tmp_path / "lines.txt"
    lines.write_text(f"{GOOD[0]} plot\nthe camera\n", encoding="utf-8")
    assert run(["infer", "--model", str(bundle), "--lines", str(lines)]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert run(["infer", "--model", str(bundle), "--lines", "--jsonl", str(lines)]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(["infer", "--model", str(bundle), table, "--text-column", "text"]) == 0
    cells = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert run(["infer", "--model", str(bundle), table, "--text-column", "text", "--jsonl"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(cells) == len(objects) == 60
    if bundle.name == "multilabel":
        assert set(items[0]["labels"]) == {"good", "plot"}
        assert rows[0][2] == ", ".join(items[0]["labels"])
        assert (items[1]["labels"], rows[1][2:]) == ([], ["(none)", "-"])
        assert [row["predicted_labels"] for row in cells] == ["|".join(row["predicted_labels"]) for row in objects]
    else:
        assert rows[0][2] == f"{items[0]['value']:.4g}"
        assert [float(row["value"]) for row in cells] == [row["value"] for row in objects]
    assert run(["verify", str(bundle)]) == 0
    assert run(["info", str(bundle)]) == 0
    assert ("thresholds" in capsys.readouterr().out) == (bundle.name == "multilabel")


def test_what_is_not_supported_says_so_in_one_line(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "t.txt"
    text.write_text("the film", encoding="utf-8")
    for arguments, expected in (
        (["explain", "--model", str(bundle), str(text)], "only a model that labels whole texts can be explained"),
        (["embed", "python", str(bundle), "--out", str(tmp_path / "p")], "not supported yet"),
        (["infer", "--model", str(bundle), "-k", "2", str(text)], "-k"),
        (["infer", "--model", str(bundle), "--threshold", "0.2", str(text)], "--threshold"),
        (["diff", str(bundle), str(bundle)], "rnnx diff compares only models that do"),
    ):
        assert run(arguments) == 2 or "diff" in arguments
        err = capsys.readouterr().err
        assert expected in err
        assert err.count("\n") == 1


def test_an_evaluation_is_written_into_the_card(bundle: Path, capsys: Capture) -> None:
    assert run(["evaluate", str(bundle), str(bundle.parent / "test.jsonl"), "--save"]) == 0
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert ("Micro F1 **" if bundle.name == "multilabel" else "Mean absolute error **") in card
    assert f"--task {bundle.name}" in card
    assert run(["evaluate", str(bundle), str(bundle.parent / "test.jsonl"), "--beside", str(bundle)]) == 2
    assert "--beside compares the accuracy" in capsys.readouterr().err


def test_a_bundle_is_exported_again_with_the_same_answers(bundle: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "again")
    first, again = read_directory(bundle), read_directory(tmp_path / "again")
    assert first.config.thresholds == again.config.thresholds
    key = "labels" if bundle.name == "multilabel" else "value"
    rows, rows_again = (json.loads(directory["golden.json"]) for directory in (first, again))
    assert [(row["text"], row[key]) for row in rows] == [(row["text"], row[key]) for row in rows_again]


def test_a_golden_row_that_was_changed_is_found(bundle: Path, tmp_path: Path) -> None:
    directory = read_directory(bundle)
    rows = json.loads(directory["golden.json"])
    key, change = ("probability", 0.01) if bundle.name == "multilabel" else ("value", 0.1)  # of 200 to 400
    rows[0][key] += change
    files = {**directory.files, "golden.json": json.dumps(rows).encode()}
    write_directory(tmp_path / "changed", directory.config, files)
    with pytest.raises(ParityError, match="text 1 was recorded"):
        export(tmp_path / "changed", tmp_path / "again")


def test_a_changed_threshold_is_found(bundle: Path, tmp_path: Path) -> None:
    if bundle.name == "regression":
        return
    directory = read_directory(bundle)
    config = dataclasses.replace(directory.config, thresholds=(0.1, 0.2, 0.3))
    write_directory(tmp_path / "changed", config, dict(directory.files))
    with pytest.raises(ModelError, match="thresholds is"):
        rnnx.load(tmp_path / "changed")


def test_labels_are_not_compared_with_data_if_there_are_none(bundle: Path, tmp_path: Path) -> None:
    from rnnx.export.label_comparison import DecisionTexts

    if bundle.name == "multilabel":
        return
    with pytest.raises(UsageError, match="gives a number"):
        export(bundle, tmp_path / "again", decisions=DecisionTexts("d", [b"the film"]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--task", "classification", "--label-delimiter", "|"], "are for --task multilabel, not for classification"),
        (["--task", "regression", "--label-columns", "a,b"], "are for --task multilabel, not for regression"),
    ],
)
def test_options_of_several_labels_exclude_other_tasks(
    tmp_path: Path, capsys: Capture, options: list[str], expected: str
) -> None:
    table = write_table(tmp_path / "t.jsonl", "labels", 4, 1)
    assert run(["train", str(table), *options]) == 2
    assert expected in capsys.readouterr().err
