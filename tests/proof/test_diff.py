"""Tests `rnnx diff`, which shows where two computations diverge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnx.cli import run
from rnnx.errors import ModelError
from rnnx.proof.diff import DiffInput, Side, compare_sides, golden_inputs

Capture = pytest.CaptureFixture[str]


def test_a_file_does_not_differ_from_itself(tiny_bundle: Path, capsys: Capture) -> None:
    path = str(tiny_bundle / "model.onnx")
    assert run(["diff", "--json", path, path]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["flip_count"] == 0
    assert len(report["inputs"]) > 15
    for row in report["inputs"]:
        assert row["parting"] is None
        assert row["max_abs_diff"] == row["max_state_diff"] == 0.0


@pytest.mark.train
def test_two_models_diverge_where_their_weights_differ(tmp_path: Path) -> None:
    """Only the embedding of token 7 differs, which is read at step 3; this must be the first step that is named."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    import keras

    from rnnx.export.pipeline import export

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4),
            keras.layers.SimpleRNN(5, return_sequences=True),
            keras.layers.SimpleRNN(6),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.save(tmp_path / "a.keras")
    table = model.layers[0].get_weights()[0]
    table[7] += 0.1
    model.layers[0].set_weights([table])
    model.save(tmp_path / "b.keras")
    sides = []
    for name in ("a", "b"):
        path = export(tmp_path / f"{name}.keras", tmp_path / name).path
        sides.append(Side(name, (path / "model.onnx").read_bytes(), "cpu", None))
    report = compare_sides(sides[0], sides[1], [DiffInput("x", None, np.array([3, 4, 5, 7, 1], np.int32))])
    (row,) = report.inputs
    assert row.parting is not None
    assert (row.parting.layer, row.parting.step) == (sides[0].evidence.layers[1].name, 3)
    assert row.max_state_diff is not None
    assert row.max_state_diff >= row.parting.difference > 1e-3
    assert [len(curve.differences) for curve in report.curves] == [5, 5]
    assert report.curves[0].differences[:3] == (0.0, 0.0, 0.0)


