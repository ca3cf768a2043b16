"""Makes the probes of a text form: real texts, every known word, similar unknown words, and unusual bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np

from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from rnnx.text.unicode_table import CharacterKind, CharacterTable, load_table

_NEAR_COUNT = 2000
_MEGABYTE = 1 << 20
# A character of each kind, and bytes that are no UTF-8: cut, too long, a surrogate, above the last character, single.
_OTHERS = (
    *(character.encode() for character in ("世", "世界", "ข้", "้", "😀", "\u200b", "—", "\xe9", "\U00032400", "!", "?")),
    *(b"\xe4\xb8", b"\xf0\x9f\x98", b"\xc0\xa7", b"\xe0\x80\xa7", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"\xff", b"\x92", b"\xe9", b"\xa9", b"\xe4<br />", b"<br />\xb8"),
)


def make_text_batches(texts: Sequence[bytes], tokenizer: Tokenizer) -> list[dict[str, bytes]]:
    """Makes batches of texts by name.

    Args:
        texts: Real texts.
        tokenizer: The model's tokenizer.

    Returns:
        Batches with the texts and the traps, with every word of the vocabulary, and with words that differ from one of
        the vocabulary by a byte; then each trap alone, and a text of a megabyte. For a rule that reads characters
        there is one more batch, with characters outside ASCII.
    """
    length = tokenizer.config.max_length
    words = tokenizer.vocabulary.tokens[len(SPECIAL_TOKENS) :]
    traps = _traps(words, length)
    mixed = {f"text {i + 1}": text for i, text in enumerate(texts)} | traps
    every_word = {f"words from {line[0]!r}": b" ".join(line) for line in _lines(words, length)}
    near_words = {f"near {line[0]!r}": b" ".join(line) for line in _lines(_near(words), length)}
    alone = [{f"{name}, alone": text} for name, text in traps.items()]
    batches = [mixed, every_word, near_words, *alone, {"a megabyte": (b"the film " * _MEGABYTE)[:_MEGABYTE]}]
    if tokenizer.config.rule != "bytes":
        batches.append(_unicode_traps(words, length, load_table(tokenizer.config.rule, marks=tokenizer.config.marks)))
    return batches


def _traps(words: Sequence[bytes], length: int) -> dict[str, bytes]:
    word = words[0]
    longest = max(words, key=len)
    return {
        "empty": b"",
        "one space": b" ",
        "zeros": b"\0\0 " + word + b"\0" + word + b"\0",
        "every byte": bytes(range(256)),
        "every byte, apart": b" ".join(bytes([i]) for i in range(256)),
        "not UTF-8": word + b"\xff\xfe " + b"\x80" + word + b" \xc3",
        "breaks": b"<br />br<br />" + word + b"<br />br <br />",
        "breaks of other kinds": b"<BR /> <br/> <br  /> <br / > < br /> br /> <br <br /> /> <br /",
        "upper case": word.upper() + b" " + longest.upper(),
        "longest word": longest,
        "longer than the longest word": longest + b"a " + longest + longest,
        "a word of 5 kB": b"a" * 5000,
        "one less than the longest text": b" ".join([word] * max(length - 1, 1)),
        "the longest text": b" ".join([longest] * length),
        "one more than the longest text": b"zzqqzz " + b" ".join([word] * length),
    }


def _unicode_traps(words: Sequence[bytes], length: int, table: CharacterTable) -> dict[str, bytes]:
    """Makes texts with other spellings of the words, and with characters of every kind and broken ones in words."""
    some = words[:: max(len(words) // _NEAR_COUNT, 1)]
    respelled = {f"respelled {line[0]!r}": b" ".join(line) for line in _lines(_respell(some, table), length)}
    return {
        f"{word!r} with others": b" ".join(word + other + word for other in _OTHERS) for word in words[:20]
    } | respelled


def _respell(words: Sequence[bytes], table: CharacterTable) -> Iterator[bytes]:
    """Writes each character by the next of those that it replaces, with the next dropped character after it."""
    codes = np.flatnonzero(table.replacements)
    replacements = table.replacements[codes]
    decoded = [word.decode(errors="ignore") for word in words]
    next_of = {
        letter: cycle(map(chr, spellings))
        for letter in sorted(set().union(*decoded))
        if (spellings := codes[replacements == ord(letter)].tolist())
    }
    dropped = cycle(chr(code) for code in np.flatnonzero(table.kinds == CharacterKind.DROPPED).tolist())
    for word in decoded:
        # Of a word that is no token, other characters than these are left out.
        letters = [letter for letter in word if letter in next_of]
        yield "".join(next(next_of[letter]) + next(dropped) for letter in letters).encode()


def _near(words: Sequence[bytes]) -> Iterator[bytes]:
    """Yields words with one byte added, one byte removed, and the last byte changed."""
    step = max(len(words) // _NEAR_COUNT, 1)
    for word in words[::step]:
        yield from (word + b"s", word[1:] or b"q", word[:-1] + bytes([word[-1] ^ 1]))


def _lines(words: Sequence[bytes] | Iterator[bytes], length: int) -> Iterator[list[bytes]]:
    """Splits words into lists of at most `length`."""
    iterator = iter(words)
    while line := list(islice(iterator, length)):
        yield line
