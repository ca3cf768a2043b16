"""Tests `rnnx infer --follow`, which answers while the text grows."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.cli import follow as follow_module
from rnnx.cli import run
from rnnx.cli.follow import Follower
from rnnx.infer.stream import Stream
from rnnx.runtime.session import Session
from tests.streams import NAME, make_tokenizer, reference_of

Capture = pytest.CaptureFixture[str]


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_classifier_answers_after_every_line(
    streaming_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    lines = [b"a wonderful film\n", b"\n", b"but dull and bor", b"ing\n", b"great"]
    feed(monkeypatch, b"".join(lines))
    assert run(["infer", "--model", str(streaming_bundle), "--follow", "-", "--jsonl"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["line"], item["tokens"], item["status"]) for item in items] == [
        (1, 3, "ok"),
        (2, 3, "ok"),
        (3, 7, "ok"),
        (4, 8, "ok"),
    ]
    texts = ["a wonderful film", "a wonderful film", "a wonderful film but dull and boring"]
    expected = rnnx.load(streaming_bundle).predict([*texts, f"{texts[-1]} great"])
    for item, prediction in zip(items, expected, strict=True):
        assert item["label"] == prediction.label
        assert item["probability"] == pytest.approx(prediction.probability, abs=2e-6)
    feed(monkeypatch, b"".join(lines))
    assert run(["infer", "--model", str(streaming_bundle), "--follow", "-"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [[str(item["line"]), item["label"]] for item in items]


def test_an_answer_comes_before_the_text_ends(streaming_bundle: Path) -> None:
    command = [sys.executable, "-m", "rnnx", "infer", "--model", str(streaming_bundle), "--follow", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # ours
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"wonderful\n", b"awful\n"):
            process.stdin.write(word)
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[1] in (b"pos", b"neg")
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_tagger_of_ids_answers_each_position(
    stream_bundles: dict[str, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "ids.txt").write_bytes(b"3 4\n5,12\n\n7")
    assert run(["infer", "--model", str(stream_bundles["ids"]), "--follow", str(tmp_path / "ids.txt")]) == 1
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == ["1", "1", "4"]
    assert "ids.txt:2: ids should hold whole numbers in 0..11" in err


def test_numbers_are_answered_with_values(
    stream_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    feed(monkeypatch, b"1,2,3\n1,2\nx,2,3\n0.5,0,1,1,1,1\n")
    assert run(["infer", "--model", str(stream_bundles["sensor"]), "--follow", "-", "--jsonl"]) == 1
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["line"], item["status"]) for item in items] == [(1, "ok"), (2, "error"), (3, "error"), (4, "ok")]
    assert "the line has 2 numbers, but each position has 3" in items[1]["error"]
    assert [len(item["values"]["values"]) for item in items if "values" in item] == [2, 2]


def test_a_line_without_end_is_answered_in_pieces(
    streaming_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    feed(monkeypatch, b"\xef\xbb\xbf" + b"awful " * 30_000 + b"film")  # two pieces of 65 536 bytes, and a rest
    assert run(["infer", "--model", str(streaming_bundle), "--follow", "-", "--jsonl"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["line"] for item in items] == [1, 1, 1]
    assert items[-1]["tokens"] == 30_001
    feed(monkeypatch, b"x" * 65_536)
    assert run(["infer", "--model", str(streaming_bundle), "--follow", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("form", [(), ("--jsonl",)])
def test_a_text_is_not_read_on_after_its_first_zero_byte(
    form: tuple[str, ...], streaming_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    feed(monkeypatch, b"a wonderful film\nand\0more\ngreat\n")
    assert run(["infer", "--model", str(streaming_bundle), "--follow", "-", *form]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: -:2: not a text: a zero byte at offset 20 ")
    assert len(out.splitlines()) == 1 + len(form)
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr("rnnx.cli.follow.open_stdin", lambda: zeros)
        assert run(["infer", "--model", str(streaming_bundle), "--follow", "-", *form]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: -:1: not a text: a zero byte at offset 0 ")
    assert err.count("\n") == 1
    assert len(out.splitlines()) == len(form)


def test_the_rest_of_a_long_line_of_numbers_is_no_line(
    stream_bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    command = ["infer", "--model", str(stream_bundles["sensor"]), "--follow", "-", "--jsonl"]
    feed(monkeypatch, b"1,2,3\n" + b"1,2,3," * 20_000 + b"1,2,3\n4,5,6\n")
    assert run(command) == 1
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["line"], item["status"]) for item in items] == [(1, "ok"), (2, "error"), (3, "ok")]
    monkeypatch.setattr(follow_module, "MOST_SKIPPED_BYTES", 1 << 20)
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr("rnnx.cli.follow.open_stdin", lambda: zeros)
        assert run(command) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_follow_without_a_streaming_file_or_with_other_inputs_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "t.txt").write_text("good", encoding="utf-8")
    assert run(["infer", "--follow", str(tmp_path / "t.txt")]) == 4
    assert "no model.stream.onnx: export it with --streaming" in capsys.readouterr().err
    for more in (["--json"], ["--lines"], [str(tmp_path / "t.txt")]):
        assert run(["infer", "--follow", str(tmp_path / "t.txt"), *more]) == 2
        assert "--follow reads one growing text" in capsys.readouterr().err


def test_a_tagger_of_every_script_answers_each_word_of_a_growing_text(
    stream_bundles: dict[str, Path], capsys: Capture
) -> None:
    bundle, tokenizer = read_directory(stream_bundles["ids"]), make_tokenizer()
    text = "電影好\uff01 Le film\u00a0é\u2018s\nดี w5\n\n電"
    config = dataclasses.replace(bundle.config, tokenizer=tokenizer.config)
    stream = Stream(Session(bundle[NAME], device="cpu"), config, tokenizer)
    Follower(stream, "x.txt", 1, as_jsonl=True).follow(io.BytesIO(text.encode()))
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    words = tokenizer.rule.to_words(text.encode(), strip_breaks=True).decode().split()
    assert [item["word"] for item in items] == words
    assert words[:4] == ["電", "影", "好", "!"]
    ids = np.array([tokenizer.encode(text.encode()).ids], np.int32)
    expected = reference_of(stream_bundles["ids"]).predict(ids)[0][1:]
    actual = [list(item["probs"].values()) for item in items]
    np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-5)
