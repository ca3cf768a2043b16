"""Makes the probes of a text form: real texts, every known word, similar unknown words, and unusual bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer

_NEAR_COUNT = 2000
_MEGABYTE = 1 << 20


def make_text_batches(texts: Sequence[bytes], tokenizer: Tokenizer) -> list[dict[str, bytes]]:
    """Makes batches of texts by name.

    Args:
        texts: Real texts.
        tokenizer: The model's tokenizer.

    Returns:
        Batches with the texts and the traps, with every word of the vocabulary, and with words that differ from one of
        the vocabulary by a byte; then each trap alone, and a text of a megabyte.
    """
    length = tokenizer.config.max_length
    words = tokenizer.vocabulary.tokens[len(SPECIAL_TOKENS) :]
    traps = _traps(words, length)
    mixed = {f"text {i + 1}": text for i, text in enumerate(texts)} | traps
    every_word = {f"words from {line[0]!r}": b" ".join(line) for line in _lines(words, length)}
    near_words = {f"near {line[0]!r}": b" ".join(line) for line in _lines(_near(words), length)}
    alone = [{f"{name}, alone": text} for name, text in traps.items()]
    return [mixed, every_word, near_words, *alone, {"a megabyte": (b"the film " * _MEGABYTE)[:_MEGABYTE]}]


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
