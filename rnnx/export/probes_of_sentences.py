"""Makes probes of the sentences that the training of a tagger recorded."""

from __future__ import annotations

from collections.abc import Sequence

from rnnx.proof.compare import ProbeBatch
from rnnx.text.word_encoder import WordEncoder


def sentence_batch(encoder: WordEncoder, sentences: Sequence[Sequence[bytes]]) -> ProbeBatch:
    """Encodes sentences and pads them to one batch."""
    rows = encoder.pad([encoder.encode(words) for words in sentences])
    return ProbeBatch(rows._asdict(), tuple(f"sentence {i + 1}" for i in range(len(sentences))))
