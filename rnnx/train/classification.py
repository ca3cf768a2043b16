"""Makes the task of giving a whole text one label. Imports Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.bundle.samples import Sample, samples_to_json
from rnnx.datasets import Dataset, Examples, LabelSets, split_by_group, split_by_label
from rnnx.errors import DataError
from rnnx.text.embeddings import WordVectors, read_vectors
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, Ids, Tokenizer, Vocabulary, has_known_word
from rnnx.train.batches import BatchSource, SoftTextSource, TextSource
from rnnx.train.language_model import pretrain
from rnnx.train.networks import cell_of, with_shape
from rnnx.train.recipes import TextRecipe
from rnnx.train.task import Preparation, StageProgress, Task, accuracy, choose_samples
from rnnx.train.temperature import temper

# The cost of a word in an epoch, relative to its cost in the pretraining; measured over complete IMDB epochs.
_EPOCH_OVER_PRETRAINING = 0.3
_TEACHER, _TEACHER_NAME = "teacher", "a teacher judges the unlabelled texts"


def classification(dataset: Dataset, recipe: TextRecipe, seed: int) -> Task:
    """Splits and encodes texts with a label each.

    Args:
        dataset: Labelled texts; some texts of each label are held out, or whole groups if the recipe says so.
        recipe: The recipe to train.
        seed: The seed of the split.

    Raises:
        DataError: If there is a single label, a label has a single text, or the texts hold no word.
    """
    _require_labels(dataset)
    parts = _split(dataset, recipe, seed)
    unlabelled = dataset.unlabelled if recipe.pretraining_epochs else ()
    tokenizer = build_tokenizer(dataset.name, recipe, (*parts[0].texts, *unlabelled))
    vocabulary = tokenizer.vocabulary
    train, validation = (
        TextSource([tokenizer.encode(text).ids for text in part.texts], part.label_ids, tokenizer) for part in parts
    )
    outputs, activation, loss = (
        (1, "sigmoid", "binary_crossentropy")
        if len(dataset.labels) == 2
        else (len(dataset.labels), "softmax", "sparse_categorical_crossentropy")
    )
    is_soft = bool(unlabelled)
    build = recipe.build
    prepare: Callable[[keras.Model, Preparation], BatchSource] | None = None
    if recipe.embeddings:
        vectors = read_vectors(Path(recipe.embeddings.path), _word_ids(vocabulary))
        build = with_shape(build, width=vectors.width) or build
        prepare = partial(_embed, vectors=vectors, train=train)
    elif is_soft:
        prepare = partial(_prepare, recipe=recipe, train=train, labelled=parts[0], unlabelled=unlabelled)
    return Task(
        recipe=recipe,
        parts=(train, validation),
        counts=(len(parts[0]), len(parts[1])),
        task_kind="classification",
        build=lambda: build(len(vocabulary), outputs, activation),
        loss=_cross_entropy if is_soft else loss,
        metrics=lambda: [
            keras.metrics.MeanMetricWrapper(_agree, name="accuracy") if is_soft else accuracy(outputs),
        ],
        vocabulary=vocabulary.to_bytes(),
        vocabulary_size=len(vocabulary),
        unlabelled=unlabelled,
        prepare=prepare,
        samples=lambda model, seed: record_samples(model, tokenizer, parts[1], dataset.labels, seed),
        calibrate=(lambda model: temper(model, validation, recipe.batch_size)) if recipe.has_temperature else None,
        unknown_share=unknown_share(validation.rows),
    )


def build_tokenizer(name: str, recipe: TextRecipe, texts: Iterable[bytes]) -> Tokenizer:
    """Builds the vocabulary of training texts and the tokenizer that the recipe describes.

    Args:
        name: The name of the data set, for messages.
        recipe: The recipe to train.
        texts: The training texts, labelled or not.

    Raises:
        DataError: If the texts hold no word.
    """
    vocabulary = Vocabulary.build(
        texts, recipe.vocabulary_size, strip_breaks=recipe.tokenizer.strip_breaks, rule=find_rule(recipe.tokenizer)
    )
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise DataError(f"{name}: the training texts hold no word")
    return Tokenizer(recipe.tokenizer, vocabulary)


def unknown_share(rows: Sequence[Ids]) -> float:
    """The share of encoded texts in which no word is known, in 0..1."""
    return sum(not has_known_word(ids) for ids in rows) / len(rows)


def _split(dataset: Dataset, recipe: TextRecipe, seed: int) -> tuple[Examples, Examples]:
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    if recipe.by_group and dataset.train.groups is not None:
        return split_by_group(dataset.train, recipe.validation_fraction, seed)
    return split_by_label(dataset.train, recipe.validation_fraction, seed)


def _word_ids(vocabulary: Vocabulary) -> dict[bytes, int]:
    return {word: i for i, word in enumerate(vocabulary.tokens) if i >= len(SPECIAL_TOKENS)}


def _embed(model: keras.Model, preparation: Preparation, vectors: WordVectors, train: TextSource) -> TextSource:
    """Sets word vectors as start weights of the embedding; the texts stay as they are."""
    embedding = model.get_layer("embedding")
    known = f"{len(vectors.vectors):,} of {embedding.input_dim:,} words have a vector"
    preparation.on_stage(StageProgress(known, 1, 1))
    embedding.set_weights([vectors.fill(embedding.input_dim, preparation.seed)])
    return train


def _prepare(
    model: keras.Model,
    preparation: Preparation,
    recipe: TextRecipe,
    train: TextSource,
    labelled: Examples,
    unlabelled: Sequence[bytes],
) -> SoftTextSource:
    """Sets the weights of a language model as start weights, and lets a teacher judge the unlabelled texts.

    Returns:
        The labelled and the unlabelled texts, with a probability for each label.
    """
    tokenizer = train.tokenizer
    judged = _judge(labelled, unlabelled, preparation, tokenizer)
    rows = [*train.rows, *(tokenizer.encode(text).ids for text in unlabelled)]
    work = _EPOCH_OVER_PRETRAINING * recipe.epochs * sum(map(len, rows))
    preparation = dataclasses.replace(preparation, work_after=work)
    embedding, *recurrences = pretrain(
        rows,
        tokenizer,
        units=model.get_layer("embedding").output_dim,
        epochs=recipe.pretraining_epochs,
        preparation=preparation,
        cell=cell_of(model.get_layer("rnn").forward_layer),
    )
    model.get_layer("embedding").set_weights([embedding])
    model.get_layer("rnn").set_weights(recurrences)
    count = judged.shape[1]
    smoothed = np.eye(count, dtype=np.float32)[labelled.label_ids] * (1 - recipe.smoothing) + recipe.smoothing / count
    probs = np.concatenate([smoothed, judged]).astype(np.float32)
    texts = TextSource(rows, np.zeros(len(rows), np.int32), tokenizer)
    return SoftTextSource(texts, probs[:, 1:] if count == 2 else probs)


def _judge(
    labelled: Examples, unlabelled: Sequence[bytes], preparation: Preparation, tokenizer: Tokenizer
) -> npt.NDArray[np.float32]:
    """The teacher's probabilities `(unlabelled, labels)`, from the checkpoint if they were saved there."""
    from rnnx.train.teacher import judge  # importing scikit-learn takes a second, and few trainings need it

    checkpoint = preparation.checkpoint
    if checkpoint and (state := checkpoint.load(_TEACHER)):
        return np.asarray(state.arrays["probs"])
    preparation.on_stage(StageProgress(_TEACHER_NAME, 0, 1))
    probs = judge(
        labelled.texts,
        labelled.label_ids,
        unlabelled,
        strip_breaks=tokenizer.config.strip_breaks,
        rule=tokenizer.rule,
    )
    if checkpoint:
        checkpoint.save(_TEACHER, 1, {"probs": probs}, None)
    return probs


