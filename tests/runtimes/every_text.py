"""Compares the ids of the rule `unicode-14` in every runtime of this machine, on as many texts as are wanted.

The texts are every character between letters, drawn strings, lines of many languages, and files of texts, a text a
line. The lines are also cut into pieces, because a model of `tests.runtimes.id_model` answers with the last 64 ids.
The vocabulary has the most frequent words of the files. Each sample of `rnnx embed` runs its own `--golden`.

    python -m tests.runtimes.every_text [FILE ...] [--count 5000] [--drawn 20000] [--only RUNTIME ...]
"""
# ruff: noqa: T201  # a table for a person

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rnnx.bundle.find_model import find_directory
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Tokenizer, to_batch
from rnnx.text.unicode_table import CHARACTER_COUNT
from tests.runtimes.engines import TOKENIZER_ENGINES
from tests.runtimes.id_model import between_letters, make_id_model, make_rows, make_tokenizer, write_id_bundle
from tests.runtimes.samples import NEEDS, Project, missing
from tests.unicode_texts import LINES, PIECES, draw_texts

# The texts in one golden.json, of which the sample in C reads 1,000; and in one batch of an engine of this process.
_ROWS, _MOST_IN_C, _BATCH = 5000, 1000, 50
_PIECE = 60  # characters; each is one token at most, and the start id is one more
_VOCABULARY = 20_000
# Counts the texts whose ids are right.
Run = Callable[[Sequence[bytes]], int]


def read_lines(path: Path, count: int) -> list[bytes]:
    """Reads at most `count` lines of a file, evenly spaced; the file may be the only one of a .zip archive."""
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    lines = data.splitlines()
    return [lines[i] for i in np.linspace(0, len(lines) - 1, min(count, len(lines))).astype(int)]


def cut(texts: Sequence[bytes]) -> list[bytes]:
    """Returns the texts and their pieces."""
    pieces: list[bytes] = []
    for text in texts:
        characters = text.decode("utf-8", "surrogateescape")
        if len(characters) > _PIECE:
            starts = range(0, len(characters), _PIECE)
            pieces += [characters[start : start + _PIECE].encode("utf-8", "surrogateescape") for start in starts]
    return [*texts, *pieces]


def collect_texts(files: Sequence[Path], count: int, drawn: int) -> dict[str, list[bytes]]:
    """Returns the texts by the name of their source."""
    after = range(CHARACTER_COUNT, 0x110000)
    return {
        "every character": [*between_letters(range(CHARACTER_COUNT), 20), *between_letters(after, 31)],
        "drawn": draw_texts(np.random.default_rng(19), drawn, 40),
        "languages": cut([*LINES, *(line.decode().swapcase().encode() for line in LINES)]),
        **{path.name: cut(read_lines(path, count)) for path in files},
    }


def in_process(load: Callable[[Path], tuple[str, Callable[..., object]]], model: Path, tokenizer: Tokenizer) -> Run:
    """Returns a run of an engine of this process: in batches, with one text of each batch alone as well."""
    _, run = load(model)

    def count_right(texts: Sequence[bytes]) -> int:
        right = 0
        for start in range(0, len(texts), _BATCH):
            batch = [text or b"\0" for text in texts[start : start + _BATCH]]
            expected = tokenizer.pad([tokenizer.encode(text).ids for text in batch])
            is_right = (np.asarray(run(to_batch(batch))) == expected).all(axis=1)
            is_right[0] &= np.array_equal(np.asarray(run(to_batch(batch[:1]))), expected[:1])
            right += int(is_right.sum())
        return right

    return count_right


def load_onnxruntime(model: Path) -> tuple[str, Callable[..., object]]:
    """Loads the file into onnxruntime."""
    session = Session(model.read_bytes(), device="cpu")
    return "", lambda text: session.run(text)[0]


def in_sample(project: Project, tokenizer: Tokenizer) -> Run:
    """Returns a run of a sample: each text alone, and thousands in one batch."""
    count = _MOST_IN_C if project.target == "c" else _ROWS

    def count_right(texts: Sequence[bytes]) -> int:
        right = 0
        for start in range(0, len(texts), count):
            rows = texts[start : start + count]
            project.use_golden(make_rows(tokenizer, rows))
            row = project.run_golden()
            assert row.count == 2 * len(rows)  # each alone, and in the batch
            right += row.right // 2
        return right

    return count_right


def find_runs(folder: Path, tokenizer: Tokenizer, only: Sequence[str]) -> Iterator[tuple[str, Run]]:
    """Yields the name and the run of every runtime of this machine."""
    bundle = write_id_bundle(folder / "ids", tokenizer, [b"a"])
    model = bundle / "model.text.onnx"
    for name, load in {"onnxruntime": load_onnxruntime, **TOKENIZER_ENGINES}.items():
        if is_wanted(name, only, None if importlib.util.find_spec(name) else f"pip install {name}"):
            yield name, in_process(load, model, tokenizer)
    for target in (*NEEDS, "wasm"):
        needed = "node" if target == "wasm" else target
        if is_wanted(target, only, missing(needed)):
            project = Project(needed, find_directory("imdb"), folder / target)
            if target == "wasm":
                project.use_wasm()
            project.use(bundle)
            yield target, in_sample(project, tokenizer)


def is_wanted(name: str, only: Sequence[str], absent: str | None) -> bool:
    """Whether a runtime is to be run; says on stderr what it needs if it cannot be run."""
    if only and name not in only:
        return False
    if absent:
        print(f"{name}: left out; needs {absent}", file=sys.stderr)
    return not absent


def main() -> None:
    """Runs everything and prints a line for each runtime and source as it comes."""
    parser = argparse.ArgumentParser(description="Compares the ids of the rule unicode-14 in every runtime.")
    parser.add_argument("files", nargs="*", type=Path, help="files of texts, a text a line")
    parser.add_argument("--count", type=int, default=5000, help="texts of each file")
    parser.add_argument("--drawn", type=int, default=20_000, help="drawn strings")
    parser.add_argument("--only", nargs="*", default=[], help="runtimes; by default every one of this machine")
    arguments = parser.parse_args()
    sources = collect_texts(arguments.files, arguments.count, arguments.drawn)
    real = [text for name, texts in sources.items() if name not in ("every character", "drawn") for text in texts]
    tokenizer = make_tokenizer([*real, b" ".join(PIECES), b"a'b aab ab b"], _VOCABULARY)
    print(f"{len(tokenizer.vocabulary):,} words, {len(make_id_model(tokenizer)):,} bytes\n")
    print("| runtime | source | texts | right | seconds |\n|---|---|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for runtime, run in find_runs(Path(folder), tokenizer, arguments.only):
            for source, texts in sources.items():
                started = time.perf_counter()
                right = run(sorted(texts, key=len))
                seconds = time.perf_counter() - started
                print(f"| {runtime} | {source} | {len(texts):,} | {right:,} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
