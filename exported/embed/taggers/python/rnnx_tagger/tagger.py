"""A tagger of words in memory."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, Tuple

import numpy as np

from rnnx_tagger.bytes_rule import BytesRule
from rnnx_tagger.unicode_rule import UnicodeRule

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported
import onnxruntime  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "model"
_SPECIAL_TOKENS = (b"<pad>", b"<start>", b"<unknown>")  # their ids are 0, 1 and 2, and no word has the id of one
_UNKNOWN_ID = 2
_FEATURE = re.compile(rb"(?s)(?:SUFFIX[1-9]|PREFIX[1-9]|SHAPE)=.+")
_MOST_WORDS = 1 << 14  # of a batch, with its padding: a long sentence does not widen the rows of many short ones
_MOST_PIECES = 256  # of a batch
_CACHE_SIZE = 1 << 16  # most words of a text are few different ones
_TEXTS_AT_ONCE = 1024

Spans = Tuple[int, int]


class TaggerError(Exception):
    """The model cannot be read or run."""


@dataclass(frozen=True)
class Word:
    """A word of a text with its tag.

    Attributes:
        text: The word as it is in the text. Of a text in bytes, each byte that is not UTF-8 is a lone surrogate.
        start: Where it starts in the text: `text[start:end]` is the word, for a str and for bytes.
        end: Where it ends.
        tag: Its most probable tag.
        probability: The probability of that tag.
    """

    text: str
    start: int
    end: int
    tag: str
    probability: float


Sentence = Tuple[Word, ...]


class _Rule(Protocol):
    """Splits texts, and says what is looked up for a word."""

    def split(self, text: bytes) -> Iterator[list[Spans]]: ...

    def to_tokens(self, word: bytes, slots: Sequence[str]) -> list[bytes]: ...


class Tagger:
    """A tagger of words in memory; `load` makes it.

    Attributes:
        tags: The tags, in the order of the probabilities of `compute`.
    """

    def __init__(self, session: Any, folder: Path) -> None:
        self._session = session
        # The file says itself how words are read and what its outputs mean.
        about = json.loads(session.get_modelmeta().custom_metadata_map["rnnx"])
        self.tags: tuple[str, ...] = tuple(about["labels"])
        settings = about["words"]
        self._slots: tuple[str, ...] = tuple(settings["features"])
        self._longest: int = settings["max_length"]
        tokens = _read(folder / "vocabulary.txt").removesuffix(b"\n").split(b"\n")
        if tuple(tokens[: len(_SPECIAL_TOKENS)]) != _SPECIAL_TOKENS or len(tokens) != about["vocabulary_size"]:
            raise TaggerError(f"{folder / 'vocabulary.txt'} is not the vocabulary of this model")
        self._ids = {token: i for i, token in enumerate(tokens) if i >= len(_SPECIAL_TOKENS)}
        self._rule = _make_rule(settings, tokens, folder)
        self.look_up = lru_cache(_CACHE_SIZE)(self._look_up)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Tagger:
        """Loads a model.

        Args:
            path: A folder with `model.onnx` and `vocabulary.txt`; that of this package if none is given.

        Raises:
            TaggerError: If a file is missing or damaged.
        """
        folder = FOLDER if path is None else Path(path)
        file = folder / "model.onnx"
        model = _read(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a recurrence only loses by more
        try:
            return cls(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), folder)
        except TaggerError:
            raise
        except Exception as error:  # onnxruntime's errors have no class in common
            raise TaggerError(f"{file} is not a whole model of a tagger: {error}") from error

    def tag(self, text: str | bytes) -> list[Sentence]:
        """Splits one text into sentences of words, and tags the words.

        Args:
            text: A string, or bytes, which need not be UTF-8. It may be empty: then there is no sentence.

        Raises:
            TaggerError: If the model cannot be run.
            TypeError: If this is no text.
        """
        return self.tag_many([text])[0]

    def tag_many(self, texts: Iterable[str | bytes]) -> list[list[Sentence]]:
        """Tags many texts, and answers in their order. Errors are those of `tag`."""
        if isinstance(texts, (str, bytes)):
            raise TypeError("tag_many takes many texts; tag takes one")
        given = list(texts)
        answers: list[list[Sentence]] = []
        for start in range(0, len(given), _TEXTS_AT_ONCE):
            answers += self._tag_some(given[start : start + _TEXTS_AT_ONCE])
        return answers

    def split(self, text: bytes) -> list[list[Spans]]:
        """Splits a text into sentences: the first byte of each word, and the one after its last."""
        return list(self._rule.split(text))

    def compute(self, sentences: Sequence[Sequence[bytes]]) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        """Computes the probability of each tag for each word, (words, tags), of sentences given as their words."""
        pieces = [(i, words) for i, sentence in enumerate(sentences) for words in _cut(sentence, self._longest)]
        found: dict[int, Any] = {}
        for batch in _to_batches([len(words) for _, words in pieces]):
            for k, probs in zip(batch, self._run([pieces[k][1] for k in batch])):
                found[k] = probs
        answers: list[list[Any]] = [[np.zeros((0, len(self.tags)), np.float32)] for _ in sentences]
        for k, (i, _) in enumerate(pieces):
            answers[i].append(found[k])
        return [np.concatenate(parts) for parts in answers]

    def _tag_some(self, texts: Sequence[str | bytes]) -> list[list[Sentence]]:
        rows = [_to_bytes(text) for text in texts]
        split = [self.split(row) for row in rows]
        words = [[row[start:end] for start, end in spans] for row, found in zip(rows, split) for spans in found]
        answers = iter(self.compute(words))
        return [
            [self._describe(row, spans, next(answers), to_index) for spans in found]
            for row, found, to_index in zip(rows, split, map(_index_of, texts))
        ]

    def _describe(self, text: bytes, spans: Sequence[Spans], probs: Any, to_index: Any) -> Sentence:
        best = probs.argmax(axis=-1)
        return tuple(
            Word(
                text[start:end].decode("utf-8", "surrogateescape"),
                to_index(start),
                to_index(end),
                self.tags[tag],
                float(row[tag]),
            )
            for (start, end), row, tag in zip(spans, probs, best)
        )

    def _look_up(self, word: bytes) -> list[int]:
        """The ids of a word: its own, and those of its features."""
        return [self._ids.get(token, _UNKNOWN_ID) for token in self._rule.to_tokens(word, self._slots)]

    def _run(self, sentences: Sequence[Sequence[bytes]]) -> list[Any]:
        """Runs one batch. Rows are padded with zeros."""
        time = max(map(len, sentences))
        rows = np.zeros((len(sentences), time, 1 + len(self._slots)), np.int32)
        for row, words in zip(rows, sentences):
            row[: len(words)] = [self.look_up(word) for word in words]
        try:
            (probs,) = self._session.run(["probs"], {"ids": rows[:, :, 0], "features": rows[:, :, 1:]})
        except Exception as error:  # onnxruntime's errors have no class in common
            raise TaggerError(f"the model cannot be run: {error}") from error
        if probs.shape[-1] == 1:  # two tags share a probability: that of the second
            probs = np.concatenate([1 - probs, probs], axis=-1)
        return [values[: len(words)] for values, words in zip(probs, sentences)]


def _make_rule(settings: dict[str, Any], tokens: Sequence[bytes], folder: Path) -> _Rule:
    name = settings.get("rule", "bytes")
    if name == "bytes":
        return BytesRule()
    if name != "unicode-14":
        raise TaggerError(f"this package does not know the rule {name!r}")
    first = len(_SPECIAL_TOKENS)
    words = [token for token in tokens[first:] if not _FEATURE.fullmatch(token)]
    characters = json.loads(_read(folder / "config.json"))["characters"]
    return UnicodeRule(characters["runs"], words, joins_hyphens=settings.get("joins_hyphens", False))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TaggerError(f"cannot read {file}: {error.strerror}") from error


def _to_bytes(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a text is a str or bytes, not {type(text).__name__}")
    try:
        return text.encode("utf-8", "surrogateescape")  # bytes of an argument that are not UTF-8
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _index_of(text: str | bytes) -> Any:
    """Makes a function from an offset in the bytes of a text to the offset in the text as it was given."""
    if isinstance(text, bytes) or text.isascii():
        return int
    sizes = [len(_to_bytes(character)) for character in text]
    if sum(sizes) != len(_to_bytes(text)):  # some surrogates are no escaped bytes, so all of them are three bytes
        sizes = [len(character.encode("utf-8", "surrogatepass")) for character in text]
    return {offset: i for i, offset in enumerate(accumulate(sizes, initial=0))}.__getitem__


def _cut(words: Sequence[bytes], longest: int) -> Iterator[Sequence[bytes]]:
    """Cuts a long sentence into as few pieces as possible, of nearly equal length."""
    count = -(-len(words) // longest)
    for i in range(count):
        yield words[i * len(words) // count : (i + 1) * len(words) // count]


def _to_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Puts the positions of pieces into batches of similar lengths."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) == _MOST_PIECES or (len(batch) + 1) * lengths[i] > _MOST_WORDS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
