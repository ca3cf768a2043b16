"""Texts or arrays in, predictions out: the same class for every bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never, overload

import numpy as np
import numpy.typing as npt

from rnnx.bundle.directory import (
    BATCH_NAME,
    DEFAULT_MODEL,
    MODEL_NAME,
    Directory,
    find_directory,
    read_directory,
)
from rnnx.bundle.metadata import require_same
from rnnx.errors import DeviceError, ModelError, NoKernelError
from rnnx.infer.encoders import ArrayReader, Encoded, Reader, TextReader, chunks
from rnnx.infer.outputs import require_outputs
from rnnx.infer.predictions import Prediction, Tagging, Values, choose_label
from rnnx.infer.tagger import SentenceReader, tag_texts
from rnnx.runtime.session import Device, Session, choose_device
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder

if TYPE_CHECKING:
    from rnnx.infer.stream import Stream

# One batch (batch, time, ...), or sequences of any lengths (time, ...).
Sequences: TypeAlias = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]

# On CUDA a step is a launch or two from the host, whatever it works on: few steps of many rows. 1024 fill a card; the
# figure is not measured yet (bench/cuda/run_all.py measures it).
DEFAULT_BATCH_SIZES: Mapping[Device, int] = {"cpu": 64, "cuda": 1024}
DEFAULT_THRESHOLD = 0.5
# On a CPU the Scan form is faster from this many numbers of state a step on (rows times units), the RNN operator below:
# with 32 units from two rows on, with 64 always; where all states are written down as well, which costs a Scan one more
# call a step, with 32 units from three rows on, with 64 from two. `python -m bench.speed.forms` measures it.
# (Of two Scans with one of either kind, a single row of less than 100 steps is up to a fifth faster in the other form.)
SCAN_FROM_STATES = 64
SCAN_FROM_COLLECTED_STATES = 96
# Texts are sorted by length within a window of this many batches: little padding, bounded memory, answers soon.
_WINDOW_BATCHES: Mapping[Device, int] = {"cpu": 32, "cuda": 8}


class Predictor:
    """A loaded bundle.

    Attributes:
        config: Its description.
        labels: In the order of the label ids.
        device: `cpu` or `cuda`: what it really runs on.
        reader: How it reads what it is given.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        device: Device = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        """Makes a predictor of a bundle that was read.

        Args:
            directory: From `rnnx.bundle.directory.read_directory`.
            device: `auto` takes CUDA where it is there and a batch is large enough; `cuda` never lands on the CPU.
            batch_size: Texts that run together; 64 on the CPU and 1024 on CUDA if None.
            threads: Batches that run at once; on the CPU as many as there are cores if None, on CUDA one.

        Raises:
            DeviceError: If CUDA is asked for and not there.
            ModelError: If the bundle cannot be loaded, or is broken.
        """
        self.config = directory.config
        self.labels = self.config.labels
        self.reader = _make_reader(directory)
        self._directory = directory
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()
        rows = batch_size or DEFAULT_BATCH_SIZES["cuda"]
        self.device = choose_device(device, rows * (self.config.recurrent_units or 0))
        try:
            self._session(self._form(rows=1))
        except DeviceError:
            if device == "cuda":
                raise
            self.device = "cpu"  # it was the choice of `auto`
            self._session(self._form(rows=1))
        self._batch_size = batch_size or DEFAULT_BATCH_SIZES[self.device]
        self._pool = ThreadPoolExecutor(threads or (_core_count() if self.device == "cpu" else 1))
        self.window = self._batch_size * _WINDOW_BATCHES[self.device]

    @overload  # an array is no text, whatever it iterates over
    def predict(  # type: ignore[overload-overlap]
        self, inputs: Sequences | Mapping[str, Sequences], *, threshold: float = DEFAULT_THRESHOLD
    ) -> list[Prediction] | list[Values]: ...

    @overload
    def predict(self, inputs: Iterable[str | bytes], *, threshold: float = DEFAULT_THRESHOLD) -> list[Prediction]: ...

    def predict(self, inputs: Any, *, threshold: float = DEFAULT_THRESHOLD) -> Any:
        """Says of each text, sentence, or sequence of numbers or ids what the model says.

        Args:
            inputs: For a model that reads texts, any number of them, however long; a `str` is read as its UTF-8 bytes.
                For one that tags words, a sentence may come as the list of its words too.
                For any other, one array (batch, time, ...), or sequences (time, ...) of any lengths, or for several
                inputs a mapping of their names to one or the other.
            threshold: With two labels, the probability from which the second one is chosen.

        Returns:
            One per text or sequence, in their order: a `Prediction` where the model labels the whole of it, a `Tagging`
            where it tags words, else `Values`.

        Raises:
            DataError: If something is not what the model reads; names the input, and what that wants.
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
        """Takes texts or sequences one by one as they come, in bounded memory; as `predict` otherwise."""
        if isinstance(self.reader, SentenceReader):
            yield from tag_texts(self.reader, inputs, self.labels, self._tag, self.window)
            return
        done = 0
        for window in chunks(inputs, self.window):
            encoded = [self.reader.encode(item, done + i) for i, item in enumerate(window)]
            yield from self.predict_encoded(encoded, threshold=threshold)
            done += len(window)

    def tag(self, words: Sequence[str | bytes]) -> Tagging:
        """Tags one sentence, given as its words.

        Raises:
            ModelError: If the model tags no words.
            DataError: If one of them is empty, or no word.
        """
        if not isinstance(self.reader, SentenceReader):
            raise ModelError(f"model {self.config.name}: it tags no words; predict says what it has to say")
        if isinstance(words, str | bytes):
            raise TypeError("tag takes a list of words; predict takes texts")
        return next(tag_texts(self.reader, [words], self.labels, self._tag, self.window))

    def _tag(self, encoded: Sequence[Encoded]) -> list[npt.NDArray[np.float32]]:
        return [next(iter(outputs.values())) for outputs in self._run_window(encoded)]

    def stream(self, *, threshold: float = DEFAULT_THRESHOLD) -> Stream:
        """Begins an endless sequence, to be fed in chunks of any size.

        Args:
            threshold: As in `predict`.

        Raises:
            ModelError: If the bundle has no streaming file; `rnnx export --streaming` makes one.
        """
        from rnnx.infer.stream import open_stream

        return open_stream(self._directory, device=self.device, threshold=threshold)

    def predict_encoded(
        self, encoded: Sequence[Encoded], *, threshold: float = DEFAULT_THRESHOLD
    ) -> list[Prediction | Values]:
        """Says of what the reader has made of texts or sequences what `predict` says; of some that fit into memory."""
        outputs = self._run_window(encoded)
        return [self._answer(one, given, threshold) for one, given in zip(outputs, encoded, strict=True)]

    def _run_window(self, encoded: Sequence[Encoded]) -> list[dict[str, npt.NDArray[np.float32]]]:
        """What the network puts out for each, whatever batch it ran in."""
        batches = self.reader.batches(encoded, self._batch_size)
        answers: dict[int, dict[str, npt.NDArray[np.float32]]] = {}
        rows = ([encoded[i].given for i in chosen] for chosen in batches)
        # One batch runs where it is; several on the cores there are, each alone: onnxruntime lets go of Python's lock.
        results = self._pool.map(self._run, rows) if len(batches) > 1 else map(self._run, rows)
        for chosen, outputs in zip(batches, results, strict=True):
            for row, i in enumerate(chosen):
                answers[i] = {name: values[row] for name, values in outputs.items()}
        return [answers[i] for i in range(len(encoded))]

    def _answer(
        self, outputs: Mapping[str, npt.NDArray[np.float32]], encoded: Encoded, threshold: float
    ) -> Prediction | Values:
        if self.config.task != "classification":
            return Values(outputs, encoded.tokens)
        (probs,) = outputs.values()
        return choose_label(probs, self.labels, threshold, encoded.tokens, encoded.truncated)

    def _run(self, rows: Sequence[Any]) -> dict[str, npt.NDArray[np.float32]]:
        batch = self.reader.stack(rows)
        time = (next(iter(batch.values())) if isinstance(batch, dict) else batch).shape[1]
        session = self._session(self._form(len(rows)))
        given = dict(zip(session.output_names, session.run(batch), strict=True))
        return require_outputs(self.config, given, len(rows), time)

    def _form(self, rows: int) -> str:
        return choose_form(self.device, rows, self.config.recurrent_units or 0, self.config.collects_states)

    def _session(self, name: str) -> Session:
        """The session of a form, loaded when it is first needed: a single text needs one of them only."""
        with self._lock:
            if name not in self._sessions:
                session = self._open(name)
                require_same(session.metadata, self.config)
                self._sessions[name] = session
            return self._sessions[name]

    def _open(self, name: str) -> Session:
        try:
            return Session(self._directory[name], device=self.device)
        except NoKernelError:
            # What has no kernel of its own on CUDA, such as an RNN with relu, runs there as a Scan, step by step.
            if BATCH_NAME not in self._directory.files:
                raise
            return Session(self._directory[BATCH_NAME], device=self.device)


def _make_reader(directory: Directory) -> Reader:
    config = directory.config
    match read_id_encoder(directory):
        case Tokenizer() as tokenizer:
            return TextReader(config.name, tokenizer)
        case WordEncoder() as encoder:
            return SentenceReader(config.name, encoder)
        case None:
            if not config.inputs:
                directory[MODEL_NAME]  # says so if this is a run
                raise ModelError(f"model {config.name}: its config.json names no inputs; export it again")
            return ArrayReader(config.name, config.inputs)
        case encoder:
            assert_never(encoder)


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    device: Device = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
) -> Predictor:
    """Loads a bundle for inference.

    Args:
        model: The name of a shipped model, or the path of a bundle.
        device: `auto` takes CUDA where it is there and a batch is large enough; `cuda` never lands on the CPU.
        batch_size: Texts that run together; 64 on the CPU and 1024 on CUDA if None.
        threads: Batches that run at once; on the CPU as many as there are cores if None, on CUDA one.

    Raises:
        DeviceError: If CUDA is asked for and not there.
        MissingExtraError: Without onnxruntime.
        ModelError: If there is no such model, or it is broken or altered.
    """
    return Predictor(read_directory(find_directory(model)), device=device, batch_size=batch_size, threads=threads)


def choose_form(device: Device, rows: int, units: int, collects_states: bool) -> str:
    """The file that is fastest for so many rows; the rest as in `ModelConfig`, 0 units if unknown."""
    least = SCAN_FROM_COLLECTED_STATES if collects_states else SCAN_FROM_STATES
    return BATCH_NAME if device == "cpu" and rows * units >= least else MODEL_NAME


def _core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
