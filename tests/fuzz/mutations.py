"""Changes valid files as a stranger could: edits of bytes, and edits of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

# Bytes on which readers often fail: zeros, ones, endless lengths, control characters, byte order marks, digits.
NASTY_BYTES = (
    b"\0", b"\0" * 8, b"\xff", b"\xff" * 10, b"\x80" * 12, b"\x7f", b"\n", b"\r\n", b"\r", b"\t", b",", b'"', b"'",
    b"\\", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80", b"\x1b[2J", b"\x1b]0;x\x07",
    b"\x9b31m", "\u202e".encode(), "\u2028".encode(), "\ufeff".encode(), "\U000e0041".encode(), "é".encode(),
    "日本".encode(), b"[" * 2000, b"{" * 2000, b'{"a":' * 2000, b"(" * 400, b"9" * 5000, b"-1", b"1e999", b"NaN",
    b"Infinity", b"null", b"true", b"\x93NUMPY", b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\0", b"../", b"/", b"%s%n",
    b"A" * 3000, b" " * 3000,
)  # fmt: skip
NASTY_NUMBERS = (
    0,
    -1,
    1,
    2,
    255,
    2**31 - 1,
    2**31,
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**30,
    10**400,
)
NASTY_TEXTS = (
    "", " ", "\0", "a\nb", "\t", "\x1b[31mred\x1b[0m", "\x1b]8;;http://x\x07", "\x07", "\x9b2J", "\u202eabc",
    "\u2028", "\ufeff", "\ud800", "é", "日本", "a" * 3000, "../../secret.txt", "/etc/passwd", "..", ".", "con",
    "model.onnx", "a/b", "a\\b", "-1", "1e9", "nan", "{}", "%s%n", "__class__", "__init__", "ids", "probs", "text",
    "texts", "time", "batch", "pos", "neg",
)  # fmt: skip

# Longer than any piece in which rnnx reads.
_MOST_BYTES = 70_000


def deep(depth: int, kind: str = "[") -> Any:
    """Returns nested lists or objects around a value."""
    value: Any = 0
    for _ in range(depth):
        value = [value] if kind == "[" else {"a": value}
    return value


numbers = st.one_of(st.sampled_from(NASTY_NUMBERS), st.integers(-5, 1000), st.floats())
texts = st.one_of(st.sampled_from(NASTY_TEXTS), st.text(max_size=12))
values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    st.sampled_from([[], {}, [None], [[]], {"": 0}, [1, "a"], [0.5] * 40, deep(60), deep(60, "{"), float("nan")]),
)
# A position in a file of any length, in millionths of the length.
places = st.integers(0, 10**6)


def _at(size: int, place: int) -> int:
    return min(place * size // 10**6, size)


def _flip(data: bytes, place: int, bit: int) -> bytes:
    if not data:
        return data
    i = min(_at(len(data), place), len(data) - 1)
    return data[:i] + bytes([data[i] ^ (1 << bit % 8)]) + data[i + 1 :]


def _replace(data: bytes, place: int, new: bytes) -> bytes:
    i = _at(len(data), place)
    return data[:i] + new + data[i + len(new) :]


def _insert(data: bytes, place: int, new: bytes) -> bytes:
    i = _at(len(data), place)
    return data[:i] + new + data[i:]


def _delete(data: bytes, place: int, count: int) -> bytes:
    i = _at(len(data), place)
    return data[:i] + data[i + count :]


def _cut(data: bytes, place: int) -> bytes:
    return data[: _at(len(data), place)]


def _splice(data: bytes, place: int, source: int, count: int) -> bytes:
    i, start = _at(len(data), place), _at(len(data), source)
    return data[:i] + data[start : start + count] + data[i:]


def _edit(
    function: Callable[..., bytes], *arguments: st.SearchStrategy[Any]
) -> st.SearchStrategy[Callable[[bytes], bytes]]:
    return st.tuples(*arguments).map(lambda drawn: lambda data: function(data, *drawn))


nasty_bytes = st.one_of(st.sampled_from(NASTY_BYTES), st.binary(min_size=1, max_size=8))
byte_edits = st.one_of(
    _edit(_flip, places, st.integers(0, 7)),
    _edit(_replace, places, nasty_bytes),
    _edit(_insert, places, nasty_bytes),
    _edit(_delete, places, st.integers(1, 300)),
    _edit(_cut, places),
    _edit(_splice, places, places, st.integers(1, 300)),
)


@st.composite
def mangled(draw: st.DrawFn, data: bytes, *, least: int = 1, most: int = 4) -> bytes:
    """Draws a file after some edits of its bytes."""
    for edit in draw(st.lists(byte_edits, min_size=least, max_size=most)):
        data = edit(data)
    return data


def joined(pieces: Sequence[bytes], most: int = 30) -> st.SearchStrategy[bytes]:
    """Draws concatenated pieces, some of them repeated many times."""
    repeated = st.tuples(st.sampled_from(pieces), st.sampled_from((1, 1, 1, 1, 1, 1, 1, 2, 3, 40, 400)))
    return st.lists(repeated, max_size=most).map(
        lambda drawn: b"".join(piece * count for piece, count in drawn)[:_MOST_BYTES]
    )


@st.composite
def edited_json(draw: st.DrawFn, document: Any, *, most: int = 3) -> bytes:
    """Draws a JSON file after some edits of values, keys and lists, and sometimes of its bytes."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, most))):
        document = _edit_value(draw, document)
    data = json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return draw(mangled(data)) if draw(st.integers(0, 7)) == 7 else data


def _edit_value(draw: st.DrawFn, value: Any) -> Any:
    """Follows a random path into the value and changes what is at its end."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        how = draw(st.integers(0, 7))
        if how == 0:
            return {k: v for k, v in value.items() if k != key}
        if how == 1:
            return {**value, draw(texts): value[key]}
        if how == 2:
            return {draw(texts) if k == key else k: v for k, v in value.items()}
        return {**value, key: _edit_value(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        i = draw(st.integers(0, len(value) - 1))
        how = draw(st.integers(0, 7))
        if how == 0:
            return value[:i] + value[i + 1 :]
        if how == 1:
            return value[:i] + [value[i]] * draw(st.sampled_from((2, 3, 500))) + value[i + 1 :]
        return [*value[:i], _edit_value(draw, value[i]), *value[i + 1 :]]
    return draw(values)
