"""Calibrates a trained classifier: fits a temperature on the validation part and folds it into the last layer.

A network that was trained for long gives 0.99 where it is right nine times in ten; dropout or smoothed labels make the
probabilities too low. Dividing the logits z by a temperature T > 0 makes softmax(z / T) and sigmoid(z / T) softer
(T > 1) or sharper (T < 1) and keeps their order, so no label changes. T is chosen for the lowest negative log
likelihood on the validation part, which is convex in 1 / T. Since z / T = x (K / T) + b / T, the kernel and the
bias of the last layer are divided by T, and the exported file needs no temperature. Imports Keras.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.metrics.calibration import Calibration, measure_calibration
from rnnx.train.batches import BatchSource

Logits = npt.NDArray[np.float64]

# The likelihood may have no maximum for a finite T above 0. If every validation text is right, it rises as T falls to
# 0, and a few texts would turn every probability into 0 or 1. If the logits say nothing about the labels, it rises as T
# grows. So T is limited to 4 times sharper and 16 times softer. Both limits are powers of two, by which weights are
# divided without rounding.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.25, 16.0
_BISECTIONS = 53  # the bits of a float64


@dataclass(frozen=True)
class Tempered:
    """A network with a temperature folded in.

    Attributes:
        model: The network.
        temperature: The number that its logits are divided by.
        before: The calibration on the validation part without the temperature.
        after: The calibration on the validation part with the temperature.
    """

    model: keras.Model
    temperature: float
    before: Calibration
    after: Calibration

    def figures(self) -> dict[str, Any]:
        """The figures by name, as `metrics.json` holds them."""
        calibrations = {"before": dataclasses.asdict(self.before), "after": dataclasses.asdict(self.after)}
        return {"temperature": self.temperature, "validation_calibration": calibrations}


def temper(model: keras.Model, validation: BatchSource, batch_size: int) -> Tempered:
    """Fits a temperature on the validation part and folds it into a copy of the network.

    Args:
        model: A classifier of whole examples that ends in a Dense with sigmoid or softmax.
        validation: Held-out examples with their label ids.
        batch_size: The number of examples that run together.

    Raises:
        ModelError: If the network does not end in such a layer, or a logit is not finite.
    """
    logits, label_ids = _logits(model, validation, batch_size)
    temperature = fit_temperature(logits, label_ids)
    before, after = (
        measure_calibration(_softmax(logits / divisor), label_ids, _choose(logits)) for divisor in (1.0, temperature)
    )
    return Tempered(fold_temperature(model, temperature), temperature, before, after)


def fit_temperature(logits: Logits, label_ids: npt.NDArray[np.integer]) -> float:
    """Finds the temperature with the lowest negative log likelihood.

    It bisects the slope of that over 1 / T, which never falls. That takes a few dozen sums over the
    validation part and, unlike a gradient method, cannot diverge.

    Args:
        logits: `(count, labels)`, the logits of a softmax; those of a sigmoid have 0 for the first label.
        label_ids: `(count,)`, the true label ids.

    Returns:
        The temperature, in `LOWEST_TEMPERATURE` to `HIGHEST_TEMPERATURE`; 1 if it makes no difference.

    Raises:
        ValueError: If there are no logits, or a logit is not finite.
    """
    if not (logits.size and np.isfinite(logits).all()):
        raise ValueError("there should be at least one row of logits, all of them finite")
    margins = logits - np.take_along_axis(logits, label_ids[:, None], axis=1)
    low, high = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    falls, rises = _slope(margins, low) < 0, _slope(margins, high) > 0
    if not (falls and rises):
        return LOWEST_TEMPERATURE if falls else HIGHEST_TEMPERATURE if rises else 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if _slope(margins, middle) > 0 else (middle, high)
    return 2 / (low + high)


def _slope(margins: Logits, beta: float) -> float:
    """Computes the derivative of the negative log likelihood, mean log sum exp(beta m), with respect to beta.

    Args:
        margins: `(count, labels)`, the logits minus the logit of the true label.
        beta: 1 / T.
    """
    return float((_softmax(beta * margins) * margins).sum(axis=1).mean())


def fold_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Copies a network and divides its logits by a temperature.

    The weights are divided in float64 and rounded once. Equal logits stay equal and a logit of 0 stays 0, so a tie
    stays a tie. A label can change only if the margin is not larger than that rounding.

    Args:
        model: A network that ends in a Dense with sigmoid or softmax.
        temperature: The divisor, above 0.

    Raises:
        ModelError: If the network does not end in such a layer; the message names the layer.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature should be above 0, not {temperature}")
    require_head(model)
    folded = type(model).from_config(model.get_config())
    folded.set_weights(model.get_weights())
    head = require_head(folded)
    head.set_weights([np.asarray(weight, np.float64) / temperature for weight in head.get_weights()])
    return folded


def require_head(model: keras.Model) -> keras.layers.Dense:
    """Finds the layer that gives the probabilities.

    Raises:
        ModelError: If it is not a Dense with sigmoid or softmax, or there are several outputs; the message names it.
    """
    if len(model.outputs) != 1:
        raise ModelError(f"model {model.name} has {len(model.outputs)} outputs; a temperature needs a single output")
    head = model.layers[-1]
    if not isinstance(head, keras.layers.Dense) or head.output is not model.outputs[0]:
        raise ModelError(
            f"layer {head.name}: it is a {type(head).__name__}, not a Dense that gives the output; it takes no "
            "temperature"
        )
    if head.activation not in (keras.activations.sigmoid, keras.activations.softmax):
        name = getattr(head.activation, "__name__", type(head.activation).__name__)
        raise ModelError(
            f"layer {head.name}: its activation is {name}, not sigmoid or softmax; it takes no temperature"
        )
    return head


def find_logits(model: keras.Model, source: BatchSource, batch_size: int) -> Logits:
    """Computes the logits of the last layer for the examples of a source, `(count, outputs)`, in the source's order.

    Args:
        model: A network that ends in a Dense with sigmoid or softmax.
        source: The examples.
        batch_size: The number of examples that run together.

    Raises:
        ModelError: If the network does not end in such a layer, or a logit is not finite.
    """
    order, logits, _ = _run(model, source, batch_size)
    sorted_back = np.empty_like(logits)
    sorted_back[order] = logits
    return sorted_back


def _logits(model: keras.Model, source: BatchSource, batch_size: int) -> tuple[Logits, npt.NDArray[np.integer]]:
    """Computes the logits `(count, labels)` and the label ids `(count,)`, with the shortest examples first."""
    _, logits, targets = _run(model, source, batch_size)
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    return logits, targets[:, 0]


def _run(
    model: keras.Model, source: BatchSource, batch_size: int
) -> tuple[npt.NDArray[np.intp], Logits, npt.NDArray[Any]]:
    """Returns the order of the examples, the shortest first, and in this order their logits and their targets."""
    head = require_head(model)
    body = keras.Model(model.inputs, head.input)
    body.jit_compile = False  # XLA would compile again for each length of a batch
    order = np.argsort(source.lengths, kind="stable")
    states, found = [], []
    for start in range(0, len(order), batch_size):
        inputs, targets, *_ = source.stack(order[start : start + batch_size])
        states.append(np.asarray(body.predict_on_batch(inputs), np.float64))
        found.append(targets)
    kernel, *bias = (np.asarray(weight, np.float64) for weight in head.get_weights())
    logits = np.concatenate(states) @ kernel + (bias[0] if bias else 0)
    if strange := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ModelError(
            f"model {model.name} gives no finite number for {strange} of {len(logits)} validation examples"
        )
    return order, logits, np.concatenate(found)


def _softmax(logits: Logits) -> Logits:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _choose(logits: Logits) -> npt.NDArray[np.integer]:
    """The label ids that inference chooses; of two labels the second one at a probability of 0.5 or more."""
    if logits.shape[1] == 2:
        return (logits[:, 1] >= logits[:, 0]).astype(np.int64)
    return np.asarray(logits.argmax(axis=1))
