"""Tests a corpus in, a folder of shards out: each row once, also if a worker or the command is killed."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import pytest

import rnnx
from rnnx.cli import run
from rnnx.engines import local_pool, row_spans
from rnnx.engines.corpus_files import absolute, find_files
from rnnx.errors import UsageError
from rnnx.files.locks import lock_folder
from tests.engines.corpora import (
    read_answers,
    require_answers,
    require_odd_answers,
    review,
    write_corpus,
    write_lines,
    write_odd_texts,
)
from tests.engines.kills import kill, moments

pa = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the [tables] extra")

Capture = pytest.CaptureFixture[str]
Record = Callable[[str, object], None]
ROOT = Path(rnnx.__file__).parents[1]


def infer(out: Path, *arguments: object) -> int:
    return run(["infer", *map(str, arguments), "--text-column", "review", "--out", str(out)])


def computed(capsys: Capture) -> int:
    """How many rows the last command says that it has computed."""
    found = re.search(r"computed ([\d,]+) rows", capsys.readouterr().err)
    assert found
    return int(found[1].replace(",", ""))


def test_each_row_is_answered_once_as_by_predict(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "in", 300, 4)
    assert infer(tmp_path / "out", tmp_path / "in" / "*.parquet", "--workers", 1) == 0
    assert computed(capsys) == 300
    require_answers(tmp_path / "out", 300)


def test_a_finished_job_computes_nothing(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "in", 100, 2)
    infer(tmp_path / "out", tmp_path / "in", "--workers", 1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert infer(tmp_path / "out", tmp_path / "in", "--workers", 1) == 0
    assert computed(capsys) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_a_missing_shard_and_a_new_file_are_computed(tmp_path: Path, capsys: Capture) -> None:
    paths = write_corpus(tmp_path / "in", 120, 3)
    infer(tmp_path / "out", *paths[:2], "--workers", 1)
    next((tmp_path / "out").glob("part-1.*")).unlink()
    (tmp_path / "out" / ".part-1.parquet.0123456789abcdef.rnnx").write_text("left by a kill", encoding="utf-8")
    capsys.readouterr()
    assert infer(tmp_path / "out", *paths, "--workers", 1) == 0
    assert computed(capsys) == 80
    require_answers(tmp_path / "out", 120)


def test_lines_are_cut_into_spans_and_keep_all_keys(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_spans, "BYTES_PER_TASK", 1000)
    path = write_lines(tmp_path / "reviews.jsonl", 200)
    assert infer(tmp_path / "out", path, "--workers", 1) == 0
    assert computed(capsys) == 200
    assert len(list((tmp_path / "out").glob("*.jsonl"))) > 20
    require_answers(tmp_path / "out", 200)


@pytest.mark.parametrize("size", [*range(1, 30), 64, 1000])
def test_any_span_of_bytes_gives_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(row_spans, "BYTES_PER_TASK", size)
    monkeypatch.setattr(row_spans, "_BLOCK_BYTES", 3)
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"{}\n\n" + b'{"a": 1}\r\n' * 5 + b"x" * 40 + b"\nlast")
    tasks = [
        row_spans.CorpusTask(str(path), "lines", start, start + size, None)
        for start in range(0, path.stat().st_size, size)
    ]
    assert b"".join(map(row_spans.read_lines, tasks)) == path.read_bytes()


def test_a_line_without_end_is_one_error_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(row_spans, "BYTES_PER_TASK", 1 << 16)
    monkeypatch.setattr(row_spans, "_MOST_LINE_BYTES", 1 << 20)
    path = write_lines(tmp_path / "reviews.jsonl", 1000)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(5 << 20)
    spans = [row_spans.CorpusTask(str(path), "lines", at, at + (1 << 16), None) for at in range(0, 5 << 20, 1 << 16)]
    assert sum(map(len, map(row_spans.read_lines, spans[: size >> 16]))) > size - (1 << 17)
    assert infer(tmp_path / "out", path, "--workers", 1) == 1
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    assert f"{path}: a line of 1 MB or more" in message


def test_a_pipe_is_one_error(tmp_path: Path, capsys: Capture) -> None:
    os.mkfifo(tmp_path / "p.jsonl")
    path = write_lines(tmp_path / "reviews.jsonl", 10)
    assert infer(tmp_path / "out", tmp_path / "p.jsonl", path, "--workers", 1) == 1
    message = capsys.readouterr().err
    assert "p.jsonl: a pipe or a device, not a file" in message
    assert "computed 10 rows" in message


def test_csv_is_answered_whole(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.csv").write_text('id,review\n1,"good\nfilm"\n2,bad\n3,\n', encoding="utf-8")
    (tmp_path / "b.tsv").write_text("id\treview\n4\tbad\n", encoding="utf-8")
    assert infer(tmp_path / "out", tmp_path / "a.csv", tmp_path / "b.tsv", "--workers", 1) == 0
    assert computed(capsys) == 4
    first = next((tmp_path / "out").glob("*.csv")).read_text(encoding="utf-8").splitlines()
    assert first[0] == "id,review,label,probability,probabilities,error"
    assert first[1:3] == ['1,"good', first[2]]
    assert "neg" in next((tmp_path / "out").glob("*.tsv")).read_text(encoding="utf-8")


def test_what_cannot_be_answered_is_said_and_the_job_goes_on(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "in"
    good, cut, broken = write_corpus(folder, 90, 3)
    cut.write_bytes(cut.read_bytes()[:-100])
    data = bytearray(broken.read_bytes())
    data[4:300] = bytes(296)  # the pages of the first column
    broken.write_bytes(data)
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "notes.doc").write_bytes(b"x")
    (folder / "_SUCCESS").write_bytes(b"")
    write_odd_texts(folder)
    parquet.write_table(pa.table({"other": ["x"]}), folder / "other.parquet")
    (folder / "lines.jsonl").write_text('{"review": "good"}\nnot JSON\n{"review": 1}\n', encoding="utf-8")
    assert infer(tmp_path / "out", folder, "--workers", 1) == 1
    error = capsys.readouterr().err
    for name, what in [
        (cut.name, "is it damaged"),
        (broken.name, "is it damaged"),
        ("empty.parquet", "the file is empty"),
        ("notes.doc", "not a table"),
        ("other.parquet", "no column 'review'"),
    ]:
        assert re.search(rf"error: \S*{name}: .*{what}", error), (name, error)
    assert "6 rows have no answer" in error
    names = sorted(path.name.partition(".")[0] for path in (tmp_path / "out").iterdir())
    assert names == ["lines", "manifest", "odd-bytes", "odd-strings", good.stem]
    require_odd_answers(tmp_path / "out")


def test_lines_that_are_not_utf_8_and_a_long_one_are_answered(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    texts = [b"caf\xe9, a joy", b"good " * 2_000_000, b"", b"\xff\xfe"]
    lines = [b'{"id": %d, "review": "%s"}' % row for row in enumerate(texts)]
    (tmp_path / "in" / "t.jsonl").write_bytes(
        b"\n".join([*lines, b'{"id": 4, "review": null}', b'{"id": 5}', b"{", b""])
    )
    assert infer(tmp_path / "out", tmp_path / "in", "--workers", 1) == 1
    assert "3 rows have no answer" in capsys.readouterr().err
    (shard,) = (tmp_path / "out").glob("*.jsonl")
    rows = [json.loads(line) for line in shard.read_bytes().splitlines()]
    expected = [prediction.probability for prediction in rnnx.load("imdb").predict(texts)]
    assert [row["probability"] for row in rows] == [*expected, None, None, None]
    assert [row["error"] is None for row in rows] == [True] * 4 + [False] * 3


def test_another_model_or_option_is_refused(tmp_path: Path, capsys: Capture) -> None:
    paths = write_corpus(tmp_path / "in", 20, 2)
    infer(tmp_path / "out", *paths, "--workers", 1)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    requests: list[tuple[list[object], str]] = [
        ([*paths, "--model", "imdb-article"], "those of another model (imdb, hash "),
        ([*paths, "--threshold", "0.6"], "made with threshold 0.5, not 0.6"),
        ([paths[0]], "those of other files too"),
    ]
    for arguments, message in requests:
        assert infer(tmp_path / "out", *arguments) == 2
        assert message in capsys.readouterr().err
    write_corpus(tmp_path / "in", 22, 2)
    assert infer(tmp_path / "out", *paths) == 2
    assert "has changed since its first answers" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_requests_that_make_no_sense_are_refused(tmp_path: Path, capsys: Capture) -> None:
    (path,) = write_corpus(tmp_path / "in", 10, 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x", encoding="utf-8")
    requests: list[tuple[str, list[object], str]] = [
        ("mine", [path], "it holds files, but no manifest.json"),
        ("out", [tmp_path / "nothing-*.parquet"], "nothing-*.parquet: no such file"),
        ("out", [path, "--probs"], "give no --probs"),
        ("out", [path, "--model", "pos"], "pos: does not label texts"),
        ("out.csv", [path, "--workers", "2"], "give --out a folder"),
        ("out", ["unknown://a/b.parquet"], "unknown://"),
    ]
    for out, arguments, message in requests:
        assert infer(tmp_path / out, *arguments) in (1, 2), message
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_processes_never_write_to_one_folder(tmp_path: Path, capsys: Capture) -> None:
    paths = write_corpus(tmp_path / "in", 10, 1)
    infer(tmp_path / "out", *paths)
    lock = lock_folder(tmp_path / "out")
    assert lock
    try:
        assert infer(tmp_path / "out", *paths) == 2
    finally:
        lock.release()
    assert "another process is writing to it" in capsys.readouterr().err


def test_a_full_disk_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    paths = write_corpus(tmp_path / "in", 10, 1)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnx.engines.corpus_files._sync", fail)
    assert infer(tmp_path / "out", *paths) == 1
    assert "No space left" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


def test_patterns_folders_and_relative_paths_name_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(path) for path in write_corpus(tmp_path / "in" / "a", 10, 2)]
    monkeypatch.chdir(tmp_path / "in")
    for pattern in ("a", "a/*.parquet", "*/part-?.parquet", "../in/a", f"file://{tmp_path}/in/a/*.parquet"):
        assert find_files([pattern, pattern]) == paths, pattern
    assert absolute("x") == str(tmp_path / "in" / "x")
    with pytest.raises(UsageError, match="no such file"):
        find_files(["b"])


def test_the_answers_go_through_fsspec(tmp_path: Path, capsys: Capture) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    paths = write_corpus(tmp_path / "in", 60, 2)
    memory = fsspec.filesystem("memory")
    for path in paths:
        memory.pipe(f"/in/{path.name}", path.read_bytes())
    memory.pipe("/in/t.csv", b"id,review\n60,good\n")
    for expected in (61, 0):
        arguments = ["memory://in/*.*", "--text-column", "review", "--out", "memory://out", "--workers", "1"]
        assert run(["infer", *arguments]) == 0
        assert computed(capsys) == expected
    names = [name.rpartition("/")[2] for name in memory.ls("/out", detail=False)]
    assert len(names) == 4
    assert not [name for name in names if name.startswith(".")]


@pytest.mark.slow
def test_workers_answer_the_same_bits(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "in", 2000, 8)
    assert infer(tmp_path / "out", tmp_path / "in", "--workers", 2) == 0
    assert computed(capsys) == 2000
    require_answers(tmp_path / "out", 2000)


def start(tmp_path: Path, log: Path) -> subprocess.Popen[bytes]:
    arguments = ["infer", str(tmp_path / "in"), "--text-column", "review", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "rnnx", *arguments, "--workers", "2"]
    with log.open("ab") as stream:
        return subprocess.Popen(command, stderr=stream, env={**os.environ, "PYTHONPATH": str(ROOT)})  # noqa: S603  # ours


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The worker processes, without the process that tracks the resources of multiprocessing."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    found = []
    for pid in map(int, children):
        with suppress(OSError):  # it may end while it is looked at
            found += [pid] * (b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return found


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_imports_no_pandas_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("__version__ = '2.2.0'\nSeries = DataFrame = Index = object\n")
    code = """
