"""Describes a training for `fit` and `run`: an encoded data set and its recipe, for any kind of model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import TaskKind
from rnnx.train.batches import BatchSource
from rnnx.train.checkpoint import Checkpoint
from rnnx.train.recipes import Recipe
from rnnx.train.temperature import Tempered

# The metric that the best epoch is chosen by: the share of right labels; the micro F1 of several labels; or R2, the
# share of the values' variance that is explained. Higher is better.
Score = Literal["accuracy", "f1", "r2"]
VALIDATION_FRACTION = 0.2  # as in the article
_SAMPLE_COUNT = 64


@dataclass(frozen=True)
class StageProgress:
    """The progress of a stage before or after the epochs.

    Attributes:
        name: What the stage does, for messages.
        done: How much of `total` is done.
        total: The work of the stage, in units of its own.
        seconds_left: The time that the rest of the stage takes at most; None before a pace is known.
        seconds_after: The approximate time of the stages and epochs after it; None before a pace is known.
    """

    name: str
    done: int
    total: int
    seconds_left: float | None = None
    seconds_after: float | None = None


@dataclass(frozen=True)
class Preparation:
    """What a stage before the epochs gets.

    Attributes:
        seed: The seed of everything that is drawn.
        checkpoint: Where a stage saves its state and reads it when it is resumed; None saves nothing.
        on_stage: Called with the progress of the stage.
        work_after: The work that follows the stage, in the units of the stage (steps times rows).
    """

    seed: int
    checkpoint: Checkpoint | None
    on_stage: Callable[[StageProgress], None]
    work_after: float = 0.0


@dataclass(frozen=True)
class Extended:
    """A trained network to which something may have been added.

    Attributes:
        model: The network.
        figures: What was added and what the held-out examples say about it, by name, as `metrics.json` holds it.
    """

    model: keras.Model
    figures: dict[str, Any]


@dataclass(frozen=True)
class Conclusion:
    """What the held-out examples say about the network that the run keeps.

    Attributes:
        figures: The figures by name, as `metrics.json` holds them.
        rows: The figures as name and value, for the terminal.
        thresholds: `ModelConfig.thresholds`.
    """

    figures: dict[str, Any]
    rows: tuple[tuple[str, str], ...]
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Task:
    """A data set encoded for a recipe.

    Attributes:
        recipe: The recipe; it also says which kind of model is trained and how that reads its input.
        parts: The encoded training part and validation part.
        counts: The number of examples in each part, before long ones are cut into pieces.
        task_kind: Which kind of answer is learned.
        build: Makes the network with newly drawn start weights.
        loss: The loss of the network's output.
        metrics: Makes new metrics for a training, weighted by the weights of the batches if they have any; one of them
            is named `score`.
        vocabulary: The content of the vocabulary file; None for numbers.
        vocabulary_size: The number of its tokens; 0 for numbers.
        samples: Makes the file of recorded samples, given the network and a seed: some held-out examples with the
            network's answers.
        score: The metric that the best epoch is chosen by.
        unlabelled: Further training texts that `prepare` reads.
        prepare: Runs before the epochs: sets start weights of the network and returns what the epochs read in place
            of `parts[0]`; None if nothing has to be prepared.
        finish: Makes the network that the run keeps from the trained network.
        extend: Adds something to this network, if the held-out part says that it helps; None if there is nothing.
        whole: The examples of both parts, if the network is trained on all of them at the end; None if it is not.
        unknown_share: The share of the held-out texts in which no word is known, in 0..1; 0 for other kinds of data.
        measure_spans: Measures the F1 of the held-out spans, in 0..1; None if the tags are not those of spans.
        calibrate: Folds a temperature into the network that the run keeps; None if the recipe has no temperature.
        conclude: Measures the network that the run keeps on the validation part; None if the score says enough.
    """

    recipe: Recipe
    parts: tuple[BatchSource, BatchSource]
    counts: tuple[int, int]
    task_kind: TaskKind
    build: Callable[[], keras.Model]
    loss: str | Callable[[Any, Any], Any]
    metrics: Callable[[], list[str | keras.metrics.Metric]]
    vocabulary: bytes | None
    vocabulary_size: int
    samples: Callable[[keras.Model, int], bytes]
    score: Score = "accuracy"
    unlabelled: Sequence[bytes] = ()
    prepare: Callable[[keras.Model, Preparation], BatchSource] | None = None
    finish: Callable[[keras.Model], keras.Model] = lambda model: model
    extend: Callable[[keras.Model, Preparation], Extended] | None = None
    calibrate: Callable[[keras.Model], Tempered] | None = None
    conclude: Callable[[keras.Model], Conclusion] | None = None
    whole: BatchSource | None = None
    unknown_share: float = 0.0
    measure_spans: Callable[[keras.Model], float] | None = None


def choose_samples(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Draws which of `count` held-out examples are recorded as samples; returns their indices in ascending order."""
    chosen = np.random.default_rng(seed).choice(count, min(_SAMPLE_COUNT, count), replace=False)
    return np.sort(chosen)


def accuracy(outputs: int) -> keras.metrics.Metric:
    """Returns a new metric of how many labels are right.

    Keras would make the same metric of the word "accuracy", but while it traces the first step, and trace it again.

    Args:
        outputs: The outputs of the network: 1 for two labels, otherwise one for each label.
    """
    return (keras.metrics.BinaryAccuracy if outputs == 1 else keras.metrics.SparseCategoricalAccuracy)(name="accuracy")
