"""Tests `rnnx infer` as a user types it: every form of output, and one clear line for every bad input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnx.bundle.find_model import find_directory
from rnnx.cli import run
from rnnx.runtime import session
from tests.fake_cuda import FakeCuda


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.txt").write_text("A wonderful film, I loved it.", encoding="utf-8")
    return str(tmp_path / "good.txt")


def write(tmp_path: Path, name: str, data: bytes) -> str:
    (tmp_path / name).write_bytes(data)
    return str(tmp_path / name)


Capture = pytest.CaptureFixture[str]


def test_a_pipe_gets_tab_separated_lines(good: str, capsys: Capture) -> None:
    assert run(["infer", good]) == 0
    out, err = capsys.readouterr()
    source, label, probability = out.rstrip("\n").split("\t")
    assert (source, label) == (good, "pos")
    assert 0.5 < float(probability) <= 1
    assert err == ""


def test_json_is_one_document_with_the_promised_fields(good: str, capsys: Capture) -> None:
    assert run(["infer", "--json", good, good]) == 0
    items = json.loads(capsys.readouterr().out)
    assert len(items) == 2
    item = items[0]
    assert list(item) == [
        "source",
        "line",
        "status",
        "label",
        "label_id",
        "probability",
        "probs",
        "tokens",
        "truncated",
    ]
    assert (item["source"], item["line"], item["status"]) == (good, None, "ok")
    assert (item["label"], item["label_id"], item["tokens"], item["truncated"]) == ("pos", 1, 6, False)
    assert item["probability"] == item["probs"]["pos"]


def test_lines_are_answered_in_order(tmp_path: Path, capsys: Capture) -> None:
    texts = ["bad " * (i % 50) + ("awful" if i % 2 else "wonderful") for i in range(300)]
    path = write(tmp_path, "lines.txt", "\r\n".join(texts).encode())
    assert run(["infer", "--lines", "--jsonl", path]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["line"] for item in items] == list(range(1, 301))
    assert [item["tokens"] for item in items] == [i % 50 + 1 for i in range(300)]


def test_an_empty_line_is_a_text_without_words(tmp_path: Path, capsys: Capture) -> None:
    assert run(["infer", "--lines", "--jsonl", write(tmp_path, "l.txt", b"good\n\nbad\n")]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["status"], item["tokens"]) for item in items] == [("ok", 1), ("ok", 0), ("ok", 1)]


def test_a_dash_reads_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"wonderful\nawful\n")))
    assert run(["infer", "--lines", "-"]) == 0
    assert [line.split("\t")[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["-", "1", "pos"],
        ["-", "2", "neg"],
    ]


def test_a_bad_file_among_good_ones_fails_only_its_own_item(tmp_path: Path, good: str, capsys: Capture) -> None:
    files = [
        good,
        str(tmp_path / "missing.txt"),
        str(tmp_path),
        write(tmp_path, "empty.txt", b""),
        write(tmp_path, "binary.bin", b"\x7fELF\x00\x01"),
        good,
    ]
    assert run(["infer", "--json", *files]) == 1
    out, err = capsys.readouterr()
    assert [item["status"] for item in json.loads(out)] == ["ok", "error", "error", "error", "error", "ok"]
    reasons = [
        "No such file",
        "a folder, not a file",
        "the file is empty",
        "not a text: a zero byte at offset 4",
    ]
    lines = err.splitlines()
    assert len(lines) == 4
    for line, file, reason in zip(lines, files[1:5], reasons, strict=True):
        assert line.startswith(f"error: {file}: ")
        assert reason in line


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("lines", [[], ["--lines"]])
def test_a_file_that_fails_while_it_is_read_fails_only_its_own_item(
    good: str, lines: list[str], capsys: Capture
) -> None:
    """`/proc/self/mem` opens without an error and fails at the first read, even for root."""
    assert run(["infer", *lines, good, "/proc/self/mem", good]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err == "error: /proc/self/mem: Input/output error\n"


def test_a_bad_line_fails_only_itself(tmp_path: Path, capsys: Capture) -> None:
    assert run(["infer", "--lines", "--jsonl", write(tmp_path, "l.txt", b"good\nx\0y\nbad\n")]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["ok", "error", "ok"]
    assert "l.txt:2: not a text" in err


def test_invalid_utf8_is_answered_with_a_warning(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, "latin1.txt", "a café film, wonderful, I loved it".encode("latin-1"))
    assert run(["infer", path]) == 0
    out, err = capsys.readouterr()
    assert out.split("\t")[1] == "pos"
    assert err == f"warning: {path}: not UTF-8 at byte 5; read all the same, byte by byte\n"


def test_a_line_of_50_megabytes_is_truncated_and_answered(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, "long.txt", b"word " * 10_000_000 + b"wonderful\nawful\n")
    assert run(["infer", "--lines", "--jsonl", path]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["tokens"], first["truncated"], first["status"]) == (10_000_001, True, "ok")
    assert (second["label"], second["truncated"]) == ("neg", False)


def test_an_unknown_model_is_answered_with_the_shipped_names(good: str, capsys: Capture) -> None:
    assert run(["infer", "--model", "imbd", good]) == 4
    err = capsys.readouterr().err
    assert err.startswith("error: imbd: no such model or path; the shipped models are ")
    assert "imdb" in err
    assert len(err.splitlines()) == 1


def test_a_truncated_model_file_is_named(tmp_path: Path, good: str, capsys: Capture) -> None:
    bundle = Path(shutil.copytree(find_directory("imdb"), tmp_path / "bundle"))
    for name in ("model.onnx", "model.batch.onnx"):
        (bundle / name).write_bytes((bundle / name).read_bytes()[:-100])
    (bundle / "vocabulary.txt").unlink()
    assert run(["infer", "--model", str(bundle), good]) == 4
    err = capsys.readouterr().err
    assert "missing: vocabulary.txt; altered: model.batch.onnx;" in err  # it reads no other file
    assert len(err.splitlines()) == 1
    assert run(["info", str(bundle)]) == 4
    assert "missing: vocabulary.txt; altered: model.batch.onnx, model.onnx;" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["infer"], ["infer", "--device", "tpu", "x"], ["infer", "--batch-size", "0", "x"], ["imfer", "x"]]
)
def test_a_wrong_call_is_one_line_and_exits_with_2(arguments: list[str], capsys: Capture) -> None:
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_k_shows_more_labels_and_a_threshold_moves_the_choice(good: str, capsys: Capture) -> None:
    assert run(["infer", "-k", "2", good]) == 0
    assert capsys.readouterr().out.split("\t")[1::2] == ["pos", "neg"]
    assert run(["infer", "-k", "2", "--threshold", "1", good]) == 0
    assert capsys.readouterr().out.split("\t")[1::2] == ["neg", "pos"]


def test_names_are_escaped_before_they_reach_a_terminal(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, "a\x1b[31mb\n.txt", b"fine")
    assert run(["infer", path, path + "missing"]) == 1
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "a\\x1b[31mb\\n.txt" in out
    assert len(out.splitlines()) == len(err.splitlines()) == 1


def test_missing_cuda_exits_with_5(good: str, capsys: Capture) -> None:
    if not (problems := session.cuda_problems()):
        pytest.skip("this machine has CUDA; the test is about machines without it")
    assert run(["infer", "--device", "cuda", good]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: CUDA is not available: {problems[0]}")
    assert len(err.splitlines()) == 1


def test_auto_says_where_it_runs_if_there_is_a_choice(
    good: str, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["infer", good]) == 0
    assert capsys.readouterr().err == ""
    for figure, device in ((1, "cuda"), (10**9, "cpu")):
        monkeypatch.setattr(session, "CUDA_FROM_STATES", figure)
        assert run(["infer", good]) == 0
        assert capsys.readouterr().err == f"running on {device}\n"
    assert run(["infer", "--device", "cuda", good]) == 0
    assert capsys.readouterr().err == ""
    assert len(cuda.asked) == 4


def test_a_pipe_is_answered_while_it_is_written() -> None:
    """The first answer comes before the writer closes its end."""
    command = [sys.executable, "-m", "rnnx", "infer", "--lines", "--jsonl", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # ours
        assert process.stdin is not None
        assert process.stdout is not None
        for number, text in enumerate((b"a good film\n", b"a bad film\n"), 1):
            process.stdin.write(text)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.write(b"no line end")
        process.stdin.close()
        assert json.loads(process.stdout.readline())["line"] == 3
        assert process.wait(timeout=60) == 0


def test_options_that_exclude_each_other_are_refused(good: str, capsys: Capture) -> None:
    assert run(["infer", "--json", "--jsonl", good]) == 2
    assert capsys.readouterr().err == "error: --json, --jsonl and --conllu exclude each other; give one of them\n"
