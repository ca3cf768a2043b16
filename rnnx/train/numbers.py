"""The task of giving a sequence of numbers a label, or values.

Features are standardised by the training part, and so are the values to be learned. Both steps are folded into the
weights once training is over: tanh(U h + W (x - m) / s + b) is tanh(U h + W' x + b') with W' = W / s and
b' = b - W m / s, and (V h + c) s + m has V' = V s and c' = c s + m. So the file takes raw numbers and gives raw ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from rnnx.bundle.samples import SeriesSample, series_samples_to_json
from rnnx.datasets import Series, SeriesDataset, split_series
from rnnx.errors import DataError
from rnnx.train.batches import SeriesSource
from rnnx.train.recipes import SeriesRecipe
from rnnx.train.task import VALIDATION_FRACTION, Task, choose_samples

# A float32 has 24 bits. Where the mean is 2^14 deviations away from zero, ten are left for what differs, and the
# product with the folded kernel takes the others: a thousandth of a deviation is lost.
_MOST_DEVIATIONS = 2.0**14
_SAMPLE_NUMBERS = 200_000  # in all samples together; they are written as text


@dataclass(frozen=True)
class Scale:
    """Where numbers lie: their mean and standard deviation, each (features,) float64; for a constant, its size."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    @classmethod
    def of(cls, numbers: npt.NDArray[np.float32]) -> Scale:
        """Measures (count, features)."""
        mean = numbers.mean(axis=0, dtype=np.float64)
        deviation = numbers.std(axis=0, dtype=np.float64)
        # The mean of equal numbers is off by rounding, and so is their deviation from 0.
        is_constant = deviation <= np.abs(mean) * len(numbers) * np.finfo(np.float64).eps
        return cls(mean, np.where(is_constant, np.maximum(np.abs(mean), 1.0), deviation))

    def apply(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(..., features) in deviations from the mean."""
        return ((numbers - self.mean) / self.deviation).astype(np.float32)


def series(dataset: SeriesDataset, recipe: SeriesRecipe, seed: int) -> Task:
    """Splits and standardises sequences of numbers.

    Args:
        dataset: A fifth of the training part is held out, of each label if there are labels.
        recipe: What to train.
        seed: Of the split.

    Raises:
        DataError: If some label has a single sequence, or there is a single sequence or label, or float32 cannot carry
            a feature, or all values are the same.
    """
    parts = split_series(dataset, VALIDATION_FRACTION, seed)
    scale = Scale.of(np.concatenate(parts[0].rows))
    _require_carried(dataset, scale)
    is_regression = dataset.task == "regression"
    values = Scale.of(parts[0].targets.astype(np.float32)) if is_regression else None
    if is_regression and (parts[0].targets == parts[0].targets[0]).all():
        raise DataError(f"{dataset.name}: all values of y in the training part are the same; there is nothing to learn")
    train, validation = (_encode(part, scale, values) for part in parts)
    outputs, activation, loss = _head(dataset)
    return Task(
        recipe=recipe,
        parts=(train, validation),
        counts=(len(parts[0]), len(parts[1])),
        task_kind=dataset.task,
        build=lambda: recipe.build(dataset.features, outputs, activation),
        loss=loss,
        metrics=lambda: [keras.metrics.R2Score(name="r2")] if is_regression else ["accuracy"],
        vocabulary=None,
        vocabulary_size=0,
        samples=lambda model, seed: _samples(model, parts[1], dataset.labels, seed),
        score="r2" if is_regression else "accuracy",
        finish=lambda model: fold(model, scale, values),
    )


def _head(dataset: SeriesDataset) -> tuple[int, str, str]:
    if dataset.task == "regression":
        return int(dataset.train.targets.shape[1]), "linear", "mean_squared_error"
    if len(dataset.labels) == 2:
        return 1, "sigmoid", "binary_crossentropy"
    return len(dataset.labels), "softmax", "sparse_categorical_crossentropy"


def _require_carried(dataset: SeriesDataset, scale: Scale) -> None:
    far = np.abs(scale.mean) / scale.deviation
    worst = int(far.argmax())
    if far[worst] > _MOST_DEVIATIONS:
        raise DataError(
            f"{dataset.name}: x: feature {worst} (from 0) lies around {scale.mean[worst]:.6g} and varies by "
            f"{scale.deviation[worst]:.3g}: too little of that is left in float32; subtract an offset first"
        )


def _encode(part: Series, scale: Scale, values: Scale | None) -> SeriesSource:
    targets = values.apply(part.targets.astype(np.float32)) if values else part.targets[:, None]
    return SeriesSource([scale.apply(row) for row in part.rows], targets)


def fold(model: keras.Model, scale: Scale, values: Scale | None) -> keras.Model:
    """Makes the network that reads raw numbers of a trained one that reads standardised ones.

    Args:
        model: Its first layer is a Bidirectional of simple recurrences, its last one a Dense; what is present comes in
            as an input of its own.
        scale: Of the features.
        values: Of the outputs; None where they are probabilities.
    """
    x = y = keras.Input(model.inputs[0].shape[1:], name="x")
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            y = type(layer).from_config(layer.get_config())(y)
    folded = keras.Model(x, y, name=model.name)
    folded.set_weights(model.get_weights())
    first = next(layer for layer in folded.layers if isinstance(layer, layers.Bidirectional))
    for half in (first.forward_layer, first.backward_layer):
        kernel, recurrent_kernel, bias = (np.asarray(weight, np.float64) for weight in half.get_weights())
        kernel = kernel / scale.deviation[:, None]
        half.set_weights([kernel, recurrent_kernel, bias - scale.mean @ kernel])
    if values:
        kernel, bias = (np.asarray(weight, np.float64) for weight in folded.layers[-1].get_weights())
        folded.layers[-1].set_weights([kernel * values.deviation, bias * values.deviation + values.mean])
    return folded


def _samples(model: keras.Model, validation: Series, labels: tuple[str, ...], seed: int) -> bytes:
    """Some held-out sequences with what Keras says of them now: export has to come to the same."""
    samples: list[SeriesSample] = []
    room = _SAMPLE_NUMBERS
    for row in validation.take(choose_samples(len(validation), seed)).rows:
        room -= row.size
        if room < 0 and samples:
            break
        (answer,) = model.predict_on_batch(row[None])
        samples.append(SeriesSample.of(row, answer, labels))
    return series_samples_to_json(samples)
