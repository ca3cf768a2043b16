"""Text to tokens to ids, defined on bytes; the one place where it is done, for training and inference alike.

The rule, the same in every language: lower the ASCII letters; a word is a maximal run of bytes in `[a-z0-9']` or
>= 0x80; where the model says so, `<br />` is replaced by a space first. Ids: 0 pads, 1 starts a text, 2 is an unknown
word, words follow from 3 on by falling frequency in the training texts. Imports numpy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import TokenizerConfig
from rnnx.errors import ModelError

PAD_ID, START_ID, UNKNOWN_ID = 0, 1, 2
# `<` and `>` cannot stand in a word, so these never meet a token of a text.
SPECIAL_TOKENS = (b"<pad>", b"<start>", b"<unknown>")

Ids = npt.NDArray[np.int32]

_LINE_BREAK = b"<br />"
_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'") | frozenset(range(0x80, 0x100))
_SPACE = ord(" ")
# Byte to byte: word bytes lowered, everything else a space, so that `bytes.split` finds the words.
_TO_WORDS = bytes(b if b in _WORD_BYTES else _SPACE for b in bytes(range(256)).lower())


def to_bytes(text: str) -> bytes:
    """The bytes of a text: UTF-8; escaped bytes come back as they were, lone surrogates as three bytes each."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Bytes as a text, for JSON, a terminal or a caller: UTF-8; each byte that is not is a lone surrogate.

    `to_bytes` gives the same bytes back.
    """
    return data.decode("utf-8", "surrogateescape")


def to_batch(texts: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Stacks texts: (batch, bytes) uint8, rows padded with zeros."""
    width = max((len(text) for text in texts), default=0)
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8).reshape(len(texts), width)


def to_words(text: bytes, *, strip_breaks: bool) -> bytes:
    """Maps a text to its lowered words and spaces, byte for byte: a word stands where it stood."""
    if strip_breaks:
        text = text.replace(_LINE_BREAK, b" " * len(_LINE_BREAK))
    return text.translate(_TO_WORDS)


def tokenize(text: bytes, *, strip_breaks: bool) -> list[bytes]:
    """Splits a text into its tokens.

    Args:
        text: Any bytes; UTF-8 is expected, not required.
        strip_breaks: Whether `<br />` is replaced by a space first.
    """
    return to_words(text, strip_breaks=strip_breaks).split()


