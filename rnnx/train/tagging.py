"""Makes the task of giving each word of a sentence a tag. Imports Keras."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.bundle.samples import TaggedSample, tagged_samples_to_json
from rnnx.bundle.span_tags import are_span_tags
from rnnx.datasets import TaggedDataset, TaggedSentences, split_sentences
from rnnx.errors import DataError
from rnnx.metrics.spans import measure_spans
from rnnx.text.word_encoder import WordEncoder, pieces
from rnnx.text.word_vocabulary import WordVocabulary
from rnnx.train.batches import WordSource
from rnnx.train.recipes import TaggerRecipe
from rnnx.train.task import VALIDATION_FRACTION, Task, choose_samples

_MEASURED_TOGETHER = 64
_HYPHEN_INSIDE = re.compile(rb"(?s)[^-]-[^-]")


class WordAccuracy(keras.metrics.SparseCategoricalAccuracy):  # type: ignore[misc]  # keras ships no types
    """The share of words whose tag is right, over all batches together.

    Keras's own metric takes the mean over the time first, which gives a word in a short batch more weight.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: tags `(batch, time)`, probabilities `(batch, time, tags)`, weights `(batch, time)`."""
        flat = (-1,)
        weight = None if sample_weight is None else keras.ops.reshape(sample_weight, flat)
        y_pred = keras.ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        super().update_state(keras.ops.reshape(y_true, flat), y_pred, weight)


def tagging(dataset: TaggedDataset, recipe: TaggerRecipe, seed: int) -> Task:
    """Encodes sentences with a tag for each word.

    Args:
        dataset: Tagged sentences; if it has no validation part, a fifth of the training part is held out.
        recipe: The recipe to train.
        seed: The seed of that split.

    Raises:
        DataError: If there is a single tag, or a single sentence and no validation part.
    """
    if len(dataset.labels) < 2:
        raise DataError(f"{dataset.name}: one tag ({dataset.labels[0]!r}) for all words; a tagger needs at least two")
    train, validation = (
        (dataset.train, dataset.validation)
        if dataset.validation
        else split_sentences(dataset.train, recipe.held_out or VALIDATION_FRACTION, seed)
    )
    words = dataclasses.replace(recipe.words, tag_column=dataset.tag_column)
    if words.rule != "bytes":
        words = dataclasses.replace(words, joins_hyphens=joins_most_hyphens(train.sentences))
    recipe = dataclasses.replace(recipe, words=words)
    vocabulary = WordVocabulary.build(train.sentences, recipe.words, recipe.vocabulary_size)
    encoder = WordEncoder(recipe.words, vocabulary)
    return Task(
        recipe=recipe,
        parts=(_encode(train, encoder), _encode(validation, encoder)),
        counts=(len(train), len(validation)),
        task_kind="tagging",
        build=lambda: recipe.build(vocabulary.word_count, len(vocabulary), len(dataset.labels)),
        loss="sparse_categorical_crossentropy",
        metrics=lambda: [WordAccuracy(name="accuracy")],
        vocabulary=vocabulary.to_bytes(),
        vocabulary_size=len(vocabulary),
        samples=lambda model, seed: _samples(model, encoder, validation, dataset.labels, seed),
        measure_spans=(
            (lambda model: span_f1(model, encoder, validation, dataset.labels))
            if are_span_tags(dataset.labels)
            else None
        ),
    )


def span_f1(model: keras.Model, encoder: WordEncoder, validation: TaggedSentences, labels: tuple[str, ...]) -> float:
    """Measures the F1 of the spans of sentences, micro average, in 0..1.

    Args:
        model: A network that tags words.
        encoder: Turns words into ids.
        validation: The sentences with their tags.
        labels: The tags, in the order of the tag ids.
    """
    predicted = [np.zeros(len(words), np.intp) for words in validation.sentences]
    cuts = [(i, cut) for i, words in enumerate(predicted) for cut in pieces(len(words), encoder.config.max_length)]
    cuts.sort(key=lambda cut: cut[1].stop - cut[1].start)  # little padding in a batch
    for start in range(0, len(cuts), _MEASURED_TOGETHER):
        batch = cuts[start : start + _MEASURED_TOGETHER]
        rows = [encoder.encode(validation.sentences[i][cut]) for i, cut in batch]
        probs = per_label(np.asarray(model.predict_on_batch(tuple(encoder.pad(rows)))))
        for (i, cut), tag_ids in zip(batch, choose_label_ids(probs), strict=True):
            predicted[i][cut] = tag_ids[: cut.stop - cut.start]
    pairs = zip(validation.tag_ids, predicted, strict=True)
    return measure_spans(([labels[i] for i in true], [labels[i] for i in found]) for true, found in pairs).micro.f1


def joins_most_hyphens(sentences: Iterable[Sequence[bytes]]) -> bool:
    """Whether more words of a treebank contain a hyphen than are one: treebanks differ in how they write compounds."""
    inside = alone = 0
    for words in sentences:
        alone += words.count(b"-")
        inside += sum(b"-" in word and _HYPHEN_INSIDE.search(word) is not None for word in words)
    return inside > alone


def _encode(part: TaggedSentences, encoder: WordEncoder) -> WordSource:
    cuts = [(i, cut) for i, words in enumerate(part.sentences) for cut in pieces(len(words), encoder.config.max_length)]
    return WordSource(
        [encoder.encode(part.sentences[i][cut]) for i, cut in cuts], [part.tag_ids[i][cut] for i, cut in cuts], encoder
    )


def _samples(
    model: keras.Model, encoder: WordEncoder, validation: TaggedSentences, labels: tuple[str, ...], seed: int
) -> bytes:
    """Records some held-out sentences with Keras's tags, which a later export must reproduce."""
    chosen = validation.take(choose_samples(len(validation), seed)).sentences
    sentences = [words[cut] for words in chosen for cut in list(pieces(len(words), encoder.config.max_length))[:1]]
    probs = model.predict_on_batch(tuple(encoder.pad([encoder.encode(words) for words in sentences])))
    return tagged_samples_to_json(
        [
            TaggedSample(
                words,
                tuple(labels[i] for i in rows[: len(words)].argmax(axis=-1)),
                tuple(map(float, rows[: len(words)].max(axis=-1))),
            )
            for words, rows in zip(sentences, probs, strict=True)
        ]
    )