def _cross_entropy(expected: Any, actual: Any) -> Any:
    """The cross entropy with label ids `(batch, 1)`, as in validation, or with probabilities, as from a teacher."""
    if actual.shape[-1] == 1:
        return keras.losses.binary_crossentropy(expected, actual)
    if expected.shape[-1] == 1:
        return keras.losses.sparse_categorical_crossentropy(expected, actual)
    return keras.losses.categorical_crossentropy(expected, actual)


def _agree(expected: Any, actual: Any) -> Any:
    """Whether the most probable labels agree, `(batch,)`; the arguments are those of `_cross_entropy`."""
    if actual.shape[-1] == 1:
        return keras.ops.equal(keras.ops.cast(expected[:, 0], "float32") > 0.5, actual[:, 0] > 0.5)
    expected_ids = expected[:, 0] if expected.shape[-1] == 1 else keras.ops.argmax(expected, axis=-1)
    return keras.ops.equal(keras.ops.cast(expected_ids, "int32"), keras.ops.argmax(actual, axis=-1))


def _require_labels(dataset: Dataset) -> None:
    if len(dataset.labels) < 2:
        raise DataError(
            f"{dataset.name}: one label ({dataset.labels[0]!r}) in the training part; a classifier needs at least two"
        )
    counts = np.bincount(dataset.train.label_ids, minlength=len(dataset.labels))
    if single := [label for label, count in zip(dataset.labels, counts, strict=True) if count < 2]:
        if dataset.validation is not None:
            return
        raise DataError(
            f"{dataset.name}: there is a single text of {', '.join(single)}; at least two are needed, because one is "
            "held out"
        )


def record_samples(
    model: keras.Model, tokenizer: Tokenizer, validation: Examples | LabelSets, labels: tuple[str, ...], seed: int
) -> bytes:
    """Records some held-out texts with Keras's most likely labels, which a later export must reproduce."""
    texts = validation.take(choose_samples(len(validation), seed)).texts
    probs = per_label(model.predict_on_batch(tokenizer.pad([tokenizer.encode(text).ids for text in texts])))
    chosen = choose_label_ids(probs)
    return samples_to_json(
        [Sample(text, labels[i], float(row[i])) for text, i, row in zip(texts, chosen, probs, strict=True)]
    )
