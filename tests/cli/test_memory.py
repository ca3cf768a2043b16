"""Tests that `rnnx infer` needs constant memory for any amount of input, by watching its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from rnnx.text.tokenizer import tokenize

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc"),
]

# RNNX_LINES=5000000 takes about half an hour. RNNX_TEXT_MB=2000 takes about a minute for each way to read the text.
LINES = int(os.environ.get("RNNX_LINES", "20000"))
TEXT_MB = int(os.environ.get("RNNX_TEXT_MB", "48"))
# How far the memory may grow after the first tenth of the lines, and how much more a long text may take than one word.
MOST_GROWTH_MB = 48

WORDS = ("wonderful", "awful", "the", "film", "plot", "it's", "café", "1984", "and", "dull")
ODD = (b"", b"\r", b" ", b"\xff\xfe odd", b"<br />", b"\x1b[31m red", b"\xe2\x80", b"don't", b"\t\t", b"a\x0bb\x0cc")
ANSWER_KEYS = {"source", "line", "status", "label", "label_id", "probability", "probs", "tokens", "truncated"}


def make_lines() -> Iterator[bytes]:
    """Yields as many lines as asked for: of varied lengths, empty, with odd bytes, and now and then very long."""
    rng = np.random.default_rng(3)
    pool = [" ".join(rng.choice(WORDS, int(rng.integers(1, 25)))).encode() for _ in range(997)]
    for i in range(LINES):
        if i % 5_000 == 4_999:
            yield pool[i % len(pool)] * 40_000
        elif i % 100 == 99:
            yield pool[i % len(pool)] * 40
        elif i % 50 == 17:
            yield b"zero \0 byte"
        else:
            yield ODD[i // 10 % len(ODD)] if i % 10 == 3 else pool[i % len(pool)]


def infer(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rnnx", "infer", "--model", "imdb-article", "--jsonl", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603  # ours


def memory_mb(process: subprocess.Popen[bytes], what: str = "VmRSS") -> float:
    """Returns the memory of a process now (`VmRSS`), or its maximum so far (`VmHWM`)."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(what))


def feed(stdin: IO[bytes]) -> None:
    with stdin:
        stdin.writelines(line + b"\n" for line in make_lines())


def test_every_line_is_answered_in_order_in_constant_memory() -> None:
    began = time.monotonic()
    peaks: dict[int, float] = {}
    with infer("--lines", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = threading.Thread(target=feed, args=(process.stdin,))
        feeding.start()
        for number, (line, answer) in enumerate(zip(make_lines(), process.stdout, strict=True), 1):
            item = json.loads(answer)
            assert item["line"] == number
            if b"\0" in line:
                assert item["status"] == "error"
            else:
                assert item.keys() == ANSWER_KEYS
                assert item["tokens"] == len(tokenize(line, strip_breaks=True))
                assert item["truncated"] == (item["tokens"] > 500)
            if (number + LINES // 20) * 10 % LINES == 0:  # a process may have ended once its last line is written
                peaks[number] = memory_mb(process, "VmHWM")
        feeding.join()
        assert process.wait() == 1, "some lines are not texts"
    said = ", ".join(f"{number:,}: {peak:.0f} MB" for number, peak in peaks.items())
    print(f"{LINES:,} lines in {time.monotonic() - began:.0f} s; at most, up to line {said}")  # noqa: T201
    assert len(peaks) == 10
    assert max(peaks.values()) - peaks[LINES // 20] < MOST_GROWTH_MB


@pytest.mark.parametrize("options", [(), ("--lines",)])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_long_text_takes_no_more_memory_than_a_short_one(
    tmp_path: Path, options: tuple[str, ...], source: str
) -> None:
    piece = b"the film and " * (1 << 16)
    count = max(1, (TEXT_MB << 20) // len(piece))
    path = tmp_path / "text.txt"
    peaks = []
    for repeats in (0, count):
        with path.open("wb") as file:
            file.writelines([piece] * repeats)
            file.write(b"wonderful")
        with path.open("rb") as file, infer(*options, "-" if source == "stdin" else str(path)) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if source == "stdin":
                while data := file.read(1 << 20):
                    process.stdin.write(data)
            process.stdin.close()
            item = json.loads(process.stdout.readline())
            peaks.append(memory_mb(process, "VmHWM"))
            process.stdout.read()
            assert process.wait() == 0
        assert (item["tokens"], item["truncated"]) == (repeats * 3 * (1 << 16) + 1, repeats > 0)
    path.unlink()
    print(f"{path.name} of {TEXT_MB} MB from {source} {' '.join(options)}: {peaks[0]:.0f} and {peaks[1]:.0f} MB")  # noqa: T201
    assert peaks[1] - peaks[0] < MOST_GROWTH_MB
