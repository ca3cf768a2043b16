"""Texts in, predictions out: the same class for every bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle import (
    BATCH_NAME,
    DEFAULT_MODEL,
    MODEL_NAME,
    VOCABULARY_NAME,
    Directory,
    find_directory,
    read_directory,
)
from rnnx.errors import ModelError
from rnnx.infer.session import Device, Session, expected_device
from rnnx.metadata import require_same
from rnnx.text import Ids, read_tokenizer, to_bytes

if TYPE_CHECKING:
    from rnnx.infer.stream import Stream

T = TypeVar("T")

DEFAULT_BATCH_SIZE = 64
DEFAULT_THRESHOLD = 0.5
# On a CPU the Scan form is faster from this many numbers of state a step on (rows times units), the RNN operator below:
# with 32 units from two rows on, with 64 always; where all states are written down as well, which costs a Scan one more
# call a step, with 32 units from three rows on, with 64 from two. bench/forms.py measures it. (Of two Scans with one of
# either kind, a single row of less than 100 steps is up to a fifth faster in the other form.)
SCAN_FROM_STATES = 64
SCAN_FROM_COLLECTED_STATES = 96
# Texts are sorted by length within a window of this many batches: little padding, bounded memory, answers soon.
_WINDOW_BATCHES = 32


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text.

    Attributes:
        label: The chosen label.
        label_id: Its index.
        probability: Of that label, in 0..1.
        probs: Of every label, by name; they sum to 1.
        tokens: Words in the text.
        truncated: Whether words were cut off, because the text is longer than the model reads.
    """

    label: str
    label_id: int
    probability: float
    probs: dict[str, float]
    tokens: int
    truncated: bool


