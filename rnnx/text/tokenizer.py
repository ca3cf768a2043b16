"""The tokenizer of texts, which turns bytes into words and words into ids; training and inference share it.

The config names the rule that finds the words (`rnnx.text.rules`). If the config says so, `<br />` is replaced by a
space first. Id 0 is padding, 1 is the start of a text, and 2 an unknown word. The known words follow from 3 on, by
descending frequency in the training texts.
Imports NumPy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import TokenizerConfig
from rnnx.errors import ModelError
from rnnx.text.byte_rule import BYTE_RULE
from rnnx.text.rule import TextRule
from rnnx.text.rules import find_rule

PAD_ID, START_ID, UNKNOWN_ID = 0, 1, 2
# A word cannot contain `<` or `>`, so these never equal a word of a text.
SPECIAL_TOKENS = (b"<pad>", b"<start>", b"<unknown>")

Ids = npt.NDArray[np.int32]

# Some editors write it at the beginning of a file of UTF-8; it is not part of the text.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = ord(" ")


def to_bytes(text: str) -> bytes:
    """Encodes a text as UTF-8. Bytes that `to_text` escaped are restored; other lone surrogates become three bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Decodes UTF-8. Each byte that is not UTF-8 becomes a lone surrogate, so that `to_bytes` restores the bytes."""
    return data.decode("utf-8", "surrogateescape")


def to_batch(texts: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Stacks texts into `(batch, bytes)` uint8; the rows are padded with zeros at the end."""
    width = max((len(text) for text in texts), default=0)
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8).reshape(len(texts), width)


def tokenize(text: bytes, *, strip_breaks: bool, rule: TextRule = BYTE_RULE) -> list[bytes]:
    """Splits a text into its words.

    Args:
        text: Any bytes; UTF-8 is expected, but not required.
        strip_breaks: Whether `<br />` is replaced by a space first.
        rule: The rule that finds the words.

    Returns:
        The lower-cased words, in their order.
    """
    return rule.to_words(text, strip_breaks=strip_breaks).split()


class TokenList:
    """The tokens of a vocabulary in the order of their ids, as `vocabulary.txt` stores them.

    Attributes:
        tokens: All tokens, the three special ones first; the id of a token is its index.
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
        """Formats the content of `vocabulary.txt`: one token per line; line N has the token with id N - 1."""
        return b"\n".join(self.tokens) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads the content of `vocabulary.txt`. Only a newline ends a line; a token may contain any other byte.

        Raises:
            ModelError: If the special tokens are missing, if two lines are equal, or if a line is not a token of this
                kind of vocabulary.
        """
        return cls(data.removesuffix(b"\n").split(b"\n"))

    def _repetition(self) -> ModelError:
        """Returns the error for a list in which a token occurs twice."""
        repeated = next(token for token, count in Counter(self.tokens).items() if count > 1)
        return ModelError(f"vocabulary: {repeated!r} is on two lines")


class Vocabulary(TokenList):
    """The vocabulary of a tokenizer: the special tokens and the known words."""

    def __init__(self, tokens: Iterable[bytes], rule: TextRule = BYTE_RULE) -> None:
        super().__init__(tokens)
        words = self.tokens[len(SPECIAL_TOKENS) :]
        if (wrong := rule.find_wrong(words)) is not None:
            line = len(SPECIAL_TOKENS) + wrong + 1
            raise ModelError(f"vocabulary: line {line} is {words[wrong]!r:.40}, which cannot be a word of a text")
        self._ids = _IdsByWord(zip(words, range(len(SPECIAL_TOKENS), len(self.tokens)), strict=True))
        if len(self._ids) != len(words):
            raise self._repetition()

    @classmethod
    def from_bytes(cls, data: bytes, rule: TextRule = BYTE_RULE) -> Self:
        """See `TokenList`; each word has to be a single token of the rule."""
        return cls(data.removesuffix(b"\n").split(b"\n"), rule)

    @classmethod
    def build(cls, texts: Iterable[bytes], size: int, *, strip_breaks: bool, rule: TextRule = BYTE_RULE) -> Vocabulary:
        """Builds a vocabulary of the most frequent words of the training texts.

        Words of equal frequency are sorted by their bytes, so that the result is reproducible.

        Args:
            texts: The training texts, and no others.
            size: The largest number of tokens, including the special ones.
            strip_breaks: As in `tokenize`.
            rule: As in `tokenize`.
        """
        counts: Counter[bytes] = Counter()
        for text in texts:
            counts.update(tokenize(text, strip_breaks=strip_breaks, rule=rule))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((*SPECIAL_TOKENS, *ranked[: size - len(SPECIAL_TOKENS)]), rule)

    def encode(self, words: Iterable[bytes]) -> list[int]:
        """Returns the ids of words; 2 for an unknown word."""
        return list(map(self._ids.__getitem__, words))


