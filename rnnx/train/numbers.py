"""Makes the task of giving a sequence of numbers a label, or values. Imports Keras.

Features are standardised with the mean and deviation of the training part, and so are the values to be learned. After
the training both steps are folded into the weights: tanh(U h + W (x - m) / s + b) is tanh(U h + W' x + b') with
W' = W / s and b' = b - W m / s, and (V h + c) s + m has V' = V s and c' = c s + m. So the exported file takes raw
numbers and returns raw numbers.
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
from rnnx.train.task import VALIDATION_FRACTION, Task, accuracy, choose_samples

# A float32 has 24 bits. If the mean is 2^14 deviations away from zero, 14 bits are used up by the mean and 10 are left
# for the differences, so a thousandth of a deviation is lost in the product with the folded kernel.
_MOST_DEVIATIONS = 2.0**14
_SAMPLE_NUMBERS = 200_000  # in all recorded samples together, because they are written as text


@dataclass(frozen=True)
class Scale:
    """The mean and the standard deviation of numbers.

    Attributes:
        mean: `(features,)` float64.
        deviation: `(features,)` float64, above 0. For a constant feature it is the magnitude of the constant, or 1 if
            that is larger.
    """

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    @classmethod
    def of(cls, numbers: npt.NDArray[np.float32]) -> Scale:
        """Measures the columns of `(count, features)`."""
        mean = numbers.mean(axis=0, dtype=np.float64)
        deviation = numbers.std(axis=0, dtype=np.float64)
        # The mean of equal numbers is off by rounding, and so is their deviation from 0.
        is_constant = deviation <= np.abs(mean) * len(numbers) * np.finfo(np.float64).eps
        return cls(mean, np.where(is_constant, np.maximum(np.abs(mean), 1.0), deviation))

    def apply(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardises `(..., features)`: subtracts the mean and divides by the deviation."""
        return ((numbers - self.mean) / self.deviation).astype(np.float32)


def series(dataset: SeriesDataset, recipe: SeriesRecipe, seed: int) -> Task:
    """Splits and standardises sequences of numbers.

    Args:
        dataset: The data; a fifth of the training part is held out, of each label if there are labels.
        recipe: The recipe to train.
        seed: The seed of the split.

    Raises:
        DataError: If a label has a single sequence, or there is a single sequence or label, or float32 is too coarse
            for a feature, or all values are the same.
    """
    parts = _split(dataset, recipe, seed)
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
        metrics=lambda: [keras.metrics.R2Score(name="r2")] if is_regression else [accuracy(outputs)],
        vocabulary=None,
        vocabulary_size=0,
        samples=lambda model, seed: _samples(model, parts[1], dataset.labels, seed),
        score="r2" if is_regression else "accuracy",
        finish=lambda model: fold(model, scale, values),
        whole=_join(dataset, recipe, train, validation),
    )


def _join(
    dataset: SeriesDataset, recipe: SeriesRecipe, train: SeriesSource, validation: SeriesSource
) -> SeriesSource | None:
    """All sequences, if they are few, have labels, and none was given for validation alone."""
    count = len(train.rows) + len(validation.rows)
    if dataset.task != "classification" or dataset.validation is not None or count > recipe.most_retrained:
        return None
    return SeriesSource([*train.rows, *validation.rows], np.concatenate([train.targets, validation.targets]))


def _split(dataset: SeriesDataset, recipe: SeriesRecipe, seed: int) -> tuple[Series, Series]:
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    return split_series(dataset, recipe.held_out or VALIDATION_FRACTION, seed)


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
            f"{dataset.name}: x: feature {worst} (from 0) has the mean {scale.mean[worst]:.6g} and the deviation "
            f"{scale.deviation[worst]:.3g}, which float32 cannot resolve; subtract an offset first"
        )


def _encode(part: Series, scale: Scale, values: Scale | None) -> SeriesSource:
    targets = values.apply(part.targets.astype(np.float32)) if values else part.targets[:, None]
    return SeriesSource([scale.apply(row) for row in part.rows], targets)


def fold(model: keras.Model, scale: Scale, values: Scale | None) -> keras.Model:
    """Turns a trained network that reads standardised numbers into one that reads raw numbers.

    Args:
        model: The trained network. Its first layer is a Bidirectional of any cell, its last one a Dense, and a second
            input says which steps are present.
        scale: The scale of the features.
        values: The scale of the outputs; None if they are probabilities.

    Returns:
        A network without the second input, which reads and returns raw numbers.
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
        # A GRU has a second row of biases, for the product with the state.
        input_bias = bias if bias.ndim == 1 else bias[0]
        input_bias -= scale.mean @ kernel
        half.set_weights([kernel, recurrent_kernel, bias])
    return fold_outputs(folded, values) if values else folded


def fold_outputs(model: keras.Model, values: Scale) -> keras.Model:
    """Turns a trained network that gives standardised numbers into one that gives raw numbers, in place.

    Args:
        model: The trained network. Its last layer is a Dense without an activation.
        values: The scale of the outputs.

    Returns:
        The same network.
    """
    kernel, bias = (np.asarray(weight, np.float64) for weight in model.layers[-1].get_weights())
    model.layers[-1].set_weights([kernel * values.deviation, bias * values.deviation + values.mean])
    return model


def _samples(model: keras.Model, validation: Series, labels: tuple[str, ...], seed: int) -> bytes:
    """Records some held-out sequences with Keras's answers, which a later export must reproduce."""
    samples: list[SeriesSample] = []
    room = _SAMPLE_NUMBERS
    for row in validation.take(choose_samples(len(validation), seed)).rows:
        room -= row.size
        if room < 0 and samples:
            break
        (answer,) = model.predict_on_batch(row[None])
        samples.append(SeriesSample.of(row, answer, labels))
    return series_samples_to_json(samples)
