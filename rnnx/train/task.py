"""What fitting and a run need to know of a data set and a recipe, whatever kind of answer is learned."""

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

# The metric that the best epoch is chosen by, the highest: the share of right labels, or of the values' variance that
# is explained.
Score = Literal["accuracy", "r2"]
VALIDATION_FRACTION = 0.2  # the article's
_SAMPLE_COUNT = 64


@dataclass(frozen=True)
class StageProgress:
    """Where a stage before the epochs stands.

    Attributes:
        name: What it does.
        done: Of `total`.
        total: In whatever the stage counts.
        seconds_left: What the rest of it takes at most; None before there is a pace.
        seconds_after: What the stages and epochs behind it take, about; None before there is a pace.
    """

    name: str
    done: int
    total: int
    seconds_left: float | None = None
    seconds_after: float | None = None


@dataclass(frozen=True)
class Preparation:
    """What a stage before the epochs may use.

    Attributes:
        seed: Of everything that is drawn.
        checkpoint: Where a stage writes down what it has done, and takes it up again; None writes nothing.
        on_stage: Told where it stands.
        work_after: What comes behind the stage, in the stage's own steps times rows.
    """

    seed: int
    checkpoint: Checkpoint | None
    on_stage: Callable[[StageProgress], None]
    work_after: float = 0.0


@dataclass(frozen=True)
class Task:
    """A data set encoded for a recipe.

    Attributes:
        recipe: Its optimizer, batch size, epochs and order are used.
        parts: Training and validation.
        counts: Texts or sentences in each, before any cut.
        task_kind: What kind of answer is learned.
        build: The network, its start weights drawn.
        loss: Of the network's output.
        metrics: Made anew for each training, weighted by the batches' weights if they have any; one is `score`.
        vocabulary: The file; None for numbers.
        vocabulary_size: Its tokens.
        samples: (network, seed) to some held-out examples with what it says of them, as a file.
        score: What the best epoch is chosen by.
        unlabelled: Further training texts that `prepare` reads.
        prepare: What comes before the epochs: sets start weights of the network, and gives what the epochs read
            instead of `parts[0]`; None where there is no such thing.
        finish: The trained network to the one that the run keeps.
        calibrate: That one to the same with a temperature folded in; None where the recipe asks for none.
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
    calibrate: Callable[[keras.Model], Tempered] | None = None


def choose_samples(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Draws which of `count` held-out examples are written down, in their order."""
    chosen = np.random.default_rng(seed).choice(count, min(_SAMPLE_COUNT, count), replace=False)
    return np.sort(chosen)