import sys, pyarrow
from rnnx.engines.shards import prepare_process
prepare_process()
pyarrow.array(["a text"])
print("pandas" in sys.modules)
import pandas  # whoever wants it still finds it
print("pandas" in sys.modules)
"""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("moment", moments(2))
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    tmp_path: Path, capsys: Capture, record_property: Record, victim: str, moment: int
) -> None:
    rows = 8000
    write_corpus(tmp_path / "in", rows, 8)
    log = tmp_path / "log"
    process = start(tmp_path, log)
    wait_until(lambda: len(workers_of(process)) == 2)
    workers = workers_of(process)
    draw = random.Random(moment)  # noqa: S311  # no secret
    done = draw.randrange(5)  # of 8 shards: a time would be after the end on a fast machine
    wait_until(lambda: len(list((tmp_path / "out").glob("[!.]*.parquet"))) >= done)
    time.sleep(draw.uniform(0, 0.1))
    if victim == "worker":
        kill(workers[0], "local worker", record_property)
        assert process.wait(120) == 0, log.read_text(encoding="utf-8")
        assert f"computed {rows:,} rows" in log.read_text(encoding="utf-8")
    else:
        kill(process.pid, "local main process", record_property)
        process.wait()
        wait_until(lambda: not any(map(is_running, workers)), seconds=10)
        kept = sum(parquet.read_metadata(path).num_rows for path in (tmp_path / "out").glob("[!.]*.parquet"))
        assert infer(tmp_path / "out", tmp_path / "in", "--workers", 2) == 0
        assert computed(capsys) == rows - kept
    require_answers(tmp_path / "out", rows)
    assert infer(tmp_path / "out", tmp_path / "in") == 0
    assert computed(capsys) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_ctrl_c_ends_the_workers_and_leaves_nothing_temporary(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "in", 8000, 8)
    process = start(tmp_path, tmp_path / "log")
    wait_until(lambda: any((tmp_path / "out").glob(".part*")))  # a worker is writing
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert (tmp_path / "log").read_text(encoding="utf-8").endswith("error: interrupted\n")
    assert not any(map(is_running, workers))
    assert not any((tmp_path / "out").glob(".*"))
    assert infer(tmp_path / "out", tmp_path / "in", "--workers", 1) == 0
    capsys.readouterr()
    require_answers(tmp_path / "out", 8000)


def test_workers_that_die_again_and_again_end_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def die(*_: object) -> object:
        starts.append(1)
        raise BrokenProcessPool
        yield

    monkeypatch.setattr(local_pool, "_run_pool", die)
    tasks = [row_spans.CorpusTask("a", "file", 0, 0, None)] * 2
    with pytest.raises(rnnx.RnnxError, match="no task got done"):
        list(local_pool.run_locally(None, tasks, 2))  # type: ignore[arg-type]  # no task is run
    assert len(starts) == 4


def test_an_interrupted_job_says_so_and_can_be_continued(tmp_path: Path, capsys: Capture) -> None:
    write_corpus(tmp_path / "in", 200, 2)
    assert infer(tmp_path / "out", tmp_path / "in" / "part-0.parquet") == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["model"] == "imdb"
    capsys.readouterr()
    assert infer(tmp_path / "out", tmp_path / "in") == 0
    assert computed(capsys) == 100
    assert [row["review"] for row in read_answers(tmp_path / "out")] == [review(i) for i in range(200)]