class _IdsByWord(dict[bytes, int]):
    def __missing__(self, word: bytes) -> int:
        return UNKNOWN_ID


def has_known_word(ids: Ids) -> bool:
    """Whether one of the ids, without padding, is that of a word of the vocabulary."""
    return bool((ids > UNKNOWN_ID).any())


class Encoding(NamedTuple):
    """A text in the form in which the network reads it.

    Attributes:
        ids: The ids, `(length,)` int32, without padding.
        token_count: The number of words of the whole text, before truncation.
        is_truncated: Whether words were cut off.
    """

    ids: Ids
    token_count: int
    is_truncated: bool


class Span(NamedTuple):
    """The position of a word in a text, `text[start:end]` in bytes."""

    start: int
    end: int


class Tokenizer:
    """Turns texts into ids with the config and the vocabulary of a model.

    Attributes:
        config: The settings.
        vocabulary: The known words.
        rule: The rule that the config names.
    """

    def __init__(self, config: TokenizerConfig, vocabulary: Vocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.rule = find_rule(config)

    @property
    def word_room(self) -> int:
        """The largest number of words of a text that are read.

        Truncation on the left removes the start id before any word, so that a word takes its place.
        """
        return self.config.max_length - (self.config.start and self.config.truncation_side == "right")

    def encode(self, text: bytes) -> Encoding:
        """Turns a text into ids. A long text needs memory only for the words that are kept."""
        words, cut_count = self._split(self.rule.to_words(text, strip_breaks=self.config.strip_breaks))
        return self.encode_words(words, len(words) + cut_count)

    def encode_words(self, words: Sequence[bytes], token_count: int) -> Encoding:
        """Turns the words of a text into ids.

        Args:
            words: All words of the text, or, for a longer text, at least those that fit into a row, at the end that is
                kept.
            token_count: The number of words of the whole text.
        """
        config = self.config
        ids = self.vocabulary.encode(words)
        if config.start:
            ids.insert(0, START_ID)
        ids = ids[-config.max_length :] if config.truncation_side == "left" else ids[: config.max_length]
        return Encoding(np.array(ids, np.int32), token_count, is_truncated=token_count > self.word_room)

    def locate(self, text: bytes) -> list[Span]:
        """Returns the positions of the words that `encode` keeps, in the order of the last ids of its row."""
        spans = self.rule.locate(text, strip_breaks=self.config.strip_breaks)
        room = self.word_room
        kept = spans[-room:] if self.config.truncation_side == "left" else spans[:room]
        return [Span(start, end) for start, end in kept.tolist()]

    def _split(self, mapped: bytes) -> tuple[list[bytes], int]:
        """Returns the words that fit into a row without a start id, and the number of all other words."""
        room = self.config.max_length
        keep_last = self.config.truncation_side == "left"
        words = mapped.rsplit(None, room) if keep_last else mapped.split(None, room)
        if len(words) <= room:
            return words, 0
        return words, _count_words(words.pop(0 if keep_last else -1))  # the unsplit rest of the text

    def pad(self, rows: Sequence[Ids]) -> Ids:
        """Stacks rows into one batch.

        Args:
            rows: The ids of each text, `(length,)` int32, at most `max_length` long.

        Returns:
            The batch, `(batch, time)` int32, padded with zeros; time is at least 1.
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
    """Counts the words in the result of `to_words`, in chunks, because a split would need 40 bytes per word."""
    count, chunk_bytes, was_space = 0, 1 << 20, True
    for start in range(0, len(mapped), chunk_bytes):
        is_space = np.frombuffer(mapped, np.uint8, min(chunk_bytes, len(mapped) - start), start) == _SPACE
        count += int(np.count_nonzero(is_space[:-1] & ~is_space[1:])) + int(was_space and not is_space[0])
        was_space = bool(is_space[-1])
    return count