class TokenList:
    """Tokens in the order of their ids, the three special ones first, as `vocabulary.txt` holds them.

    Attributes:
        tokens: All of them; a token's id is its index.
    """

    def __init__(self, tokens: Iterable[bytes]) -> None:
        self.tokens = tuple(tokens)
        if self.tokens[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            raise ModelError("vocabulary: the first three tokens should be <pad>, <start> and <unknown>")

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenList) and type(other) is type(self) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def to_bytes(self) -> bytes:
        """Formats the file `vocabulary.txt`: one token a line, line N holds id N - 1."""
        return b"\n".join(self.tokens) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads `vocabulary.txt`. Lines end with a newline byte alone: a token may hold any other byte.

        Raises:
            ModelError: If the special tokens are missing, or a line is empty, doubled, or no token of this vocabulary.
        """
        return cls(data.removesuffix(b"\n").split(b"\n"))

    def _repetition(self) -> ModelError:
        """The error for tokens of which one is there twice."""
        twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
        return ModelError(f"vocabulary: {twice!r} stands on two lines")


class Vocabulary(TokenList):
    """The words that a tokenizer knows."""

    def __init__(self, tokens: Iterable[bytes]) -> None:
        super().__init__(tokens)
        words = self.tokens[len(SPECIAL_TOKENS) :]
        for token_id, word in enumerate(words, len(SPECIAL_TOKENS)):
            if not word or not _WORD_BYTES.issuperset(word):
                raise ModelError(f"vocabulary: line {token_id + 1} holds {word!r:.40}, which no text can contain")
        self._ids = _IdsByWord(zip(words, range(len(SPECIAL_TOKENS), len(self.tokens)), strict=True))
        if len(self._ids) != len(words):
            raise self._repetition()

    @classmethod
    def build(cls, texts: Iterable[bytes], size: int, *, strip_breaks: bool) -> Vocabulary:
        """Takes the most frequent words of the training texts; ties go by byte order, so the result is repeatable.

        Args:
            texts: The training texts, and only those.
            size: The most tokens, special ones included.
            strip_breaks: As in `tokenize`.
        """
        counts: Counter[bytes] = Counter()
        for text in texts:
            counts.update(tokenize(text, strip_breaks=strip_breaks))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((*SPECIAL_TOKENS, *ranked[: size - len(SPECIAL_TOKENS)]))

    def encode(self, words: Iterable[bytes]) -> list[int]:
        """Looks the ids of words up; an unknown word is 2."""
        return list(map(self._ids.__getitem__, words))


class _IdsByWord(dict[bytes, int]):
    def __missing__(self, word: bytes) -> int:
        return UNKNOWN_ID


class Encoding(NamedTuple):
    """A text as the network sees it.

    Attributes:
        ids: (length,) int32, not padded.
        token_count: Words in the whole text, before any cut.
        is_truncated: Whether words were cut off.
    """

    ids: Ids
    token_count: int
    is_truncated: bool


class Span(NamedTuple):
    """A word of a text: `text[start:end]`, in bytes."""

    start: int
    end: int


class Tokenizer:
    """Texts to ids by a model's config and vocabulary."""

    def __init__(self, config: TokenizerConfig, vocabulary: Vocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary

    @property
    def word_room(self) -> int:
        """The most words of a text that are read: cut on the left, the start goes before any word does."""
        return self.config.max_length - (self.config.start and self.config.truncation_side == "right")

    def encode(self, text: bytes) -> Encoding:
        """Turns a text into ids. Takes memory for the kept words only, however long the text is."""
        words, cut_count = self._split(to_words(text, strip_breaks=self.config.strip_breaks))
        return self.encode_words(words, len(words) + cut_count)

    def encode_words(self, words: Sequence[bytes], token_count: int) -> Encoding:
        """Turns the words of a text into ids.

        Args:
            words: As many as a row has room for, or all; of a longer text, those at the end that is kept.
            token_count: How many the whole text has.
        """
        config = self.config
        ids = self.vocabulary.encode(words)
        if config.start:
            ids.insert(0, START_ID)
        ids = ids[-config.max_length :] if config.truncation_side == "left" else ids[: config.max_length]
        return Encoding(np.array(ids, np.int32), token_count, is_truncated=token_count > self.word_room)

    def locate(self, text: bytes) -> list[Span]:
        """Says where the words stand that `encode` keeps: the last ids of its row, in their order."""
        mapped = to_words(text, strip_breaks=self.config.strip_breaks)
        words, _ = self._split(mapped)
        spans: list[Span] = []
        # Nothing but spaces stands between one word and the next: the nearest place where a word fits is its own.
        if self.config.truncation_side == "right":
            for word in words[: self.word_room]:
                start = mapped.index(word, spans[-1].end if spans else 0)
                spans.append(Span(start, start + len(word)))
            return spans
        for word in reversed(words):
            start = mapped.rindex(word, 0, spans[-1].start if spans else len(mapped))
            spans.append(Span(start, start + len(word)))
        return spans[::-1]

    def _split(self, mapped: bytes) -> tuple[list[bytes], int]:
        """The words that fit into a row without a start, and how many there are besides."""
        most = self.config.max_length
        keep_last = self.config.truncation_side == "left"
        words = mapped.rsplit(None, most) if keep_last else mapped.split(None, most)
        if len(words) <= most:
            return words, 0
        return words, _count_words(words.pop(0 if keep_last else -1))  # the remainder of the split, one piece

    def pad(self, rows: Sequence[Ids]) -> Ids:
        """Stacks rows into one batch.

        Args:
            rows: Each (length,) int32, none longer than `max_length`.

        Returns:
            (batch, time) int32, zeros where a row is padded; time is at least 1.
        """
        longest = max((len(row) for row in rows), default=0)
        time = self.config.max_length if self.config.pad_to == "max_length" else max(longest, 1)
        batch = np.full((len(rows), time), PAD_ID, np.int32)
        for out, row in zip(batch, rows, strict=True):
            if self.config.padding_side == "left":
                out[time - len(row) :] = row
            else:
                out[: len(row)] = row
        return batch


def _count_words(mapped: bytes) -> int:
    """Counts the words of a text that `to_words` mapped, in chunks: a split would take 40 bytes a word."""
    count, chunk_bytes, was_space = 0, 1 << 20, True
    for start in range(0, len(mapped), chunk_bytes):
        is_space = np.frombuffer(mapped, np.uint8, min(chunk_bytes, len(mapped) - start), start) == _SPACE
        count += int(np.count_nonzero(is_space[:-1] & ~is_space[1:])) + int(was_space and not is_space[0])
        was_space = bool(is_space[-1])
    return count
