"""One temperature for the probabilities of a trained classifier, fitted on validation and folded into its head.

A network that was trained long says 0.99 where it is right nine times in ten; one that was held back by dropout or
smoothed labels says too little. Dividing the logits z by a temperature T > 0 makes softmax(z / T) and sigmoid(z / T)
softer (T > 1) or sharper (T < 1) and keeps their order, so no label changes. T is the one with the lowest negative log
likelihood on the validation part, which is convex in 1 / T. Since z / T = x (K / T) + b / T, T goes into the kernel and
the bias of the last layer: the file that is exported knows nothing of it.

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

# The minimum need not lie inside. Where every validation text is right, the likelihood rises for ever as T falls to 0,
# and every probability would become 0 or 1 on the word of a few texts; where the logits say nothing of the labels, it
# rises as T grows. Sharper than 4 times or softer than 16 times is taken for the one or the other. Both are powers of
# two, by which weights are divided without rounding.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.25, 16.0
_BISECTIONS = 53  # the bits of a float64


@dataclass(frozen=True)
class Tempered:
    """A network with its temperature folded in.

    Attributes:
        model: It.
        temperature: What its logits were divided by.
        before: The calibration on the validation part as it was trained.
        after: The same, with the temperature.
    """

    model: keras.Model
    temperature: float
    before: Calibration
    after: Calibration

    def figures(self) -> dict[str, Any]:
        """By name, as the metrics of a run hold them."""
        calibrations = {"before": dataclasses.asdict(self.before), "after": dataclasses.asdict(self.after)}
        return {"temperature": self.temperature, "validation_calibration": calibrations}


def temper(model: keras.Model, validation: BatchSource, batch_size: int) -> Tempered:
    """Fits a temperature on the validation part and folds it into a copy of the network.

    Args:
        model: It ends with a Dense of sigmoid or softmax, one label for each example.
        validation: Held-out examples with their label ids.
        batch_size: Examples that run together.

    Raises:
        ModelError: If the network ends otherwise, or gives no finite number.
    """
    logits, label_ids = _logits(model, validation, batch_size)
    temperature = fit_temperature(logits, label_ids)
    before, after = (
        measure_calibration(_softmax(logits / one), label_ids, _choose(logits)) for one in (1.0, temperature)
    )
    return Tempered(fold_temperature(model, temperature), temperature, before, after)


def fit_temperature(logits: Logits, label_ids: npt.NDArray[np.integer]) -> float:
    """Finds the temperature with the lowest negative log likelihood.

    Bisection on its slope over 1 / T, which never falls: a few dozen sums over the validation part, and no starting
    point from which they go astray.

    Args:
        logits: (count, labels) of a softmax; a sigmoid's are those of a softmax with 0 for the first label.
        label_ids: (count,) the true ones.

    Returns:
        In `LOWEST_TEMPERATURE` to `HIGHEST_TEMPERATURE`; 1 if it makes no difference.

    Raises:
        ValueError: If there is no logit, or one is not finite.
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
    """The derivative of the negative log likelihood, mean log sum exp(beta m), by beta.

    Args:
        margins: (count, labels) the logits less that of the true label.
        beta: 1 / T.
    """
    return float((_softmax(beta * margins) * margins).sum(axis=1).mean())


def fold_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Makes the network whose logits are those of another one, divided by a temperature.

    Its weights are divided in float64 and rounded once. Equal logits stay equal and a logit of 0 stays 0, so a tie
    stays a tie; another label could come out only where the margin is no larger than that rounding.

    Args:
        model: It ends with a Dense of sigmoid or softmax.
        temperature: Above 0.

    Raises:
        ModelError: If it ends otherwise; names the layer.
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
    """The layer that gives the probabilities.

    Raises:
        ModelError: If it is no Dense of sigmoid or softmax, or there are several outputs; names the layer.
    """
    if len(model.outputs) != 1:
        raise ModelError(f"model {model.name} has {len(model.outputs)} outputs: a temperature is for one")
    head = model.layers[-1]
    if not isinstance(head, keras.layers.Dense) or head.output is not model.outputs[0]:
        raise ModelError(
            f"layer {head.name}: a {type(head).__name__} is no Dense that gives the output; no temperature goes into it"
        )
    if head.activation not in (keras.activations.sigmoid, keras.activations.softmax):
        name = getattr(head.activation, "__name__", type(head.activation).__name__)
        raise ModelError(f"layer {head.name}: its activation is {name}, not sigmoid or softmax: it has no temperature")
    return head


def _logits(model: keras.Model, source: BatchSource, batch_size: int) -> tuple[Logits, npt.NDArray[np.integer]]:
    """What goes into the last activation, (count, labels), and the label ids, (count,), the shortest examples first."""
    head = require_head(model)
    body = keras.Model(model.inputs, head.input)
    body.jit_compile = False  # XLA would compile anew for each length of a batch
    order = np.argsort(source.lengths, kind="stable")
    states, label_ids = [], []
    for start in range(0, len(order), batch_size):
        inputs, targets, *_ = source.stack(order[start : start + batch_size])
        states.append(np.asarray(body.predict_on_batch(inputs), np.float64))
        label_ids.append(targets[:, 0])
    kernel, *bias = (np.asarray(weight, np.float64) for weight in head.get_weights())
    logits = np.concatenate(states) @ kernel + (bias[0] if bias else 0)
    if strange := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ModelError(
            f"model {model.name} gives no finite number for {strange} of {len(logits)} validation examples"
        )
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    return logits, np.concatenate(label_ids)


def _softmax(logits: Logits) -> Logits:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _choose(logits: Logits) -> npt.NDArray[np.integer]:
    """The label ids that inference would say: of two, the second one from a probability of 0.5 on."""
    if logits.shape[1] == 2:
        return (logits[:, 1] >= logits[:, 0]).astype(np.int64)
    return np.asarray(logits.argmax(axis=1))
