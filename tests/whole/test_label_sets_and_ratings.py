"""Tests several labels and a number for each text the whole way: train, export, infer, evaluate, verify, card."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import onnx
import onnxruntime as ort

import rnnx
from rnnx.bundle.directory import read_directory, write_directory
from rnnx.cli import run
from rnnx.datasets import load_any
from rnnx.errors import ModelError, ParityError, UsageError
from rnnx.export.pipeline import export
from rnnx.infer.evaluate import evaluate_label_sets, evaluate_ratings
from rnnx.infer.predictions import LabelSet, Rating
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.diff import Side, compare_sides, golden_inputs
from rnnx.proof.evidence_metadata import read_evidence, with_evidence
from rnnx.proof.verify import verify_file
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


def test_the_text_form_gives_a_probability_for_each_label_or_the_number(bundle: Path) -> None:
    session = ort.InferenceSession(bundle / "model.text.onnx", providers=["CPUExecutionProvider"])
    predictor = rnnx.load(bundle)
    proved = {runtime["runtime"] for runtime in json.loads((bundle / "parity.json").read_bytes())["runtimes"]}
    assert any(name.startswith("model.text.onnx") for name in proved)
    for text in texts_of(bundle)[:10]:
        (answers,) = session.run(None, {"text": np.frombuffer(text.encode(), np.uint8)[None]})
        (answer,) = predictor.predict_stream([text])
        # The embedding of this file has fewer bits.
        if isinstance(answer, Rating):
            assert answers[0] == pytest.approx([answer.value], abs=0.2)  # of 200 to 400
        else:
            assert isinstance(answer, LabelSet)
            assert answers[0] == pytest.approx(list(answer.probs.values()), abs=2e-3)


def test_a_text_form_whose_answer_is_a_little_off_fails(bundle: Path) -> None:
    """The last node of the file multiplies every answer by 1.001."""
    data = (bundle / "model.text.onnx").read_bytes()
    assert verify_file("model.text.onnx", data, ["cpu"]).report.passed
    model = onnx.load_from_string(data)
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before", *node.output[1:]] if node.output[0] == name else node.output
        node.input[:] = ["before" if value == name else value for value in node.input]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(1, 1.001, np.float32), "factor"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["before", "factor"], [name]))
    original = parse_model(data)
    properties = read_properties(original)
    del model.metadata_props[:]
    sealed = with_evidence(properties, read_evidence(properties, original), parse_model(model.SerializeToString()))
    onnx.helper.set_model_props(model, sealed)
    report = verify_file("model.text.onnx", model.SerializeToString(), ["cpu"]).report
    assert not report.passed
    assert not report.runtimes[0].passed


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
        (["explain", "--model", str(bundle), "--label", "dull", str(text)], "--label dull"),
        (["embed", "rust", str(bundle), "--out", str(tmp_path / "p")], "the sample for rust shows one label; choose"),
        (["info", "--target", "rust", str(bundle)], "the sample for rust shows one label; choose huggingface, python"),
        (["infer", "--model", str(bundle), "-k", "2", str(text)], "-k"),
        (["infer", "--model", str(bundle), "--threshold", "0.2", str(text)], "--threshold"),
        (["diff", str(bundle), "imdb"], "imdb, CPUExecutionProvider gives a label; rnnx diff compares equal tasks"),
    ):
        assert run(arguments) == 2
        err = capsys.readouterr().err
        assert expected in err
        assert err.count("\n") == 1


def test_words_that_move_the_answer_are_explained(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "t.txt"
    text.write_text(f"the {GOOD[0]} camera {BAD[0]}", encoding="utf-8")
    command = ["explain", "--model", str(bundle), "--jsonl", str(text)]
    commands = (
        [command] if bundle.name == "regression" else [[*command, "--label", "good"], [*command, "--label", "bad"]]
    )
    for arguments in commands:
        assert run(arguments) == 0
        item = json.loads(capsys.readouterr().out)
        effects = {word["word"]: word["effect"] for word in item["words"]}
        strongest = max(effects, key=lambda word: effects[word])
        assert strongest == (BAD[0] if arguments[-1] == "bad" else GOOD[0])
        if bundle.name == "regression":
            assert min(effects, key=lambda word: effects[word]) == BAD[0]
            assert effects[GOOD[0]] > 30 > -30 > effects[BAD[0]]
            assert all(100 < word["value"] < 500 for word in item["words"])
            assert "explained_label" not in item
        else:
            assert item["explained_label"] == arguments[-1]
    without = tmp_path / "without.txt"
    without.write_text(f"the qzxv camera {BAD[0]}", encoding="utf-8")
    assert run(["infer", "--model", str(bundle), "--jsonl", str(text), str(without)]) == 0
    whole, less = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    if bundle.name == "regression":
        assert whole["value"] - less["value"] == pytest.approx(effects[GOOD[0]], abs=1e-3)


def test_rows_of_a_table_are_explained(bundle: Path, capsys: Capture) -> None:
    table = str(bundle.parent / "test.jsonl")
    assert run(["explain", "--model", str(bundle), table, "--text-column", "text"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert sorted({int(row[1]) for row in rows}) == list(range(1, 61))
    assert {len(row) for row in rows} == {8}
    words = [row[4] for row in rows if row[1] == "1"]
    assert words == texts_of(bundle)[0].split()


def test_two_files_are_compared(bundle: Path, capsys: Capture) -> None:
    files = [str(bundle), str(bundle / "model.text.onnx")]  # the embedding of the second has fewer bits
    assert run(["diff", "--json", *files]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["task"], report["flip_count"]) == (bundle.name, 0)
    assert 0 < max(row["max_abs_diff"] for row in report["inputs"]) < (0.2 if bundle.name == "regression" else 2e-3)
    assert run(["diff", *files]) == 0
    rows, err = capsys.readouterr()
    answers = [line.split("\t")[1] for line in rows.splitlines()]
    if bundle.name == "regression":
        assert all(row["labels"] == [] and len(row["values"]) == 2 for row in report["inputs"])
        assert answers == [f"{row['values'][0]:.7g}" for row in report["inputs"]]
        assert "numbers differ, by at most" in err
    else:
        assert all(row["values"] == [] for row in report["inputs"])
        assert answers == [row["labels"][0] or "(none)" for row in report["inputs"]]
        assert f"0 of {len(answers)} labels differ" in err


def test_labels_that_reach_another_threshold_are_another_answer(bundle: Path) -> None:
    if bundle.name == "regression":
        return
    a, b = (Side(name, (bundle / "model.onnx").read_bytes(), "cpu", None) for name in "ab")
    given = golden_inputs(a, b)
    assert compare_sides(a, b, given).flip_count == 0
    b.thresholds = (1e-9, *b.thresholds[1:])  # every text has the first label
    report = compare_sides(a, b, given)
    without = [row for row in report.inputs if a.labels[0] not in row.labels[0].split("|")]
    assert report.flip_count == len(without) > 0
    assert all(a.labels[0] in row.labels[1].split("|") for row in report.inputs)


def test_the_python_project_answers(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    project = tmp_path / "project"
    assert run(["embed", "python", str(bundle), "--out", str(project)]) == 0
    text = f"{GOOD[0]} plot"
    golden, said = (
        subprocess.run(  # noqa: S603  # ours
            [sys.executable, "main.py", argument], cwd=project, capture_output=True, text=True, check=False
        )
        for argument in ("--golden", text)
    )
    assert (golden.returncode, said.returncode) == (0, 0), golden.stdout + golden.stderr + said.stderr
    rows = json.loads((project / "golden.json").read_bytes())
    assert f"{2 * len(rows)} of {2 * len(rows)} right" in golden.stdout
    (answer,) = rnnx.load(bundle).predict_stream([text])
    if isinstance(answer, Rating):
        assert float(said.stdout) == pytest.approx(answer.value, abs=0.2)
    else:
        assert isinstance(answer, LabelSet)
        assert [line.split("\t")[0] for line in said.stdout.splitlines()] == list(answer.labels)
    rows[0]["text_values" if bundle.name == "regression" else "text_probs"][0] += 2 * rows[0]["tolerance"]
    (project / "golden.json").write_text(json.dumps(rows), encoding="utf-8")
    wrong = subprocess.run(
        [sys.executable, "main.py", "--golden"], cwd=project, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "golden text 0 alone: off by" in wrong.stdout


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
