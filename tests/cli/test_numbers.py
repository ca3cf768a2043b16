"""Tests series of measurements from the file to the evaluation, by the command line alone: labels, then values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from sklearn import metrics

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.errors import DataError
from rnnx.infer.predictions import Prediction, Values
from tests.processes import imported_by
from tests.sensors import MODES, decays, oscillations, save

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a classifier of three oscillations; the folder holds `modes.npz`, with padding, and the bundle `modes`.

    Training takes 16 epochs. After 8, the network gives some sequences of each mode at most half of the probability,
    and which of those it gets right depends on the order of the batches. After 16, all six sequences that the tests ask
    for have more than 0.8.
    """
    folder = tmp_path_factory.mktemp("modes")
    (x, y), (x_test, y_test) = oscillations(150, 1), oscillations(45, 2)
    lengths = 24 - np.arange(len(x)) % 4
    x = np.where(np.arange(24)[:, None] < lengths[:, None, None], x, np.nan)
    data = save(folder / "modes.npz", x=x, y=y, lengths=lengths, x_test=x_test, y_test=y_test)
    assert run(["train", str(data), "--out", str(folder / "run"), "--epochs", "16", "--seed", "3"]) == 0
    assert run(["export", str(folder / "run"), "--out", str(folder / "modes")]) == 0
    return folder


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a regression of the half-life of a decay; the folder holds `rates.npz` and the bundle `rates`."""
    folder = tmp_path_factory.mktemp("rates")
    (x, y), (x_test, y_test) = decays(160, 1), decays(40, 2)
    data = save(folder / "rates.npz", x=x, y=y, x_test=x_test, y_test=y_test)
    arguments = ["--task", "regression", "--out", str(folder / "run"), "--epochs", "20"]
    assert run(["train", str(data), *arguments]) == 0
    assert run(["export", str(folder / "run"), "--out", str(folder / "rates")]) == 0
    return folder


def test_the_oscillations_are_learned(modes: Path, capsys: Capture) -> None:
    assert run(["evaluate", str(modes / "modes"), str(modes / "modes.npz"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["count"] == 45
    assert figures["accuracy"] >= 0.9
    assert list(figures["labels"]) == sorted(MODES)
    assert sum(row["count"] for row in figures["calibration"]["bins"]) == 45
    (row,) = figures["by_length"]  # all sequences of the test part have one length
    assert row == {"shortest": 24, "longest": 24, "is_cut": False, "count": 45, "accuracy": figures["accuracy"]}


def test_the_proof_reads_real_sequences(modes: Path) -> None:
    parity = json.loads(read_directory(modes / "modes")["parity.json"])
    assert parity["text_count"] == 16
    assert parity["verdict"].startswith("proved: on 16 sequences and ")


def test_verify_proves_the_bundles_again(modes: Path, rates: Path, capsys: Capture) -> None:
    for bundle in (modes / "modes", rates / "rates"):
        assert run(["verify", str(bundle)]) == 0
        assert capsys.readouterr().out.count("verified: ") == 2


def test_sequences_are_answered_in_the_form_of_texts(modes: Path, tmp_path: Path, capsys: Capture) -> None:
    x, y = oscillations(6, 5)
    np.save(tmp_path / "batch.npy", x)
    np.savetxt(tmp_path / "one.csv", x[0], delimiter=",", header="degrees,pascals", comments="")
    (tmp_path / "bad.txt").write_text("A text.", encoding="utf-8")
    files = [str(tmp_path / name) for name in ("batch.npy", "bad.txt", "one.csv")]
    assert run(["infer", "--model", str(modes / "modes"), "--jsonl", *files]) == 1
    out, err = capsys.readouterr()
    items = [json.loads(line) for line in out.splitlines()]
    assert [item["label"] for item in items[:6]] == y.tolist()
    assert [(item["source"], item["index"], item["status"]) for item in items] == [
        *((files[0], i, "ok") for i in range(6)),
        (files[1], None, "error"),
        (files[2], 0, "ok"),
    ]
    assert list(items[0]) == [
        "source", "index", "status", "label", "label_id", "probability", "probs", "tokens", "truncated",
    ]  # fmt: skip
    assert items[0]["tokens"] == 24
    assert items[7]["label"] == items[0]["label"]
    assert err == f"error: {files[1]}: not .npy, .npz or .csv; this model reads x float32 (time, 2)\n"


def test_a_pipe_gets_tab_separated_lines(modes: Path, rates: Path, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "a.npy", oscillations(2, 6)[0])
    assert run(["infer", "--model", str(modes / "modes"), "-k", "2", str(tmp_path / "a.npy")]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(len(line), line[1], line[2]) for line in lines] == [(6, "0", "slow"), (6, "1", "mid")]
    x, y = decays(2, 6)
    np.save(tmp_path / "b.npy", x)
    assert run(["infer", "--model", str(rates / "rates"), str(tmp_path / "b.npy")]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [float(line[2]) for line in lines] == pytest.approx(y.tolist(), abs=1.5)


def test_load_and_predict_work_for_every_kind_of_bundle(modes: Path, rates: Path) -> None:
    predictor = rnnx.load(modes / "modes")
    x, y = oscillations(6, 5)
    together = predictor.predict(x)
    assert all(isinstance(prediction, Prediction) for prediction in together)
    assert [prediction.label for prediction in together if isinstance(prediction, Prediction)] == y.tolist()
    mixed = predictor.predict([x[0], x[1][:10], x[2], x[3][:10]])
    alone = [predictor.predict([row])[0] for row in (x[0], x[1][:10], x[2], x[3][:10])]
    for in_batch, by_itself in zip(mixed, alone, strict=True):
        assert isinstance(in_batch, Prediction)
        assert isinstance(by_itself, Prediction)
        assert (in_batch.label, in_batch.tokens) == (by_itself.label, by_itself.tokens)
        assert in_batch.probability == pytest.approx(by_itself.probability, abs=1e-5)
    with pytest.raises(DataError, match=r"model modes reads x float32 \(time, 2\), not texts"):
        predictor.predict(["A text."])
    with pytest.raises(DataError, match="model imdb reads texts; item 0 is of type ndarray"):
        rnnx.load("imdb").predict(x)
    (values,) = rnnx.load(rates / "rates").predict(decays(1, 3)[0])
    assert isinstance(values, Values)
    assert (list(values.outputs), values.values.shape, values.tokens) == (["values"], (1,), 16)


def test_regression_has_the_figures_of_scikit_learn(rates: Path, capsys: Capture) -> None:
    assert run(["evaluate", str(rates / "rates"), str(rates / "rates.npz"), "--json", "--save"]) == 0
    figures = json.loads(capsys.readouterr().out)
    x, y = decays(40, 2)
    actual = [values.values[0] for values in rnnx.load(rates / "rates").predict(x) if isinstance(values, Values)]
    y = y.astype(np.float32)
    assert figures["mae"] == pytest.approx(metrics.mean_absolute_error(y, actual), rel=1e-6)
    assert figures["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, actual), rel=1e-6)
    assert figures["r2"] == pytest.approx(metrics.r2_score(y, actual), rel=1e-6)
    assert figures["r2"] > 0.9
    card = read_directory(rates / "rates")["README.md"].decode()
    for part in (
        "Regression: ",
        "`x` float32 (batch, time, 1) in",
        "## Error",
        "| all | ",
        "`rnnx train rates.npz --rec",
    ):
        assert part in card
    assert "text" not in card.replace("model.text.onnx", "").lower().replace("context", "")


def test_info_shows_inputs_outputs_and_a_snippet_that_runs(modes: Path, capsys: Capture) -> None:
    assert run(["info", str(modes / "modes")]) == 0
    out = capsys.readouterr().out
    for part in (
        "labels\t0 fast, 1 mid, 2 slow",
        "input\tx float32 (batch, time, 2)",
        "output\tprobs float32 (batch, 3)",
        "recipe series on modes, 120 sequences, seed 3",
        ".predict(np.zeros((1, 10, 2), np.float32))[0].label",
    ):
        assert part in out
    snippet = out[out.index("import numpy") :]
    exec(snippet, {})  # noqa: S102  # a reader would copy it
    assert capsys.readouterr().out.strip() in MODES


def test_arguments_that_do_not_fit_the_model_are_refused_with_one_line(
    modes: Path, tmp_path: Path, capsys: Capture
) -> None:
    bundle, data = str(modes / "modes"), str(modes / "modes.npz")
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    (tmp_path / "t.csv").write_text("text,label\ngood,pos\n", encoding="utf-8")
    for arguments, code, message in (
        (["infer", "--model", bundle, "--lines", "a.txt"], 2, "--lines is for texts; this model reads x float32"),
        (["infer", str(tmp_path / "a.npy")], 1, "a.npy: not a text: a NumPy array"),
        (["infer", data], 1, "modes.npz: not a text: an archive, or a document such as .docx; this model reads texts"),
        (["evaluate", "imdb", data], 1, "modes.npz: model imdb reads texts"),
        (["evaluate", bundle, str(tmp_path / "t.csv")], 1, "model modes reads x float32 (time, 2): give a .npz file"),
        (
            ["train", data, "--recipe", "article"],
            2,
            "no recipe 'article' for sequences; the recipes are article (for texts)",
        ),
        (
            ["train", "imdb", "--task", "regression"],
            2,
            "imdb: has one label for each text; the task regression needs a table",
        ),
        (["train", data, "--task", "regression"], 1, "modes.npz: y: should hold numbers, not "),
    ):
        assert run(arguments) == code
        err = capsys.readouterr().err
        assert message in err
        assert len(err.splitlines()) == 1


def test_a_run_with_its_labels_in_another_order_is_not_published(modes: Path, tmp_path: Path, capsys: Capture) -> None:
    import dataclasses

    from rnnx.bundle.directory import write_directory

    original = read_directory(modes / "run")
    config = dataclasses.replace(original.config, labels=("mid", "fast", "slow"))
    write_directory(tmp_path / "run", config, original.files)
    assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 3
    assert "sequence 1 was recorded with" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_inference_on_numbers_imports_no_framework(modes: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", oscillations(2, 6)[0])
    assert imported_by(["infer", "--model", str(modes / "modes"), str(tmp_path / "a.npy")]) == set()
    assert imported_by(["evaluate", str(modes / "modes"), str(modes / "modes.npz")]) == set()
