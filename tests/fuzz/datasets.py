"""Draws tables and archives of labelled texts: valid, unusual and broken ones."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.mutations import NASTY_BYTES, edited_json, joined, mangled

_ROW = (b"great film,pos\n", b"bad film,neg\n", b'"a, b",pos\n', b'"two\nlines",neg\n', b"text,label\n", b"x,pos\r\n")
_SYNTAX = (b'"', b'""', b",", b"\t", b"\n", b"\r", b"pos", b"neg", b"text", b"label", b"a b", b"0", b"\xe9")
csv_files = st.one_of(
    joined(_ROW).map(lambda rows: b"text,label\n" + rows),
    joined((*_ROW, *_SYNTAX, *NASTY_BYTES)).map(lambda rows: b"text,label\n" + rows),
    mangled(b'text,label\ngreat film,pos\n"bad, bad",neg\nfine,pos\ndull,neg\n'),
    joined((*_ROW, *_SYNTAX)),
)
tsv_files = csv_files.map(lambda data: data.replace(b",", b"\t"))

_OBJECTS = (
    {"text": "great film", "label": "pos"},
    {"text": "bad film", "label": "neg"},
    {"text": "x", "label": 1, "more": [{}]},
)
_LINES = tuple(json.dumps(row).encode() + b"\n" for row in _OBJECTS)
_JSON = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"text"',
    b'"label"',
    b":",
    b",",
    b'"',
    b"\\u",
    b"\\ud800",
    b"0",
    b"-",
    b"null",
    b"\n",
    b" ",
)
jsonl_files = st.one_of(
    joined((*_LINES, b"\n")),
    joined((*_LINES, *_JSON, *NASTY_BYTES)),
    mangled(b"".join(_LINES)),
    st.lists(st.sampled_from(_OBJECTS).flatmap(lambda row: edited_json(row, most=2)), max_size=4).map(b"\n".join),
)

json_files = st.one_of(
    st.lists(st.sampled_from(_OBJECTS), max_size=4).map(lambda rows: json.dumps(rows).encode()),
    st.lists(st.sampled_from((*_LINES, *_JSON, *NASTY_BYTES)), max_size=8).map(
        lambda parts: b"[" + b",".join(parts) + b"]"
    ),
    mangled(json.dumps(_OBJECTS, indent=1).encode()),
)


@st.composite
def _packed(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draws the name and the bytes of a packed table; they may be changed after packing."""
    packings: dict[str, Any] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    ending = draw(st.sampled_from(sorted(packings)))
    data = packings[ending](draw(csv_files))
    return f"a.csv{ending}", draw(mangled(data)) if draw(st.booleans()) else data


packed_files = _packed()


def _columnar() -> st.SearchStrategy[tuple[str, bytes]]:
    """Changed files in Parquet, Arrow and .xlsx; packed ones, if the packages of [tables] are not installed."""
    try:
        import openpyxl
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return packed_files
    table = pyarrow.table({key: [str(row[key]) for row in _OBJECTS * 3] for key in ("text", "label")})
    files = {name: io.BytesIO() for name in ("a.parquet", "a.feather", "a.arrow", "a.xlsx")}
    parquet.write_table(table, files["a.parquet"])
    writers: dict[str, Any] = {"a.feather": pyarrow.ipc.new_file, "a.arrow": pyarrow.ipc.new_stream}
    for name, new in writers.items():
        with new(files[name], table.schema) as writer:
            writer.write_table(table)
    book = openpyxl.Workbook()
    rows: tuple[tuple[object, object], ...] = (("text", "label"), ("great", 1), ("bad", 0), ("fine", 1), ("dull", 0))
    for row in rows:
        book.active.append(row)
    book.save(files["a.xlsx"])
    return st.sampled_from(sorted(files)).flatmap(
        lambda name: mangled(files[name].getvalue()).map(lambda data: (name, data))
    )


columnar_files = _columnar()