class Predictor:
    """A loaded bundle.

    Attributes:
        config: Its description.
        labels: In the order of the label ids.
        device: `cpu` or `cuda`: what it really runs on.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        device: Device = "auto",
        batch_size: int = DEFAULT_BATCH_SIZE,
        threads: int | None = None,
    ) -> None:
        """Makes a predictor of a bundle that was read.

        Args:
            directory: From `rnnx.bundle.read_directory`.
            device: `auto` takes CUDA if it is there; `cuda` never lands on the CPU.
            batch_size: Texts that run together.
            threads: Batches that run at once; as many as there are cores if None.

        Raises:
            DeviceError: If CUDA is asked for and not there.
            ModelError: If the bundle cannot be loaded, or is not for texts.
        """
        self.config = directory.config
        self.labels = self.config.labels
        tokenizer = read_tokenizer(self.config, directory[VOCABULARY_NAME]) if self.config.tokenizer else None
        if tokenizer is None:
            raise ModelError(f"model {self.config.name}: made without a vocabulary; it reads ids, not texts")
        self._tokenizer = tokenizer
        self._directory = directory
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()
        self._asked_device = device
        self.device = expected_device(device)
        self.device = self._session(self._form(rows=1)).device
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(threads or _core_count())
        self.window = batch_size * _WINDOW_BATCHES

    def predict(self, texts: Iterable[str | bytes], *, threshold: float = DEFAULT_THRESHOLD) -> list[Prediction]:
        """Classifies texts.

        Args:
            texts: Each one text, however long; a `str` is read as its UTF-8 bytes.
            threshold: With two labels, the probability from which the second one is chosen.

        Returns:
            One prediction per text, in their order.
        """
        if isinstance(texts, str | bytes):
            raise TypeError("predict takes an iterable of texts; put a single one into a list")
        return list(self.predict_stream(texts, threshold=threshold))

    def predict_stream(
        self, texts: Iterable[str | bytes], *, threshold: float = DEFAULT_THRESHOLD
    ) -> Iterator[Prediction]:
        """Classifies texts as they come, in bounded memory; as `predict` otherwise."""
        for window in chunks(texts, self.window):
            yield from self._predict_window(window, threshold)

    def stream(self, *, threshold: float = DEFAULT_THRESHOLD) -> Stream:
        """Begins an endless sequence, to be fed in chunks of any size.

        Args:
            threshold: As in `predict`.

        Raises:
            ModelError: If the bundle has no streaming file; `rnnx export --streaming` makes one.
        """
        from rnnx.infer.stream import open_stream

        return open_stream(self._directory, device=self._asked_device, threshold=threshold)

    def _predict_window(self, texts: Sequence[str | bytes], threshold: float) -> list[Prediction]:
        encodings = [self._tokenizer.encode(to_bytes(text) if isinstance(text, str) else text) for text in texts]
        # The longest first: the batches that take long do not come last, when other threads have nothing to do.
        by_length = sorted(range(len(encodings)), key=lambda i: -len(encodings[i].ids))
        batches = list(chunks(by_length, self._batch_size))
        predictions: dict[int, Prediction] = {}
        rows = ([encodings[i].ids for i in chosen] for chosen in batches)
        # One batch runs where it is; several on the cores there are, each alone: onnxruntime lets go of Python's lock.
        results = self._pool.map(self._run, rows) if len(batches) > 1 else map(self._run, rows)
        for chosen, probs in zip(batches, results, strict=True):
            for i, row in zip(chosen, probs, strict=True):
                predictions[i] = self._choose(row, threshold, encodings[i].token_count, encodings[i].is_truncated)
        return [predictions[i] for i in range(len(texts))]

    def _run(self, rows: Sequence[Ids]) -> npt.NDArray[np.float32]:
        return self._session(self._form(len(rows))).run(self._tokenizer.pad(rows))[0]

    def _form(self, rows: int) -> str:
        return choose_form(self.device, rows, self.config.recurrent_units or 0, self.config.collects_states)

    def _session(self, name: str) -> Session:
        """The session of a form, loaded when it is first needed: a single text needs one of them only."""
        with self._lock:
            if name not in self._sessions:
                session = Session(self._directory[name], device=self._asked_device)
                require_same(session.metadata, self.config)
                self._sessions[name] = session
            return self._sessions[name]

    def _choose(self, row: npt.NDArray[np.float32], threshold: float, tokens: int, truncated: bool) -> Prediction:
        values = [float(value) for value in row]
        if len(values) == 1:  # one sigmoid: the probability of the second label
            values = [1.0 - values[0], values[0]]
        label_id = int(values[1] >= threshold) if len(values) == 2 else int(np.argmax(values))
        probs = dict(zip(self.labels, values, strict=True))
        return Prediction(self.labels[label_id], label_id, values[label_id], probs, tokens, truncated)


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    device: Device = "auto",
    batch_size: int = DEFAULT_BATCH_SIZE,
    threads: int | None = None,
) -> Predictor:
    """Loads a bundle for inference.

    Args:
        model: The name of a shipped model, or the path of a bundle.
        device: `auto` takes CUDA if it is there; `cuda` never lands on the CPU.
        batch_size: Texts that run together.
        threads: Batches that run at once; as many as there are cores if None.

    Raises:
        DeviceError: If CUDA is asked for and not there.
        MissingExtraError: Without onnxruntime.
        ModelError: If there is no such model, or it is broken or altered.
    """
    return Predictor(read_directory(find_directory(model)), device=device, batch_size=batch_size, threads=threads)


def choose_form(device: Device, rows: int, units: int, collects_states: bool) -> str:
    """The file that is fastest for so many rows; the rest as in `rnnx.config.ModelConfig`, 0 units if unknown."""
    least = SCAN_FROM_COLLECTED_STATES if collects_states else SCAN_FROM_STATES
    return BATCH_NAME if device == "cpu" and rows * units >= least else MODEL_NAME


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cuts an iterable into tuples of `size`, the last one shorter (`itertools.batched`, which Python 3.11 lacks)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


def _core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
