"""The predictor: texts, sentences or arrays in, predictions out, through the sessions of one bundle.

Imports numpy and onnxruntime (through `rnnx.runtime`), never TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never, overload

import numpy as np
import numpy.typing as npt

from rnnx.bundle.directory import Directory, digest
from rnnx.bundle.find_model import name_directory
from rnnx.errors import DeviceError, ModelError, RnnxError
from rnnx.infer.arguments import require_count, require_probability
from rnnx.infer.encoders import ArrayReader, Encoded, TextReader, chunks
from rnnx.infer.form_sessions import FormSessions, core_count
from rnnx.infer.needed_files import DEFAULT_BATCH_SIZES, choose_form
from rnnx.infer.outputs import BatchedOutputs, NamedOutputs, require_outputs
from rnnx.infer.predictions import (
    LabelSet,
    Prediction,
    Rating,
    Tagging,
    Values,
    choose_label_sets,
    choose_labels,
    read_ratings,
)
from rnnx.infer.reader import Reader, open_reader
from rnnx.infer.run_ahead import in_background, run_ahead
from rnnx.infer.tagger import SentenceReader, tag_texts
from rnnx.runtime.session import Device, choose_device

if TYPE_CHECKING:
    from rnnx.infer.stream import Stream

# One batch (batch, time, ...), or sequences of any lengths (time, ...).
Sequences: TypeAlias = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]

DEFAULT_THRESHOLD = 0.5
# Texts are sorted by length within a window of this many batches: little padding, bounded memory, early answers.
_WINDOW_BATCHES: Mapping[Device, int] = {"cpu": 32, "cuda": 8}


class Predictor:
    """A loaded bundle. Threads may share it.

    In a forked child, it loads its files again at the first use. It can be pickled and copied. The pickle is small: it
    holds the name or the path of the model, its hash and the options. Where it is unpickled the model is loaded, and a
    model with another hash is refused.

    Attributes:
        config: The description of the bundle.
        labels: The labels, in the order of the label ids.
        device: `cpu` or `cuda`: the device that the sessions run on.
        reader: Turns the caller's input into arrays.
        window: How many texts or sequences are sorted by length and answered together.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        device: Device = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        reader: Reader | None = None,
    ) -> None:
        """Makes a predictor of a bundle that was read.

        Args:
            directory: From `rnnx.bundle.directory.read_directory` or `open_directory`.
            device: `auto` takes CUDA if it is available and a batch is large enough; `cuda` never falls back to the
                CPU.
            batch_size: Texts that run together; 64 on the CPU and 1024 on CUDA if None.
            threads: Batches that run at once; if None, as many as there are cores on the CPU, and one on CUDA.
            reader: The reader of the bundle, if the caller has opened it; else it is opened here.

        Raises:
            DeviceError: If CUDA is asked for and not available.
            ModelError: If the bundle cannot be loaded, or is broken.
            UsageError: If `device`, `batch_size` or `threads` is not one of the allowed values.
        """
        self._asked = (device, batch_size, threads)
        batch_size = require_count("batch_size", batch_size)
        threads = require_count("threads", threads)
        self.config = directory.config
        self.labels = self.config.labels
        self._directory = directory
        rows = batch_size or DEFAULT_BATCH_SIZES["cuda"]
        self.device = choose_device(device, rows * (self.config.recurrent_units or 0))
        self._sessions = FormSessions(directory, self.device)
        # onnxruntime loads a file without Python's lock, so the vocabulary is read meanwhile.
        load = in_background(lambda: self._sessions.find(self._form(rows=1)))
        try:
            self.reader = reader or open_reader(directory)
        except BaseException:
            with suppress(Exception):
                load()
            raise
        try:
            load()
        except DeviceError:
            if device == "cuda":
                raise
            self.device = "cpu"  # `auto` had chosen CUDA
            self._sessions = FormSessions(directory, self.device)
            self._sessions.find(self._form(rows=1))
        self._batch_size = batch_size or DEFAULT_BATCH_SIZES[self.device]
        self._threads = threads or (core_count() if self.device == "cpu" else 1)
        self.window = self._batch_size * _WINDOW_BATCHES[self.device]

    def __reduce__(self) -> tuple[Any, ...]:
        from rnnx.infer.load import restore  # it makes predictors

        return restore, (name_directory(self._directory.path), digest(self.config), *self._asked)

    def __copy__(self) -> Predictor:
        device, batch_size, threads = self._asked
        return Predictor(self._directory, device=device, batch_size=batch_size, threads=threads)

    def __deepcopy__(self, memo: Any) -> Predictor:
        return self.__copy__()

    @overload  # mypy: an array is an Iterable[Any] as well, so the two overloads overlap
    def predict(  # type: ignore[overload-overlap]
        self, inputs: Sequences | Mapping[str, Sequences], *, threshold: float = DEFAULT_THRESHOLD
    ) -> list[Prediction] | list[Values]: ...

    @overload
    def predict(self, inputs: Iterable[str | bytes], *, threshold: float = DEFAULT_THRESHOLD) -> list[Prediction]: ...

    def predict(self, inputs: Any, *, threshold: float = DEFAULT_THRESHOLD) -> Any:
        """Predicts the label, the tags or the values of each input.

        Args:
            inputs: For a model of texts, any number of texts of any length; a `str` is read as its UTF-8 bytes.
                For a tagger of words, texts, or sentences given as the list of their words.
                For any other model, one array (batch, time, ...), or sequences (time, ...) of any lengths; for a model
                with several inputs, a mapping of their names to one or the other.
            threshold: With two labels of which one is right, the probability from which the second one is chosen.

        Returns:
            One answer per input, in their order: a `Prediction` if the model gives whole inputs a label, a `LabelSet`
            if it gives texts several labels, a `Rating` if it gives them a number, a `Tagging` if it tags words, else
            `Values`.

        Raises:
            DataError: If an input is not what the model reads; names the input, and says what the model reads.
            TypeError: If the inputs are one text, or cannot be iterated over.
            UsageError: If the threshold is not in 0..1.
        """
        return list(self.predict_stream(self.reader.items(inputs), threshold=threshold))

    @overload
    def predict_stream(
        self,
        inputs: Iterable[npt.NDArray[Any]] | Iterable[Mapping[str, npt.NDArray[Any]]],
        *,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> Iterator[Prediction] | Iterator[Values]: ...

    @overload
    def predict_stream(
        self, inputs: Iterable[str | bytes], *, threshold: float = DEFAULT_THRESHOLD
    ) -> Iterator[Prediction]: ...

    def predict_stream(self, inputs: Iterable[Any], *, threshold: float = DEFAULT_THRESHOLD) -> Iterator[Any]:
        """Takes inputs one by one and answers them in bounded memory; otherwise as `predict`."""
        require_probability(threshold)
        match self.reader:
            case SentenceReader() as reader:
                yield from self._tag(reader, inputs)
            case TextReader() | ArrayReader():
                for encoded, outputs in self._run_windows(chunks(inputs, self.window)):
                    yield from self._answers(outputs, encoded, threshold)
            case reader:
                assert_never(reader)

    def predict_windows(
        self, windows: Iterable[Sequence[Any] | None], *, threshold: float = DEFAULT_THRESHOLD
    ) -> Iterator[list[Any]]:
        """Predicts windows of inputs, for callers that decide how many inputs are answered together.

        One window is computed while the next is read, so the answers to a window come one window later.

        Args:
            windows: Some inputs each, as for `predict_stream`; None means that the next window may take a while, so
                the answers so far are given first.
            threshold: As in `predict`.

        Yields:
            The answers to each window, as `predict` gives them.
        """
        require_probability(threshold)
        match self.reader:
            case SentenceReader() as reader:
                for window in windows:
                    if window is not None:
                        yield list(self._tag(reader, window))
            case TextReader() | ArrayReader():
                for encoded, outputs in self._run_windows(windows):
                    yield self._answers(outputs, encoded, threshold)
            case reader:
                assert_never(reader)

    def tag(self, words: Sequence[str | bytes]) -> Tagging:
        """Tags one sentence, given as its words.

        Raises:
            ModelError: If the model does not tag words.
            DataError: If a word is empty, or not a text.
        """
        if isinstance(words, str | bytes):
            raise TypeError("tag takes a list of words; predict takes texts")
        return next(self.tag_stream([words]))

    def tag_stream(self, sentences: Iterable[Any]) -> Iterator[Tagging]:
        """Tags texts, or sentences given as the list of their words, in bounded memory.

        Raises:
            ModelError: If the model does not tag words.
            DataError: If an item is neither a text nor a list of words.
        """
        if not isinstance(self.reader, SentenceReader):
            raise ModelError(f"model {self.config.name} does not tag words; use predict")
        return self._tag(self.reader, sentences)

    def run_stream(self, inputs: Iterable[Any]) -> Iterator[tuple[Encoded, NamedOutputs]]:
        """Runs the network over inputs as they come, in bounded memory; for callers that want its raw outputs.

        Yields:
            What the reader made of each input, and the outputs of the network for it.

        Raises:
            DataError: As for `predict`.
        """
        for encoded, outputs in self._run_windows(chunks(inputs, self.window)):
            yield from zip(encoded, outputs.by_input(), strict=True)

    def run_encoded(self, encoded: Sequence[Encoded]) -> list[NamedOutputs]:
        """Runs the network over inputs that the reader has encoded already, all at once.

        Returns:
            The outputs for each input, in the order of the inputs.
        """
        return self._submit(encoded)().by_input()

    def stream(self, *, threshold: float = DEFAULT_THRESHOLD) -> Stream:
        """Begins an endless sequence, to be fed in chunks of any size.

        Args:
            threshold: As in `predict`.

        Raises:
            ModelError: If the bundle has no streaming file; `rnnx export --streaming` makes one.
        """
        from rnnx.infer.stream import open_stream

        require_probability(threshold)
        return open_stream(self._directory, device=self.device, threshold=threshold)

    def _run_windows(self, windows: Iterable[Sequence[Any] | None]) -> Iterator[tuple[list[Encoded], BatchedOutputs]]:
        """Encodes and runs windows of inputs, one window ahead of the caller."""
        done = 0

        def submit(window: Sequence[Any]) -> Callable[[], tuple[list[Encoded], BatchedOutputs]]:
            nonlocal done
            encoded = self.reader.encode_all(window, done)
            done += len(window)
            wait = self._submit(encoded)
            return lambda: (encoded, wait())

        return run_ahead(windows, submit)

    def _submit(self, encoded: Sequence[Encoded]) -> Callable[[], BatchedOutputs]:
        """Starts to run encoded inputs; returns a function that waits for their outputs."""
        batches = self.reader.batches(encoded, self._batch_size)
        rows = [[encoded[i].given for i in batch] for batch in batches]
        # Several batches run on several cores, each on one thread: onnxruntime releases Python's lock. A single batch
        # runs in the thread of the caller, when it waits for the outputs.
        has_threads = len(batches) > 1
        results = self._sessions.threads(self._threads).map(self._run, rows) if has_threads else map(self._run, rows)
        process = os.getpid()

        def wait() -> BatchedOutputs:
            if has_threads and os.getpid() != process:
                raise RnnxError(
                    "these answers were begun before this process was forked, and its threads are gone; call predict "
                    "again in the child"
                )
            return BatchedOutputs(batches, list(results))

        return wait

    def _tag(self, reader: SentenceReader, items: Iterable[Any]) -> Iterator[Tagging]:
        def submit(encoded: Sequence[Encoded]) -> Callable[[], list[npt.NDArray[np.float32]]]:
            wait = self._submit(encoded)
            return lambda: [next(iter(outputs.values())) for outputs in wait().by_input()]

        return tag_texts(reader, items, self.labels, submit, self.window)

    def _answers(
        self, outputs: BatchedOutputs, encoded: Sequence[Encoded], threshold: float
    ) -> list[Prediction] | list[LabelSet] | list[Rating] | list[Values]:
        if self.config.task == "multilabel":
            return choose_label_sets(outputs.stack(), self.labels, self.config.thresholds, encoded) if encoded else []
        if self.config.task == "regression" and isinstance(self.reader, TextReader):
            return read_ratings(outputs.stack(), encoded) if encoded else []
        if self.config.task != "classification":
            return [Values(values, given.tokens) for values, given in zip(outputs.by_input(), encoded, strict=True)]
        return choose_labels(outputs.stack(), self.labels, threshold, encoded) if encoded else []

    def _run(self, rows: Sequence[Any]) -> NamedOutputs:
        """Runs one batch; the outputs still have the batch axis."""
        batch = self.reader.stack(rows)
        if isinstance(batch, dict):
            open_inputs = [
                port.name for port in self.config.inputs or () if port.shape[0] is None and port.name in batch
            ]
            times = {batch[name].shape[1] for name in open_inputs or batch}
        else:
            times = {batch.shape[1]}
        time = times.pop() if len(times) == 1 else None  # an encoder and its decoder read different numbers of them
        session = self._sessions.find(self._form(len(rows)))
        outputs = dict(zip(session.output_names, session.run(batch), strict=True))
        return require_outputs(self.config, outputs, len(rows), time)

    def _form(self, rows: int) -> str:
        return choose_form(self.device, rows, self.config.recurrent_units or 0, self.config.collects_states)
