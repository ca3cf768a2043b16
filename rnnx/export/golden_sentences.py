"""The golden vectors of a tagger: sentences with the ids, features, tags and probabilities of their words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.export.probes import GoldenInputs, own_texts
from rnnx.reference import Network
from rnnx.text.word_encoder import WordEncoder, WordIds

# In this order: an unknown word; capitals; invalid UTF-8 and letters outside ASCII; numbers, symbols and addresses;
# control characters and words that look like special tokens; one word repeated.
_TRAPS = (
    (b"qqqqzzzz",),
    (b"THE", b"Film", b"IS", b"GREAT", b"!!!"),
    (b"\xff\xfe", b"\x80", b"caf\xc3\xa9", b"\xe2\x80\xa6", b"\xc3\x89t\xc3\xa9"),
    (b"1990s", b"$", b"3,000", b"U.S.", b"e-mail", b"user@example.com", b"https://example.com/a?b=c", b":-)"),
    (b"\x01\x02", b"\t", b" ", b"SHAPE=Xx", b"SUFFIX1=s", b"<pad>", b"<start>", b"<unknown>"),
    (b"the",) * 40,
)


def golden_sentences(encoder: WordEncoder, *, every: bool = True) -> list[tuple[bytes, ...]]:
    """Returns the sentences of rnnx's own texts, and traps, each cut to the longest sentence that the model reads.

    A user's texts are never used, because golden vectors are published.

    Args:
        encoder: The model's encoder of words.
        every: Whether to return all sentences of each text, or only its first.
    """
    longest = encoder.config.max_length
    own = [
        tuple(word.word for word in sentence)
        for text in own_texts()
        for sentence in list(encoder.split_text(text))[: None if every else 1]
    ]
    return [words[:longest] for words in [*own, *_TRAPS]]


def golden_sentence_inputs(encoder: WordEncoder) -> GoldenInputs:
    """Returns the first sentence of each of rnnx's own texts, and the traps, as inputs by name."""
    return {
        f"golden sentence {i + 1}": (b"\n".join(words), _as_inputs(encoder.encode(words)))
        for i, words in enumerate(golden_sentences(encoder, every=False))
    }


def golden_sentence_rows(network: Network, encoder: WordEncoder, labels: Sequence[str]) -> list[dict[str, object]]:
    """Makes the rows of `golden.json`: the words of each sentence, their ids and features, tags and probabilities.

    `bytes` has the words in hexadecimal. In `words`, what is not UTF-8 is U+FFFD: a lone surrogate is no text, and many
    JSON parsers refuse a file that has one.
    """
    rows: list[dict[str, object]] = []
    for words in golden_sentences(encoder):
        encoded = encoder.encode(words)
        probs = per_label(network.predict(_as_inputs(encoded))[0])
        rows.append(
            {
                "words": [word.decode("utf-8", "replace") for word in words],
                "bytes": [word.hex() for word in words],
                "ids": encoded.ids.tolist(),
                "features": encoded.features.tolist(),
                "tags": [labels[i] for i in choose_label_ids(probs)],
                "probabilities": probs.max(axis=-1).tolist(),
            }
        )
    return rows


def _as_inputs(ids: WordIds) -> dict[str, npt.NDArray[np.int32]]:
    """Returns a sentence as a batch of one, by input name."""
    return {name: values[None] for name, values in ids._asdict().items()}
