"""The rules `unicode-14` and `unicode-14-marks` character by character: slow, and independent of the fast form."""

from __future__ import annotations

from collections.abc import Iterator

from rnnx.bundle.config import TextRuleName
from rnnx.text.unicode_table import CHARACTER_COUNT, CharacterKind, load_table

Located = tuple[bytes, int, int]
_CONTINUATION = range(0x80, 0xC0)
# The leads of characters of 2, 3 and 4 bytes, with the bits of the lead and the least number.
_LEADS = {
    2: (range(0xC2, 0xE0), 0x1F, 0x80),
    3: (range(0xE0, 0xF0), 0x0F, 0x800),
    4: (range(0xF0, 0xF5), 0x07, 0x10000),
}


def decode(text: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the number of each character, its first byte, and the byte after its last one."""
    at = 0
    while at < len(text):
        size, number = 1, text[at]
        for length, (leads, bits, least) in _LEADS.items():
            rest = text[at + 1 : at + length]
            if text[at] in leads and len(rest) == length - 1 and all(byte in _CONTINUATION for byte in rest):
                value = text[at] & bits
                for byte in rest:
                    value = value << 6 | byte & 0x3F
                if least <= value <= 0x10FFFF:
                    size, number = length, value
        yield number, at, at + size
        at += size


def locate(
    text: bytes, *, strip_breaks: bool = True, marks: bool = False, rule: TextRuleName = "unicode-14"
) -> list[Located]:
    """Returns the tokens of a text with the position of each, `text[start:end]`."""
    if strip_breaks:
        text = text.replace(b"<br />", b"      ")
    table = load_table(rule, marks=marks)
    tokens: list[Located] = []
    before = CharacterKind.SEPARATOR
    for number, start, end in decode(text):
        kind = CharacterKind(table.kinds[number]) if number < CHARACTER_COUNT else CharacterKind.SEPARATOR
        if kind == CharacterKind.DROPPED:
            continue
        continues = (kind, before) == (CharacterKind.WORD, CharacterKind.WORD) or (
            kind == CharacterKind.JOIN and before in (CharacterKind.SINGLE, CharacterKind.JOIN)
        )
        if kind != CharacterKind.SEPARATOR:
            written = chr(table.replacements[number]).encode()
            if continues:
                word, first, _ = tokens.pop()
                tokens.append((word + written, first, end))
            else:
                tokens.append((written, start, end))
        before = kind
    return tokens


def tokenize(
    text: bytes, *, strip_breaks: bool = True, marks: bool = False, rule: TextRuleName = "unicode-14"
) -> list[bytes]:
    """Returns the tokens of a text."""
    return [word for word, _, _ in locate(text, strip_breaks=strip_breaks, marks=marks, rule=rule)]