def test_the_forms_are_compared_text_by_text(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_bytes(b"a wonderful film\nawful \xff plot\n\n")
    arguments = ["diff", str(tiny_bundle), str(tiny_bundle / "model.batch.onnx"), "--texts", str(texts)]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert [line.split("\t")[0] for line in captured.out.splitlines()] == ["line 1", "line 2", "line 3"]
    assert "0 of 3 labels differ" in captured.err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "error: {}: the file is empty; give one text per line\n"),
        (
            "good\nbad\n".encode("utf-16"),
            "error: {}:1: not a text: a zero byte at offset 3 (a binary file, or UTF-16?); save it as UTF-8\n",
        ),
        (b"good\n%PDF-1.7\n", "error: {}:2: not a text: a PDF; this model reads texts: save it as plain text (.txt)\n"),
    ],
)
def test_what_is_no_text_is_refused(
    tiny_bundle: Path, tmp_path: Path, data: bytes, message: str, capsys: Capture
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_bytes(data)
    assert run(["diff", str(tiny_bundle), str(tiny_bundle), "--texts", str(texts)]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message.format(texts))


def test_lines_are_read_as_infer_reads_them(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The byte order mark and the carriage returns of Windows are no part of a text."""
    texts = tmp_path / "texts.csv"
    texts.write_bytes(b"\xef\xbb\xbfa wonderful film\r\n\r\nawful \xff plot")
    seen: list[bytes | None] = []

    def note(name: str, text: bytes) -> DiffInput:
        seen.append(text)
        return DiffInput(name, text)

    monkeypatch.setattr("rnnx.proof.diff.DiffInput", note)
    assert run(["diff", str(tiny_bundle), str(tiny_bundle), "--texts", str(texts)]) == 0
    assert seen == [b"a wonderful film", b"", b"awful \xff plot"]
    err = capsys.readouterr().err
    assert f"warning: {texts}: a table; each of its lines is one text, the header too\n" in err
    assert f"warning: {texts}:3: not UTF-8 at byte 6; read all the same, byte by byte\n" in err


def test_labels_that_differ_give_their_own_exit_code(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "texts.txt").write_text("A flat film, and a weird one.\nA wonderful film.\n")
    assert run(["diff", "imdb", "imdb-article", "--texts", str(tmp_path / "texts.txt")]) == 3
    captured = capsys.readouterr()
    assert [line.split("\t")[:3] for line in captured.out.splitlines()] == [
        ["line 1", "neg", "pos"],
        ["line 2", "pos", "pos"],
    ]
    assert "1 of 2 labels differ" in captured.err


def test_flipped_labels_are_counted(tiny_bundle: Path) -> None:
    side = Side("a", (tiny_bundle / "model.onnx").read_bytes(), "cpu", None)
    flipped = Side("b", (tiny_bundle / "model.onnx").read_bytes(), "cpu", None)
    flipped.labels = side.labels[::-1]
    report = compare_sides(side, flipped, golden_inputs(side, side))
    assert report.flip_count == len(report.inputs)
    assert all(row.max_abs_diff is None for row in report.inputs)


def test_a_file_must_give_one_probability_for_each_label(tiny_bundle: Path) -> None:
    side = Side("a", (tiny_bundle / "model.onnx").read_bytes(), "cpu", None)
    given = golden_inputs(side, side)[0]
    side.labels = ("x", "y", "z")
    with pytest.raises(ModelError, match="its probabilities are not one for each label"):
        side.run(given)


def test_a_plot_is_written(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the [train] extra")
    path = tmp_path / "diff.png"
    arguments = ["diff", str(tiny_bundle), str(tiny_bundle / "model.batch.onnx"), "--plot", str(path)]
    assert run(arguments) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_file_alone_cannot_read_texts(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "alone.onnx").write_bytes((tiny_bundle / "model.onnx").read_bytes())
    (tmp_path / "texts.txt").write_bytes(b"good\n")
    alone = str(tmp_path / "alone.onnx")
    assert run(["diff", alone, alone, "--texts", str(tmp_path / "texts.txt")]) == 4
    assert "a file without its bundle has no tokenizer; give the bundle" in capsys.readouterr().err


def test_two_models_read_texts_by_their_own_vocabularies(capsys: Capture) -> None:
    """One vocabulary has 29,000 words and the other 10,000, so the ids of one mean nothing to the other."""
    assert run(["diff", "--json", "imdb", "imdb-article"]) in (0, 3)
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert len(report["inputs"]) > 15
    assert all(row["name"].startswith("golden text") for row in report["inputs"])
    assert all(row["max_abs_diff"] is not None and row["max_state_diff"] is None for row in report["inputs"])
    assert "onnxruntime" not in captured.err


def test_a_text_form_is_compared_with_the_form_that_reads_ids(tiny_bundle: Path, capsys: Capture) -> None:
    """The text form needs no tokenizer, so its file can be given alone."""
    assert run(["diff", "--json", str(tiny_bundle), str(tiny_bundle / "model.text.onnx")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["inputs"]) > 15
    assert all(row["max_abs_diff"] < 0.01 for row in report["inputs"])
    assert all(row["parting"] is not None for row in report["inputs"])  # the embedding is stored as int16


def test_files_without_a_common_input_are_refused(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("model.onnx", "model.text.onnx"):
        (tmp_path / name).write_bytes((tiny_bundle / name).read_bytes())
    assert run(["diff", str(tmp_path / "model.onnx"), str(tmp_path / "model.text.onnx")]) == 2
    assert "have no golden vector that both can read; give bundles" in capsys.readouterr().err


def test_a_file_that_the_config_does_not_list_is_read_alone(bundle_copy: Path, capsys: Capture) -> None:
    other = bundle_copy / "other.onnx"
    other.write_bytes((bundle_copy / "model.onnx").read_bytes())
    assert run(["diff", str(other), str(other)]) == 0
    assert run(["verify", str(other)]) == 0
    capsys.readouterr()
