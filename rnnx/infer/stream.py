"""An endless sequence in chunks of any size: the states are kept between chunks, and memory does not grow.

The answer after a chunk is what the network answers to the whole sequence up to there. Nothing is cut to the longest
text that the network was trained on, and nothing is padded. Imports numpy and onnxruntime (through `rnnx.runtime`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import STREAM_NAME, Directory
from rnnx.bundle.metadata import require_same
from rnnx.errors import ModelError
from rnnx.infer.chunk_readers import ArrayChunks, Piece, TextChunks
from rnnx.infer.encoders import AnyArray, Encoded
from rnnx.infer.outputs import require_outputs
from rnnx.infer.predictions import Prediction, choose_labels
from rnnx.infer.predictor import DEFAULT_THRESHOLD
from rnnx.runtime.session import Device, Session
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import Tokenizer

# A piece of text; ids (time,) or numbers (time, features), as anything that numpy takes; several inputs by name.
Chunk: TypeAlias = str | bytes | npt.ArrayLike | Mapping[str, npt.ArrayLike]

_STATE_INPUT = re.compile(r"((?:.+\.)?[hc])_in")
# More units than any layer has; a larger number in a file from elsewhere would ask for too much memory.
_MOST_UNITS = 1 << 16
_COUNT = "positions"


@dataclass(frozen=True, eq=False)
class StreamAnswer:
    """The answer of the network after a chunk.

    Attributes:
        outputs: By output name, float32. For an output at every position, the values of the new positions,
            (new positions, ...), which may be none. For an output of the whole sequence, its value for everything read
            so far, (...); missing until something was read.
        predictions: Only with labels. Of a classifier, one prediction for everything read so far; of a tagger, one for
            each new position.
        words: Only of a text: the new words, one for each new position.
    """

    outputs: Mapping[str, npt.NDArray[np.float32]]
    predictions: tuple[Prediction, ...] = ()
    words: tuple[str, ...] = field(default=())


class Stream:
    """One sequence, fed chunk by chunk.

    Attributes:
        config: The description of the bundle.
        position_count: How many positions were read: of a text its words, and its start id if the model has one.
    """

    def __init__(
        self, session: Session, config: ModelConfig, tokenizer: Tokenizer | None, threshold: float = DEFAULT_THRESHOLD
    ) -> None:
        """Begins a sequence; `open_stream` does it for a bundle.

        Args:
            session: The session of a streaming file.
            config: The description of the bundle.
            tokenizer: None for a network that does not read text.
            threshold: With two labels, the probability from which the second one is chosen.

        Raises:
            ModelError: If the file has no states as inputs and outputs, or the config no inputs of any length.
        """
        self.config = config
        self._session = session
        self._threshold = threshold
        found = [match for match in map(_STATE_INPUT.fullmatch, session.input_names) if match]
        self._names = [match[1] for match in found if f"{match[1]}_out" in session.output_names]
        if not self._names:
            raise ModelError(f"model {config.name}: {STREAM_NAME} takes no states")
        shapes = {name: session.input_shapes[f"{name}_in"] for name in self._names}
        if strange := [name for name, shape in shapes.items() if not _is_state(shape)]:
            raise ModelError(f"model {config.name}: {STREAM_NAME} has no size for its state {strange[0]!r:.60}")
        if not config.inputs:
            raise ModelError(f"model {config.name}: its config.json names no inputs; export it again")
        if fixed := [port for port in config.inputs if port.shape[0] is not None]:
            raise ModelError(
                f"model {config.name}: its config.json has a fixed time of {fixed[0].shape[0]} for {fixed[0].name}, "
                "and a stream has none; export it again"
            )
        self._reader = (
            ArrayChunks(config.name, config.inputs)
            if tokenizer is None
            else TextChunks(config.name, config.inputs, tokenizer)
        )
        self.reset()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "a stream cannot be pickled or copied; open another one and set its `state` to that of this one"
        )

    def reset(self) -> None:
        """Forgets everything that was read; the next chunk begins a new sequence."""
        self._states = {name: self._zeros(name) for name in self._names}
        self._latest: dict[str, npt.NDArray[np.float32]] = {}
        self._reader.held = b""
        self.position_count = 0

    @property
    def state(self) -> dict[str, AnyArray]:
        """Everything that is kept between two chunks. Save it (`numpy.savez`), and set it again, in any process.

        By name: the states, float32 (units,), named `h`, and `c` for the cell state of an LSTM, after the layer's name
        and a dot if there are several layers; `positions`, how many were read; and for a text `text`, the bytes of an
        unfinished word, uint8.
        """
        states: dict[str, AnyArray] = {name: values[0].copy() for name, values in self._states.items()}
        return {**states, _COUNT: np.array(self.position_count, np.int64), **self._reader.saved()}

    @state.setter
    def state(self, state: Mapping[str, AnyArray]) -> None:
        expected = self.state
        if state.keys() != expected.keys():
            raise ValueError(f"the state should hold {', '.join(expected)}, not {', '.join(state)}")
        states = {}
        for name in self._names:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
                values = np.array(state[name], np.float32)
            if values.shape != expected[name].shape or not np.isfinite(values).all():
                raise ValueError(f"{name} should be {expected[name].shape} finite numbers, not {values.shape}")
            states[name] = values[None]
        self.reset()
        self._states = states
        self.position_count = int(state[_COUNT])
        self._reader.restore(state)

    def feed(self, chunk: Chunk) -> StreamAnswer:
        """Takes the next piece of the sequence, of any length; an empty one changes nothing.

        Args:
            chunk: A piece of text; a word that is cut at its end is held back until it is finished. Or ids (time,), or
                numbers (time, features); by name if the network has several inputs.

        Returns:
            The answer of the network after this chunk.

        Raises:
            TypeError: If it is a text, and the network reads none.
            ValueError: If the chunk has another shape, or holds ids or numbers that the network cannot read; the
                stream is as it was before.
            ModelError: If onnxruntime fails, or the states would not be finite; the stream is as it was before.
        """
        held = self._reader.held
        piece = self._reader.read(chunk, is_first=self.position_count == 0)
        try:
            return self._read(piece)
        except ModelError:
            self._reader.held = held
            raise

    def finish(self) -> StreamAnswer:
        """Ends a text: reads the word that was held back. A stream of ids or numbers holds nothing back."""
        return self._read(self._reader.finish(is_first=self.position_count == 0))

    def _read(self, piece: Piece) -> StreamAnswer:
        outputs = self._run(piece) if piece.position_count else {}
        if piece.has_start:
            outputs = {name: values[1:] if self._has_time(name) else values for name, values in outputs.items()}
        return self._answer(outputs, piece.words)

    def _run(self, piece: Piece) -> dict[str, npt.NDArray[np.float32]]:
        """Runs a piece, keeps the states, and returns the outputs without the batch axis."""
        states = {f"{name}_in": self._states[name] for name in self._names}
        results = self._session.run_by_name({**piece.inputs, **states})
        time = piece.position_count
        outputs = {name: values[0] for name, values in require_outputs(self.config, results, 1, time).items()}
        states = {name: results[f"{name}_out"] for name in self._names}
        if any(values.shape != self._states[name].shape for name, values in states.items()):
            raise ModelError(f"model {self.config.name}: {STREAM_NAME} gives states of another shape than it takes")
        if not all(np.isfinite(values).all() for values in states.values()):
            raise ModelError(f"model {self.config.name}: its state is not finite any more after this chunk")
        self._states = states
        self.position_count += time
        self._latest = {name: values for name, values in outputs.items() if not self._has_time(name)}
        return outputs

    def _answer(self, outputs: Mapping[str, npt.NDArray[np.float32]], words: tuple[str, ...]) -> StreamAnswer:
        nothing = {
            port.name: np.zeros([size or 0 for size in port.shape], np.float32)
            for port in self.config.outputs
            if self._has_time(port.name)
        }
        outputs = {**nothing, **self._latest, **outputs}
        predictions: tuple[Prediction, ...] = ()
        first = next(iter(outputs.values()), None)
        if first is not None and self.config.task == "classification":
            predictions = self._choose(first[None], self.position_count - self._reader.start_count)
        elif first is not None and self.config.task == "tagging":
            predictions = self._choose(first, 1)
        return StreamAnswer(outputs, predictions, words)

    def _choose(self, rows: npt.NDArray[np.float32], tokens: int) -> tuple[Prediction, ...]:
        given = [Encoded(None, tokens, False)] * len(rows)
        return tuple(choose_labels(rows, self.config.labels, self._threshold, given))

    def _has_time(self, output: str) -> bool:
        return next(port.shape[:1] == (None,) for port in self.config.outputs if port.name == output)

    def _zeros(self, name: str) -> npt.NDArray[np.float32]:
        return np.zeros((1, *self._session.input_shapes[f"{name}_in"][1:]), np.float32)


def open_stream(directory: Directory, *, device: Device = "auto", threshold: float = DEFAULT_THRESHOLD) -> Stream:
    """Begins a sequence for a bundle that was read.

    Args:
        directory: From `rnnx.bundle.directory.read_directory` or `open_directory`.
        device: `auto` is the CPU, which is the faster device for one row; `cuda` never falls back to the CPU.
        threshold: As for `Stream`.

    Raises:
        DeviceError: If CUDA is asked for and not available.
        ModelError: If the bundle cannot be loaded, or has no streaming file.
    """
    config = directory.config
    if config.task == "multilabel":
        raise ModelError(f"model {config.name}: gives several labels per text, and a stream gives one; use predict")
    if STREAM_NAME not in directory.config.files:
        raise ModelError(f"{directory.path}: no {STREAM_NAME}: export it with --streaming")
    encoder = read_id_encoder(directory)
    tokenizer = encoder if isinstance(encoder, Tokenizer) else None
    session = Session(directory[STREAM_NAME], device=device)
    require_same(session.metadata, config)
    return Stream(session, config, tokenizer, threshold)


def _is_state(shape: Sequence[Any]) -> bool:
    """Whether a shape is (batch, units), with a number of units that a layer can have."""
    return len(shape) == 2 and isinstance(shape[1], int) and 1 <= shape[1] <= _MOST_UNITS
