"""Tests that each format of a table, packed or not, gives the same rows."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnx.datasets import Columns, Listener, TableForm, json_rows
from rnnx.datasets.arrow_rows import read_parquet
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_writers import open_writer
from rnnx.datasets.tables import read_table
from rnnx.errors import DataError, MissingExtraError, UntrustedDataError
from tests.datasets.tables import load, load_bytes

ROWS = [("good film", "pos"), ("bad, bad film", "neg"), ("déjà vu", "pos"), ("dull", "neg")]
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]


def to_csv(rows: list[tuple[str, str]]) -> bytes:
    return ("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)).encode()


def to_json_lines(rows: list[tuple[str, str]]) -> bytes:
    return b"".join(json.dumps({"text": t, "label": y}).encode() + b"\n" for t, y in rows)


def to_json(rows: list[tuple[str, str]]) -> bytes:
    return json.dumps([{"text": text, "label": label} for text, label in rows]).encode()


def to_parquet(columns: dict[str, list[Any]]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def to_arrow(columns: dict[str, list[Any]], *, is_stream: bool = False) -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    table, file = pyarrow.table(columns), io.BytesIO()
    with (pyarrow.ipc.new_stream if is_stream else pyarrow.ipc.new_file)(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def to_spreadsheet(rows: list[list[Any]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the [tables] extra")
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


COLUMNS: dict[str, list[Any]] = {"id": [7, 8, 9, 10], "label": [y for _, y in ROWS], "text": [t for t, _ in ROWS]}
CONTENTS: dict[str, Callable[[], bytes]] = {
    ".csv": lambda: to_csv(ROWS),
    ".jsonl": lambda: to_json_lines(ROWS),
    ".ndjson": lambda: to_json_lines(ROWS),
    ".json": lambda: json.dumps(OBJECTS, indent=2).encode(),
    ".parquet": lambda: to_parquet(COLUMNS),
    ".feather": lambda: to_arrow(COLUMNS),
    ".arrow": lambda: to_arrow(COLUMNS, is_stream=True),
    ".xlsx": lambda: to_spreadsheet([["id", "text", "label"], *([1, *row] for row in ROWS)]),
    ".ft": lambda: "".join(f"__label__{label} {text}\n" for text, label in ROWS).encode(),
}


@pytest.mark.parametrize("ending", CONTENTS)
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    loaded = load_bytes(tmp_path, f"reviews{ending}", CONTENTS[ending]())
    assert loaded.pairs == ROWS
    assert (loaded.data.name, loaded.notes, loaded.warnings) == ("reviews", [], [])


@pytest.mark.parametrize("ending", sorted(CONTENTS.keys() - {".arrow"}))
def test_a_format_is_recognised_without_its_ending(tmp_path: Path, ending: str) -> None:
    assert load_bytes(tmp_path, "reviews.txt", CONTENTS[ending]()).pairs == ROWS


@pytest.mark.parametrize("packing", [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".parquet", ".arrow", ".xlsx"])
def test_a_packed_table_is_read(tmp_path: Path, ending: str, packing: tuple[str, Callable[[bytes], bytes]]) -> None:
    packed = packing[1](CONTENTS[ending]())
    loaded = load_bytes(tmp_path, f"reviews{ending}{packing[0]}", packed)
    assert (loaded.pairs, loaded.data.name) == (ROWS, "reviews")
    assert load_bytes(tmp_path, f"packed{ending}", packed).pairs == ROWS  # the first bytes tell


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_table_packed_with_zstandard_is_read(tmp_path: Path, ending: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    path = tmp_path / f"reviews{ending}.zst"
    with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
        file.write(CONTENTS[ending]())
    assert load(path).pairs == ROWS
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cannot be read"):
        load(path)


def test_the_only_table_of_an_archive_is_read(tmp_path: Path) -> None:
    path = tmp_path / "reviews.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/reviews.csv", to_csv(ROWS))
        archive.writestr("README.txt", "about")
        archive.writestr("__MACOSX/data/._reviews.csv", b"\0")
    loaded = load(path)
    assert loaded.pairs == ROWS
    assert loaded.notes == [f"{path}: holds one table, data/reviews.csv"]


@pytest.mark.parametrize("packing", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_table_that_is_cut_short_is_reported(tmp_path: Path, packing: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DataError, match="damaged or cut short"):
        load_bytes(tmp_path, "t.csv.packed", packing(to_csv(ROWS))[:-9])


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnx.datasets.archives._NO_BOMB_BYTES", 1 << 20)
    monkeypatch.setattr("rnnx.datasets.archives._MOST_TIMES_PACKED", 1)
    with pytest.raises(UntrustedDataError, match="but the limit is"):
        load_bytes(tmp_path, "t.csv.gz", gzip.compress(to_csv([("x" * 100, "a")] * 20_000)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.parquet", to_parquet),
        ("t.arrow", to_arrow),
        ("t.arrow", lambda columns: to_arrow(columns, is_stream=True)),
    ],
)
def test_a_damaged_columnar_file_is_reported(tmp_path: Path, name: str, content: Callable[[Any], bytes]) -> None:
    for cut in (3, 40, 200):
        with pytest.raises(DataError, match="is it damaged"):
            load_bytes(tmp_path, name, content(COLUMNS)[:-cut])


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_place_outside_of_the_file_is_not_read(tmp_path: Path, is_stream: bool) -> None:
    """Arrow files have the place of each text, and pyarrow takes it as it is."""
    content = to_arrow({"text": ["one", "three", "five"], "label": ["a", "b", "a"]}, is_stream=is_stream)
    places = b"".join(place.to_bytes(4, "little") for place in (0, 3, 8, 12))
    assert content.count(places) == 1
    damaged = content.replace(places, places[:8] + (-(1 << 30)).to_bytes(4, "little", signed=True) + places[12:])
    with pytest.raises(DataError, match="is it damaged"):
        load_bytes(tmp_path, "d.arrow", damaged)


def test_a_damaged_spreadsheet_is_reported(tmp_path: Path) -> None:
    content = CONTENTS[".xlsx"]()
    for broken in (b"", b"PK\x03\x04", content[:-100], content[:100] + b"\xff" * 200 + content[300:]):
        with pytest.raises(DataError, match=r"not a spreadsheet that can be read|damaged"):
            load_bytes(tmp_path, "t.xlsx", broken)


def test_numbers_and_empty_rows_of_a_spreadsheet(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["Review", "Label"],
        ["good", 1],
        [2012, 0.0],
        [None, None],
        ["x", "1"],
        ["y", False],
        ["z", False],
    ]
    loaded = load_bytes(tmp_path, "t.xlsx", to_spreadsheet(rows))
    assert loaded.pairs == [("good", "1"), ("2012", "0"), ("x", "1"), ("y", "false"), ("z", "false")]
    rows[1][1] = None
    with pytest.raises(DataError, match=r"t\.xlsx: row 2: .*no label; 1 of 5 rows is bad \(row 2\)"):
        load_bytes(tmp_path, "t.xlsx", to_spreadsheet(rows))


def test_missing_cells_of_a_columnar_file_are_bad_rows(tmp_path: Path) -> None:
    content = to_parquet({"text": ["a", None, "b", "c"], "label": [0, 1, 1, None]})
    with pytest.raises(DataError, match=r"row 2: .*no text; 2 of 4 rows are bad \(rows 2, 4\)"):
        load_bytes(tmp_path, "t.parquet", content)
    loaded = load_bytes(tmp_path, "t.parquet", content, form=TableForm(skips_bad_rows=True))
    assert loaded.pairs == [("a", "0"), ("b", "1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": "x"},\n{"text": "b" "label": "y"}]', r"t\.json:2: not JSON"),
        ('[{"text": "a", "label": "x"},\n{"text": "b"', r"t\.json:2: not JSON"),
        ('[{"text": "a", "label": "x"}\n{"text": "b"}]', r"t\.json:2: not a JSON array: ',' expected, not '\{'"),
        ('[{"text": "a", "label": "x"}] more', "more after the end of the JSON array"),
        ('[1, {"text": "a", "label": "x"}, 22]', r"row 1: should be .*, not int; 2 of 3 rows are bad \(rows 1, 3\)"),
        ("[]", "no labelled text"),
        ("", "no labelled text"),
    ],
)
def test_a_bad_json_document_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_bytes(tmp_path, "t.json", content)


def test_an_item_of_an_array_may_be_larger_than_a_piece(tmp_path: Path) -> None:
    rows = [("long " * 50_000, "a"), ("short", "b"), ("é" * 70_000, "a"), ("x", "b")]
    assert load_bytes(tmp_path, "t.json", to_json(rows)).pairs == rows


def test_json_lines_in_a_file_called_json_are_read(tmp_path: Path) -> None:
    assert load_bytes(tmp_path, "t.json", to_json_lines(ROWS)).pairs == ROWS


CELLS = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
NUMBERED = {name: {str(i): cell for i, cell in enumerate(cells)} for name, cells in CELLS.items()}
# What pandas writes for each `orient`, and what services answer.
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "columns": (NUMBERED, "each value is a column, with its cells by the number of their row"),
    "index": ({str(i): row for i, row in enumerate(OBJECTS)}, "each value is a row"),
    "split": (
        {"columns": ["text", "label"], "index": [0, 1, 2, 3], "data": [list(row) for row in ROWS]},
        "the rows are the lists in 'data'",
    ),
    "table": (
        {"schema": {"fields": [{"name": "text"}]}, "data": OBJECTS},
        "the rows are the objects in 'data'; 'schema' is left out",
    ),
    "lists": (CELLS, "each value is a column, with its cells in a list"),
}


@pytest.mark.parametrize("layout", DOCUMENTS)
def test_a_table_in_one_json_object_is_read(tmp_path: Path, layout: str) -> None:
    document, note = DOCUMENTS[layout]
    for indent in (None, 2):
        loaded = load_bytes(tmp_path, "t.json", json.dumps(document, indent=indent).encode())
        assert loaded.pairs == ROWS
        assert loaded.notes == [f"{tmp_path / 't.json'}: {note}"]


def test_a_json_file_with_one_row_is_no_table_in_an_object(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "t.json", b'{"text": "a film", "label": "x"}\n')
    assert (loaded.pairs, loaded.notes) == ([("a film", "x")], [])
    loaded = load_bytes(tmp_path, "t.json", b'{"text": "a film", "label": "x", "names": [{"at": 1}]}')
    assert (loaded.pairs, loaded.notes) == ([("a film", "x")], [])


def test_columns_of_other_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.json:1: the text should be a string"):
        load_bytes(tmp_path, "t.json", b'{"text": ["a", "b"], "label": ["x"]}')


def test_a_json_object_that_is_too_long_says_how_to_save_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "_MOST_CHARACTERS", 1000)
    monkeypatch.setattr(json_rows, "_CHUNK_CHARACTERS", 100)
    with pytest.raises(DataError, match="save one object a line instead"):
        load_bytes(tmp_path, "t.json", json.dumps({name: cells * 100 for name, cells in CELLS.items()}).encode())
    with pytest.raises(DataError, match=r"t\.json:1: not a line of JSON"):  # wrong at its beginning, not too long
        load_bytes(tmp_path, "t.json", b'{"text": "a" "label": "x"}\n' + to_json_lines(ROWS * 100))


def test_a_bad_line_of_fasttext_is_counted(tmp_path: Path) -> None:
    content = "__label__a one\nno label\n__label__b two\n__label__a __label__b both\n"
    with pytest.raises(DataError, match=r"t\.txt:2: no label: .*2 of 4 rows are bad \(lines 2, 4\)"):
        load_bytes(tmp_path, "t.txt", content)


@pytest.mark.parametrize(
    ("module", "name", "content"),
    [
        ("pyarrow", "t.parquet", b"PAR1"),
        ("pyarrow", "t.feather", b"ARROW1"),
        ("pyarrow", "t.csv.zst", b"(\xb5/\xfd"),
        ("openpyxl", "t.xlsx", b"PK\x03\x04"),
    ],
)
def test_a_missing_package_is_answered_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, content: bytes
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{name}: .*{module}: pip install 'rnnx\[tables\]'"):
        load_bytes(tmp_path, name, content)


@pytest.mark.parametrize(("name", "write"), [("t.csv", to_csv), ("t.jsonl", to_json_lines), ("t.json", to_json)])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, name: str, write: Callable[[list[tuple[str, str]]], bytes]
) -> None:
    def measure(count: int) -> int:
        path = tmp_path / name
        path.write_bytes(
            write([(f"the text with number {i}, which is {'long ' * 20}", "ab"[i % 2]) for i in range(count)])
        )
        tracemalloc.start()
        pairs = read_table(TableFile(path), Columns(), TableForm(), Listener())
        assert pairs is not None
        assert sum(1 for _ in pairs) == count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert measure(20_000) < measure(2_000) + (1 << 18)


def test_a_row_group_of_parquet_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is often a single row group, which does not fit into memory."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    from pyarrow import parquet

    sizes: list[int] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(-1 if size is None else size)
            sizes.append(len(found or b""))
            return found or b""

    texts = [f"{i} {i * i}" for i in range(100_000)]
    path = tmp_path / "t.parquet"
    parquet.write_table(
        pyarrow.table({"text": texts}), path, compression="none", use_dictionary=False, data_page_size=1 << 14
    )
    monkeypatch.setattr(TableFile, "open", lambda file: Watched(file.path))
    table = read_parquet(TableFile(path), Columns(), TableForm())
    assert [row.cells[0] for row in table.rows([0])] == texts
    assert path.stat().st_size > 1_000_000
    assert max(sizes) <= 1 << 17


@pytest.mark.parametrize(("text", "groups"), [("short", 1), ("long " * 400, 2)])
def test_the_row_groups_of_written_parquet_are_large(text: str, groups: int) -> None:
    """A footer of a group for each thousand rows would grow in memory, and makes a file slow to read."""
    pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    from pyarrow import parquet

    file = io.BytesIO()
    writer = open_writer(file, ".parquet", ["text"], None, [])
    for i in range(5_000):
        writer.write([f"{text}{i}"])
    writer.close()
    assert parquet.ParquetFile(file).metadata.num_row_groups == groups
    assert parquet.read_table(file)["text"].to_pylist() == [f"{text}{i}" for i in range(5_000)]