# The first six are paths of texts in a valid archive; the others are not.
_MEMBERS = (
    "train/pos/1.txt", "train/neg/1.txt", "train/pos/2_7.txt", "train/neg/0_3.txt", "test/pos/1.txt",
    "test/neg/9.txt", "train/unsup/1.txt", "train/urls_pos.txt", "train/urls_neg.txt", "a/train/pos/3.txt",
    "train/pos/note.md", "../train/pos/4.txt", "/train/pos/5.txt", "../../secret.txt", "train/../train/neg/6.txt",
    "train//pos/7.txt", "./train/pos/8.txt", "train/\x1b[31m/1.txt", "train/\u202e/1.txt", "train/p\nq/1.txt",
    "train/\udcff/1.txt", "train/ /1.txt", "C:\\train\\pos\\1.txt", "train/pos/" + "a" * 120 + ".txt",
    "train/" + "b" * 300 + "/1.txt", "/".join("d" * 40) + "/train/pos/1.txt", "", ".", "/", "train/pos/.txt",
)  # fmt: skip
_GOOD = _MEMBERS[:6]
names = st.one_of(st.sampled_from(_GOOD), st.sampled_from(_GOOD), st.sampled_from(_MEMBERS))
contents = st.sampled_from(
    (
        b"a great film",
        b"a bad film",
        b"",
        b"\xef\xbb\xbfwith a mark",
        b"\xff\xfe\0",
        b"x" * 2000,
        b"http://www.imdb.com/title/tt0001/\n" * 9,
    )
)
_TYPES = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.DIRTYPE,
    tarfile.CONTTYPE,
    tarfile.GNUTYPE_SPARSE,
    b"Z",
)
_FORMATS = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
_PACKINGS: dict[str, Any] = {
    ".tar": lambda data: data,
    ".tar.gz": lambda data: gzip.compress(data, 1, mtime=0),
    ".tar.xz": lambda data: lzma.compress(data, preset=0),
    ".tar.bz2": lambda data: bz2.compress(data, 1),
}


@st.composite
def tars(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draws the file ending and the bytes of a tar, with odd members, or with bytes changed before or after packing."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=draw(st.sampled_from(_FORMATS)), errors="surrogateescape") as tar:
        for _ in range(draw(st.integers(0, 6))):
            member, data = tarfile.TarInfo(draw(names)), draw(contents)
            member.size = len(data)
            if draw(st.integers(0, 4)) == 0:
                member.type = draw(st.sampled_from(_TYPES))
                member.linkname = draw(
                    st.sampled_from(("train/pos/1.txt", "../secret.txt", "/etc/passwd", "train", ""))
                )
            if draw(st.integers(0, 9)) == 0:
                member.pax_headers = {
                    draw(st.sampled_from(("path", "size", "GNU.sparse.map", "comment"))): draw(
                        st.sampled_from(("x", "-1", "9" * 30))
                    )
                }
            try:
                tar.addfile(member, io.BytesIO(data) if member.isreg() else None)
            except ValueError:  # a name that the format does not have
                continue
    data = file.getvalue()
    how = draw(st.integers(0, 3))
    data = draw(mangled(data)) if how == 0 else data
    ending = draw(st.sampled_from(sorted(_PACKINGS)))
    data = _PACKINGS[ending](data)
    return draw(st.sampled_from((ending, ending, ending, ".tgz", ".tar"))), draw(mangled(data)) if how == 1 else data


@st.composite
def zips(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draws the file ending and the bytes of a zip, with odd members or changed bytes."""
    file = io.BytesIO()
    how = draw(
        st.sampled_from(
            (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        )
    )
    with zipfile.ZipFile(file, "w", how, strict_timestamps=False) as archive:
        for name in dict.fromkeys(draw(st.lists(names, max_size=6))):
            member = zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x")
            member.compress_type = how
            member.external_attr = draw(st.sampled_from((0, 0, 0o120777 << 16, 0o40755 << 16)))
            archive.writestr(member, draw(contents))
    data = file.getvalue()
    return ".zip", draw(mangled(data)) if draw(st.integers(0, 2)) == 0 else data


archives = st.one_of(tars(), zips())
