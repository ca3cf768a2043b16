"""Makes the task of giving a text any number of labels. Imports Keras.

The network has a sigmoid for each label, and the loss is the mean of their binary cross entropies. After the training,
a threshold for each label is fitted on the validation part (`rnnx.metrics.several_labels`). The thresholds are stored
in `config.json`, so that the probabilities stay what the network learned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.datasets import LabelSetDataset, split_label_sets
from rnnx.errors import DataError
from rnnx.metrics.several_labels import fit_thresholds, measure_label_sets
from rnnx.text.tokenizer import Tokenizer
from rnnx.train.batches import Batches, SoftTextSource, TextSource
from rnnx.train.classification import build_tokenizer, record_samples, unknown_share
from rnnx.train.recipes import TextRecipe
from rnnx.train.task import Conclusion, Task

# The epoch is chosen by the best of these common thresholds. At 0.5 alone, F1 stays 0 for the first epochs of rare
# labels, and says nothing.
_THRESHOLDS = np.arange(1, 100, dtype=np.float32) / 100
_MOST_SHOWN = 20


def multilabel(dataset: LabelSetDataset, recipe: TextRecipe, seed: int) -> Task:
    """Splits and encodes texts with several labels each.

    Args:
        dataset: The texts; some of each label are held out.
        recipe: The recipe to train.
        seed: The seed of the split.

    Raises:
        DataError: If there is a single label or a single text, or the texts hold no word.
    """
    if len(dataset.labels) < 2:
        raise DataError(f"{dataset.name}: one label ({dataset.labels[0]!r}) in the training part; there should be two")
    if len(dataset.train) < 2:
        raise DataError(f"{dataset.name}: there is a single text; at least two are needed, because one is held out")
    parts = split_label_sets(dataset.train, recipe.validation_fraction, seed)
    tokenizer = build_tokenizer(dataset.name, recipe, parts[0].texts)
    train, validation = (encode_targets(part.texts, part.has_label.astype(np.float32), tokenizer) for part in parts)
    return Task(
        recipe=recipe,
        parts=(train, validation),
        counts=(len(parts[0]), len(parts[1])),
        task_kind="multilabel",
        build=lambda: recipe.build(len(tokenizer.vocabulary), len(dataset.labels), "sigmoid"),
        loss="binary_crossentropy",
        metrics=lambda: [BestF1()],
        vocabulary=tokenizer.vocabulary.to_bytes(),
        vocabulary_size=len(tokenizer.vocabulary),
        samples=lambda model, seed: record_samples(model, tokenizer, parts[1], dataset.labels, seed),
        score="f1",
        unknown_share=unknown_share(validation.texts.rows),
        conclude=lambda model: _conclude(
            predict(model, validation, recipe.batch_size), parts[1].has_label, dataset.labels
        ),
    )


def encode_targets(texts: Sequence[bytes], targets: npt.NDArray[np.float32], tokenizer: Tokenizer) -> SoftTextSource:
    """Encodes texts with `(count, outputs)` float32 targets."""
    rows = [tokenizer.encode(text).ids for text in texts]
    return SoftTextSource(TextSource(rows, np.zeros(len(rows), np.int32), tokenizer), targets)


def predict(model: keras.Model, source: SoftTextSource, batch_size: int) -> npt.NDArray[np.float64]:
    """The outputs of a network for each text of a source, `(count, outputs)`."""
    batches = Batches(source, batch_size=batch_size, by_length=False, seed=None).epoch(1)
    return np.concatenate([model.predict_on_batch(batch[0]) for batch in batches]).astype(np.float64)


def _conclude(probs: npt.NDArray[np.float64], has_label: npt.NDArray[np.bool_], labels: tuple[str, ...]) -> Conclusion:
    thresholds = fit_thresholds(probs, has_label)
    fitted = measure_label_sets(has_label, probs >= thresholds, labels)
    plain = measure_label_sets(has_label, probs >= 0.5, labels)
    figures = {
        "thresholds": dict(zip(labels, thresholds, strict=True)),
        "validation_label_sets": dataclasses.asdict(fitted),
        "validation_label_sets_at_half": dataclasses.asdict(plain),
    }
    shown = [f"{label} {threshold:.3g}" for label, threshold in zip(labels, thresholds, strict=True)]
    more = ", ..." if len(shown) > _MOST_SHOWN else ""
    rows = (
        ("thresholds", ", ".join(shown[:_MOST_SHOWN]) + more),
        ("micro F1", f"{fitted.micro_f1:.4f} (with all thresholds at 0.5: {plain.micro_f1:.4f})"),
        ("macro F1", f"{fitted.macro_f1:.4f} (with all thresholds at 0.5: {plain.macro_f1:.4f})"),
        ("all labels right", f"{fitted.exact:.4f} (with all thresholds at 0.5: {plain.exact:.4f})"),
    )
    return Conclusion(figures, rows, thresholds)


class BestF1(keras.metrics.Metric):  # type: ignore[misc]  # keras ships no types
    """The highest micro F1 over common thresholds from 0.01 to 0.99."""

    def __init__(self, name: str = "f1") -> None:
        """Begins with no text."""
        super().__init__(name=name)
        shape = (len(_THRESHOLDS),)
        self._right = self.add_variable(shape, initializer="zeros", name="right")
        self._given = self.add_variable(shape, initializer="zeros", name="given")
        self._true = self.add_variable((), initializer="zeros", name="true")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch, `(batch, labels)`; weights are not used."""
        has_label = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)), "float32")
        is_given = keras.ops.cast(keras.ops.reshape(y_pred, (-1, 1)) >= _THRESHOLDS, "float32")
        self._right.assign_add(keras.ops.sum(has_label * is_given, axis=0))
        self._given.assign_add(keras.ops.sum(is_given, axis=0))
        self._true.assign_add(keras.ops.sum(has_label))

    def result(self) -> Any:
        """The F1 of all texts so far, at the best threshold."""
        return keras.ops.max(2 * self._right / keras.ops.maximum(self._given + self._true, 1.0))
