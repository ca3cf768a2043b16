"""Packs the text of large evidence, and unpacks it within a limit.

Evidence is JSON. A long text is compressed with zlib and written in base64 after a marker that no JSON starts with, so
that a reader tells the two forms apart. The expanded size is bounded while it is expanded: a short text that would
expand to gigabytes is refused after the limit. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import zlib

# A later form gets another marker; files with this one stay readable.
_MARKER = "rnnx-evidence-1:"


def pack(text: str) -> str:
    """Packs a text of ASCII characters."""
    return _MARKER + base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")


def unpack(stored: str, most_bytes: int) -> str:
    """Reads the text back; a text that was not packed is returned as it is.

    Args:
        stored: From `pack`, or plain text.
        most_bytes: The largest expanded size.

    Raises:
        ValueError: If the packed text is damaged, cut off, continued by other bytes, or too large when expanded.
    """
    if not stored.startswith(_MARKER):
        return stored
    expander = zlib.decompressobj()
    try:
        text = expander.decompress(base64.b64decode(stored[len(_MARKER) :], validate=True), most_bytes + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"its compressed text is damaged ({error})") from error
    if len(text) > most_bytes:
        raise ValueError(f"its compressed text expands to more than {most_bytes} bytes")
    if not expander.eof or expander.unused_data:
        raise ValueError("its compressed text is cut off, or other bytes follow it")
    try:
        return text.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("its compressed text is not ASCII") from error
