"""Makes corpora of reviews, and reads the answers to them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = (
    *("the", "a", "film", "was", "good", "bad", "wonderful", "awful", "plot", "boring", "I"),
    *("loved", "hated", "it", "not", "a", "waste", "of", "time", "great", "music"),
)


def review(number: int) -> str:
    """A text that is like no other of the corpus."""
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in range(1, 5 + number % 60))


def write_corpus(folder: Path, rows: int, files: int) -> list[Path]:
    """Writes Parquet files with the columns `id`, `review` and `stars`, of two row groups each."""
    from pyarrow import parquet, table

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in range(files):
        ids = range(file * rows // files, (file + 1) * rows // files)
        columns: dict[str, Any] = {"id": list(ids), "review": list(map(review, ids)), "stars": [i % 5 for i in ids]}
        paths.append(folder / f"part-{file}.parquet")
        parquet.write_table(table(columns), paths[-1], row_group_size=(len(ids) + 1) // 2)
    return paths


def write_lines(path: Path, rows: int) -> Path:
    """Writes JSON lines with the same texts."""
    lines = [json.dumps({"id": i, "review": review(i), "stars": i % 5}) for i in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_answers(folder: Path) -> list[dict[str, Any]]:
    """The rows of all shards, by id; fails if anything else is in the folder."""
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".parquet":
            rows += parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            rows += map(json.loads, path.read_text(encoding="utf-8").splitlines())
        else:
            assert path.name == "manifest.json", path.name
    return sorted(rows, key=lambda row: row["id"])


def require_answers(folder: Path, rows: int, model: str = "imdb") -> None:
    """Checks that each row is there once, with its columns and the answer of `predict`, bit for bit."""
    import rnnx

    answers = read_answers(folder)
    assert [row["id"] for row in answers] == list(range(rows))
    assert [(row["review"], row["stars"]) for row in answers] == [(review(i), i % 5) for i in range(rows)]
    expected = rnnx.load(model).predict(map(review, range(rows)))
    assert [row["label"] for row in answers] == [prediction.label for prediction in expected]
    assert [row["probability"] for row in answers] == [prediction.probability for prediction in expected]
    assert [row["probabilities"] for row in answers] == [prediction.probs for prediction in expected]
    assert {row["error"] for row in answers} == {None}
