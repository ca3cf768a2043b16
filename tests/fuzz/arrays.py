"""Draws `.npy`, `.npz` and `.csv` files of numbers: valid, unusual and broken ones."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.mutations import NASTY_BYTES, joined, mangled

_DTYPES = (
    "<f4", "<f8", "<f2", ">f4", "<i4", "<i8", "<u1", "|b1", "<c8", "<U3", "|S3", "|O", "|V4", "<M8[s]", "<m8[s]",
    "<f16", "", "f", "x", "[('a', '<f4')]", "{'a': 1}", "None", "0", "<U99999999",
)  # fmt: skip
_SHAPES = (
    "(2, 8, 3)", "(2, 8, 2)", "(8, 3)", "(8,)", "(2, 8)", "()", "(0,)", "(0, 8, 3)", "(2, 0, 3)", "(-1, 3)",
    "(4, -2, -3)", "3", "(3)", "(True,)", "(2.0,)", "('a',)", "(1 << 3,)", "(99999999999, 8, 3)",
    "(2147483648, 2147483648, 4)", "(" + "1," * 70 + ")", "None", "[2, 8]", "(" * 300 + ")" * 300,
)  # fmt: skip


@st.composite
def npy(draw: st.DrawFn) -> bytes:
    """Draws a file of one array: written by NumPy, or with a header that NumPy would not write."""
    if draw(st.integers(0, 3)) == 0:
        return draw(mangled(_saved(draw(arrays())), least=0))
    dtype, shape = draw(st.sampled_from(_DTYPES)), draw(st.sampled_from(_SHAPES))
    descr = dtype if dtype.startswith(("[", "{", "N", "0")) else repr(dtype)
    order = draw(st.sampled_from(("False", "False", "True", "2", "None")))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    version = draw(st.sampled_from((1, 1, 1, 2, 3, 0, 9)))
    size = draw(st.sampled_from((len(header), len(header), len(header), 0, 65_535)))
    length = struct.pack("<H", min(size, 65_535)) if version == 1 else struct.pack("<I", size)
    body = draw(st.one_of(st.just(bytes(192)), st.binary(max_size=40)))
    return draw(mangled(b"\x93NUMPY" + bytes([version, 0]) + length + header + body, least=0, most=2))


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Draws an array that a network may be given: mostly numbers, mostly in a shape that a network here reads."""
    shape = draw(
        st.sampled_from(
            ((2, 8, 3), (8, 3), (2, 8, 2), (3, 5, 2), (2, 5), (5,), (0, 3), (2, 0, 3), (), (1, 1, 1, 3), (60,))
        )
    )
    kind = draw(st.sampled_from(("f4", "f8", "f8", "i4", "i8", "u1", "f2", "?", "c8", "U2", "S2", "O", "M8[s]")))
    fill = draw(st.sampled_from((0, 1, 3, 7, -1, 1000)))
    if kind == "O":
        return np.full(shape, None)
    array = np.full(shape, fill % 100).astype(kind)
    if kind in ("f4", "f8") and array.size and draw(st.booleans()):
        array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from((np.nan, np.inf, -np.inf, 1e30, 1e-40)))
    if array.dtype.kind in "iu" and array.size:
        array.flat[-1] = draw(st.integers(0, 20))
    return array


def _saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@st.composite
def npz(draw: st.DrawFn) -> bytes:
    """Draws an archive of arrays, under the names that a data set or a network uses, or under others."""
    keys = draw(
        st.lists(
            st.sampled_from(("x", "y", "lengths", "x_test", "y_test", "lengths_test", "ids", "z", "../x", "")),
            max_size=5,
        )
    )
    file = io.BytesIO()
    how = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))
    with zipfile.ZipFile(file, "w", how) as archive:
        for key in dict.fromkeys(keys):
            own = draw(st.integers(0, 5))
            data = (
                draw(npy()) if own == 0 else draw(st.binary(max_size=20)) if own == 1 else _saved(draw(_fitting(key)))
            )
            archive.writestr((key or "-") + draw(st.sampled_from((".npy", ".npy", ".npy", ".npy", ""))), data)
    data = file.getvalue()
    return draw(mangled(data)) if draw(st.integers(0, 3)) == 0 else data


@st.composite
def _fitting(draw: st.DrawFn, key: str) -> Any:
    """Draws what a valid data set has under this key in most cases, and any array in the others."""
    if draw(st.integers(0, 3)) == 0:
        return draw(arrays())
    features = draw(st.sampled_from((2, 3)))
    if key.startswith("x"):
        return np.linspace(-1, 1, 4 * 6 * features).reshape(4, 6, features)
    if key.startswith("y"):
        return draw(
            st.sampled_from((np.array(["fast", "mid", "slow", "mid"]), np.arange(4), np.ones((4, 2)), np.ones(4)))
        )
    if key.startswith("lengths"):
        return np.array(draw(st.sampled_from(((6, 6, 6, 6), (1, 2, 3, 4), (0, 6, 6, 6), (7, 1, 1, 1), (-1, 1, 1, 1)))))
    return np.array([[1, 2, 3], [4, 5, 6]])


_CELLS = (
    b"1",
    b"2",
    b"3.5",
    b"-1",
    b"0",
    b"1e5",
    b"x",
    b"",
    b"nan",
    b"1,2,3\n",
    b"4,5,6\n",
    b",",
    b",",
    b"\n",
    b"\n",
    b'"',
    b" ",
)
number_tables = st.one_of(
    joined(_CELLS), joined((*_CELLS, *NASTY_BYTES)), mangled(b"x,y,z\n1,2,3\n4,5.5,6\n7,8,9e2\n", least=0)
)
