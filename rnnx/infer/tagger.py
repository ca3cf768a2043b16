"""Tags the words of texts, or of sentences given as lists of words: cuts them to pieces, runs these, joins the tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.bundle.span_tags import are_span_tags
from rnnx.errors import DataError
from rnnx.infer.encoders import AnyArray, Encoded, chunks, refuse_single_text
from rnnx.infer.predictions import TaggedWord, Tagging
from rnnx.infer.run_ahead import run_ahead
from rnnx.text.tokenizer import UNKNOWN_ID, to_bytes, to_text
from rnnx.text.word_encoder import WordEncoder, WordIds, pieces
from rnnx.text.word_rule import Word

# Starts the network on some pieces of sentences. Gives a function that waits for the outputs: (words, tags) for each
# piece, or longer where the batch was padded.
SubmitPieces: TypeAlias = Callable[[Sequence[Encoded]], Callable[[], Sequence[AnyArray]]]


class _Piece(NamedTuple):
    """As much of a sentence as the network reads at once.

    Attributes:
        item: The index of the text that it belongs to.
        begins: Whether it is the first piece of its sentence.
        words: Its words; none for a text without words.
    """

    item: int
    begins: bool
    words: Sequence[Word]


class SentenceReader:
    """Reads texts and sentences for a network that tags words.

    Attributes:
        encoder: Turns words into ids.
    """

    def __init__(self, name: str, encoder: WordEncoder) -> None:
        """Makes a reader for the model of this name (for messages)."""
        self._name = name
        self.encoder = encoder

    def items(self, inputs: Any) -> Iterable[Any]:
        """Returns the texts or lists of words; `sentences` checks each of them.

        Raises:
            TypeError: If the caller gave one text and not an iterable of texts.
        """
        return refuse_single_text(inputs)

    def sentences(self, item: Any, index: int) -> Iterator[Sequence[Word]]:
        """Cuts an item into sentences of words.

        Args:
            item: A text; or a list of words, which is one sentence. Its words have no place in a text: start and end
                are -1.
            index: Its position among the inputs, from 0, for the error message.

        Raises:
            DataError: If it is neither a text nor a list of words.
        """
        if isinstance(item, str | bytes):
            yield from self.encoder.split_text(to_bytes(item) if isinstance(item, str) else item)
            return
        if not isinstance(item, Sequence) or not all(isinstance(word, str | bytes) and word for word in item):
            raise DataError(
                f"model {self._name} reads texts, or sentences as lists of words; item {index} is neither "
                f"({type(item).__name__})"
            )
        if item:
            yield [Word(to_bytes(word) if isinstance(word, str) else word, -1, -1) for word in item]

    def encode(self, item: Any, index: int) -> Encoded:
        """Looks up the ids of the words of a piece."""
        return Encoded(self.encoder.encode(item), len(item), False)

    def encode_all(self, items: Sequence[Any], first_index: int) -> list[Encoded]:
        """Looks up the ids of several pieces, as `encode` does for one; `first_index` is the position of the first."""
        return [self.encode(item, first_index + i) for i, item in enumerate(items)]

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Groups pieces of similar length, the longest first, as `TextReader.batches` groups texts."""
        return list(chunks(sorted(range(len(encoded)), key=lambda i: -encoded[i].tokens), size))

    def stack(self, given: Sequence[WordIds]) -> dict[str, AnyArray]:
        """Pads the ids of some pieces to one batch per input, (batch, words, ...) int32."""
        return self.encoder.pad(given)._asdict()

    def is_known(self, words: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Says of each word whether it is in the vocabulary; (words,)."""
        return np.asarray(self.encoder.encode(words).ids != UNKNOWN_ID)


def tag_texts(
    reader: SentenceReader, items: Iterable[Any], labels: Sequence[str], submit: SubmitPieces, window: int
) -> Iterator[Tagging]:
    """Tags texts as they come, in bounded memory.

    Args:
        reader: The reader of the model.
        items: Texts, or sentences as lists of words.
        labels: The tags, in the order of the tag ids.
        submit: Starts the network on some pieces of sentences.
        window: How many pieces it is given at once.

    Yields:
        The tagging of each item, in their order.
    """
    has_spans = are_span_tags(labels)
    given: dict[int, Any] = {}
    sentences: list[list[TaggedWord]] = []
    last = None

    def submit_batch(batch: Sequence[_Piece]) -> Callable[[], tuple[Sequence[_Piece], Iterator[AnyArray]]]:
        filled = [piece for piece in batch if piece.words]
        wait = submit(reader.encode_all([[word.word for word in piece.words] for piece in filled], 0))
        return lambda: (batch, iter(wait()))

    for batch, answers in run_ahead(chunks(_pieces(reader, items, given), window), submit_batch):
        for piece in batch:
            if piece.item != last and last is not None:
                yield Tagging.of(sentences, given.pop(last), has_spans=has_spans)
                sentences = []
            last = piece.item
            if piece.words:
                tagged = _choose(piece.words, next(answers), labels)
                if piece.begins:
                    sentences.append(tagged)
                else:
                    sentences[-1] += tagged
    if last is not None:
        yield Tagging.of(sentences, given.pop(last), has_spans=has_spans)


def _pieces(reader: SentenceReader, items: Iterable[Any], given: dict[int, Any]) -> Iterator[_Piece]:
    """Cuts the items into pieces; each item is kept in `given` until it is answered."""
    for i, item in enumerate(items):
        given[i] = item
        is_empty = True
        for words in reader.sentences(item, i):
            for cut in pieces(len(words), reader.encoder.config.max_length):
                is_empty = False
                yield _Piece(i, cut.start == 0, words[cut])
        if is_empty:
            yield _Piece(i, True, ())


def _choose(words: Sequence[Word], answer: AnyArray, labels: Sequence[str]) -> list[TaggedWord]:
    """Chooses the most likely tag of each word."""
    rows = per_label(answer[: len(words)])  # the rest of the batch's row is padding
    tag_ids = choose_label_ids(rows)
    return [
        TaggedWord(
            to_text(word.word),
            labels[tag_id],
            int(tag_id),
            float(row[tag_id]),
            word.start if word.start >= 0 else None,
            word.end if word.end >= 0 else None,
        )
        for word, tag_id, row in zip(words, tag_ids, rows, strict=True)
    ]
