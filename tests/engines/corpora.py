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


ODD_TEXTS = (b"fine", None, b"caf\xe9", b"", b"a\0b", b"good " * 2_000_000)
ODD_ROWS_WITH_AN_ANSWER = (True, False, True, True, False, True)


def write_odd_texts(folder: Path) -> list[Path]:
    """Writes a file with a column of bytes and one with a column of strings, both with texts that are not UTF-8."""
    import pyarrow
    from pyarrow import parquet

    column, paths = pyarrow.array(ODD_TEXTS, pyarrow.binary()), []
    for name, texts in (("odd-bytes", column), ("odd-strings", column.view(pyarrow.string()))):
        paths.append(folder / f"{name}.parquet")
        parquet.write_table(pyarrow.table({"review": texts}), paths[-1])
    return paths


def require_odd_answers(out: Path) -> None:
    """Checks that each odd text has its row, with the answer of `predict` or an error."""
    from pyarrow import parquet

    import rnnx

    rows = zip(ODD_TEXTS, ODD_ROWS_WITH_AN_ANSWER, strict=True)
    given = [text for text, has_answer in rows if has_answer and text is not None]
    expected = [prediction.probability for prediction in rnnx.load("imdb").predict(given)]
    for name in ("odd-bytes", "odd-strings"):
        columns = parquet.read_table(next(out.glob(f"{name}.*")), columns=["probability", "error"]).to_pydict()
        assert [error is None for error in columns["error"]] == list(ODD_ROWS_WITH_AN_ANSWER)
        assert [value for value in columns["probability"] if value is not None] == expected


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
