"""Packed text: read back as it was, and damaged or oversized text refused within the limit."""

from __future__ import annotations

import base64
import tracemalloc
import zlib

import pytest

from rnnx.proof.packed import pack, unpack

TEXT = '{"numbers":[0.25,0.5],"escaped":"\\udc80"}' * 40
LIMIT = 1 << 20


def crafted(content: bytes) -> str:
    """Text with the marker and base64 of other bytes than `pack` would give."""
    return pack("").partition(":")[0] + ":" + base64.b64encode(content).decode("ascii")


def test_a_packed_text_is_read_back() -> None:
    packed = pack(TEXT)
    assert packed.isascii()
    assert len(packed) < len(TEXT)
    assert unpack(packed, LIMIT) == TEXT
    assert unpack(packed, len(TEXT)) == TEXT


def test_plain_text_is_returned_as_it_is() -> None:
    assert unpack(TEXT, LIMIT) == TEXT


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (pack(TEXT)[:-8], "cut off|damaged"),
        (pack(TEXT)[:-1] + "?", "damaged"),
        (pack(TEXT) + "AAAA", "damaged|other bytes"),
        (crafted(zlib.compress(TEXT.encode())[:-1]), "cut off"),
        (crafted(zlib.compress(TEXT.encode()) + b"more"), "other bytes follow"),
        (crafted(b"no zlib"), "damaged"),
        (crafted(b""), "cut off"),
        (crafted(zlib.compress("ä".encode())), "not ASCII"),
    ],
)
def test_a_damaged_text_is_refused_with_a_reason(stored: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack(stored, LIMIT)


def test_expansion_stops_at_the_limit() -> None:
    """100 MB of zeros in 130 kB of text: refused, and never held in memory."""
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(100)) + compressor.flush()
    stored = crafted(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expands to more than"):
            unpack(stored, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 8 * LIMIT
    finally:
        tracemalloc.stop()
