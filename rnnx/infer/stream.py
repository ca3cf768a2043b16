"""An endless sequence in chunks of any size: the state is kept between them, and the memory stays what it is.

What comes out is what the network says of the whole sequence up to there. Nothing is cut to the longest text that the
network was trained on, and nothing is padded. Needs numpy and onnxruntime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import InputConfig, ModelConfig
from rnnx.bundle.directory import STREAM_NAME, Directory
from rnnx.bundle.metadata import require_same
from rnnx.errors import ModelError
from rnnx.infer.encoders import AnyArray, convert_array, fits
from rnnx.infer.outputs import require_outputs
from rnnx.infer.predictions import Prediction, choose_label
from rnnx.infer.predictor import DEFAULT_THRESHOLD
from rnnx.infer.text_stream import TextStream
from rnnx.runtime.session import Device, Session
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import START_ID, Tokenizer, to_bytes, to_text

# A piece of text; ids (time,) or numbers (time, features), as anything that numpy takes; several inputs by name.
Chunk: TypeAlias = str | bytes | npt.ArrayLike | Mapping[str, npt.ArrayLike]

_STATE_INPUT = re.compile(r"((?:.+\.)?[hc])_in")
_MOST_UNITS = 1 << 16
_HELD, _COUNT = "text", "positions"


@dataclass(frozen=True, eq=False)
class StreamAnswer:
    """What the network says after a chunk.

    Attributes:
        outputs: By output name, float32. An output at every position: of the new ones, (new positions, ...), which may
            be none. An answer to the whole: to everything up to here, (...); absent until anything was read.
        predictions: With labels: of a classifier, one for everything up to here; of a tagger, one for each new
            position.
        words: Of a text: the new words, one for each new position.
    """

    outputs: Mapping[str, npt.NDArray[np.float32]]
    predictions: tuple[Prediction, ...] = ()
    words: tuple[str, ...] = field(default=())


class Stream:
    """One sequence, fed chunk by chunk.

    Attributes:
        config: The description of the bundle.
        position_count: Positions read so far; of a text its words, and its start if the model has one.
    """

    def __init__(
        self, session: Session, config: ModelConfig, tokenizer: Tokenizer | None, threshold: float = DEFAULT_THRESHOLD
    ) -> None:
        """Begins a sequence; `open_stream` does it for a bundle.

        Args:
            session: Of a streaming file.
            config: Its description.
            tokenizer: None for a network without text.
            threshold: With two labels, the probability from which the second one is chosen.

        Raises:
            ModelError: If the file carries no states.
        """
        self.config = config
        self._session = session
        self._tokenizer = tokenizer
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
        self.reset()

    def reset(self) -> None:
        """Forgets everything: what comes next is the begin of a sequence."""
        self._states = {name: self._zeros(name) for name in self._names}
        self._text = None if self._tokenizer is None else TextStream(self._tokenizer)
        self._latest: dict[str, npt.NDArray[np.float32]] = {}
        self.position_count = 0

    @property
    def state(self) -> dict[str, AnyArray]:
        """All that is kept between two chunks, to be saved (`numpy.savez`) and set again, in another process too.

        By name: the states float32 (units,), `h` and for an LSTM `c`, behind the layer's name where there are several
        layers; `positions`, how many were read; and for a text, `text`, the bytes that are held back, uint8.
        """
        state: dict[str, AnyArray] = {name: values[0].copy() for name, values in self._states.items()}
        state[_COUNT] = np.array(self.position_count, np.int64)
        if self._text is not None:
            state[_HELD] = np.frombuffer(self._text.held, np.uint8).copy()
        return state

    @state.setter
    def state(self, state: Mapping[str, AnyArray]) -> None:
        expected = self.state
        if state.keys() != expected.keys():
            raise ValueError(f"the state should hold {', '.join(expected)}, not {', '.join(state)}")
        states = {}
        for name in self._names:
            values = np.array(state[name], np.float32)
            if values.shape != expected[name].shape or not np.isfinite(values).all():
                raise ValueError(f"{name} should be {expected[name].shape} finite numbers, not {values.shape}")
            states[name] = values[None]
        self.reset()
        self._states = states
        self.position_count = int(state[_COUNT])
        if self._text is not None:
            self._text.held = np.asarray(state[_HELD], np.uint8).tobytes()

    def feed(self, chunk: Chunk) -> StreamAnswer:
        """Takes the next piece of the sequence, of any length; of none, it changes nothing.

        Args:
            chunk: A piece of text, where a word that is cut at its end is held back until it is finished; or ids
                (time,), or numbers (time, features); by name where the network has several inputs.

        Returns:
            What the network says now.

        Raises:
            ValueError: If the chunk is of another shape, or holds ids or numbers that the network cannot read; the
                state is what it was before.
            ModelError: If onnxruntime fails, or the states would not be finite; likewise.
        """
        if isinstance(chunk, str | bytes):
            if self._text is None:
                raise TypeError(f"model {self.config.name}: made without a vocabulary; it reads no texts")
            held = self._text.held
            try:
                return self._read_words(self._text.feed(to_bytes(chunk) if isinstance(chunk, str) else chunk))
            except ModelError:
                self._text.held = held
                raise
        given = self._as_inputs(chunk)
        return self._answer(self._run(given) if next(iter(given.values())).shape[1] else {}, ())

    def finish(self) -> StreamAnswer:
        """Ends a text: reads the word that was held back. A stream of ids or numbers holds nothing back."""
        return self._answer({}, ()) if self._text is None else self._read_words(self._text.finish(), is_end=True)

    def _read_words(self, words: list[bytes], *, is_end: bool = False) -> StreamAnswer:
        assert self._tokenizer is not None  # noqa: S101  # the caller asked
        ids = self._tokenizer.vocabulary.encode(words)
        has_start = self._tokenizer.config.start and self.position_count == 0 and (bool(words) or is_end)
        if has_start:
            ids.insert(0, START_ID)
        outputs = self._run({self.config.inputs[0].name: np.array([ids], np.int32)}) if ids else {}
        if has_start:  # the start is a position, but not a word
            outputs = {name: values[1:] if self._has_time(name) else values for name, values in outputs.items()}
        return self._answer(outputs, tuple(to_text(word) for word in words))

    def _run(self, given: Mapping[str, AnyArray]) -> dict[str, npt.NDArray[np.float32]]:
        """Runs a chunk, keeps the states, and returns the outputs without the batch."""
        results = self._session.run_by_name({**given, **{f"{name}_in": self._states[name] for name in self._names}})
        time = next(iter(given.values())).shape[1]
        outputs = {name: values[0] for name, values in require_outputs(self.config, results, 1, time).items()}
        states = {name: results[f"{name}_out"] for name in self._names}
        if any(values.shape != self._states[name].shape for name, values in states.items()):
            raise ModelError(f"model {self.config.name}: {STREAM_NAME} puts out states of another shape than it takes")
        if not all(np.isfinite(values).all() for values in states.values()):
            raise ModelError(f"model {self.config.name}: its state is not finite any more after this chunk")
        self._states = states
        self.position_count += time
        self._latest = {name: values for name, values in outputs.items() if not self._has_time(name)}
        return outputs

    def _answer(self, outputs: Mapping[str, npt.NDArray[np.float32]], words: tuple[str, ...]) -> StreamAnswer:
        nothing = {
            one.name: np.zeros([size or 0 for size in one.shape], np.float32)
            for one in self.config.outputs
            if self._has_time(one.name)
        }
        outputs = {**nothing, **self._latest, **outputs}
        predictions: tuple[Prediction, ...] = ()
        first = next(iter(outputs.values()), None)
        if first is not None and self.config.task == "classification":
            predictions = (self._choose(first, self.position_count - self._start_count),)
        elif first is not None and self.config.task == "tagging":
            predictions = tuple(self._choose(row, 1) for row in first)
        return StreamAnswer(outputs, predictions, words)

    @property
    def _start_count(self) -> int:
        return int(self._tokenizer is not None and self._tokenizer.config.start)

    def _choose(self, row: npt.NDArray[np.float32], tokens: int) -> Prediction:
        return choose_label(row, self.config.labels, self._threshold, tokens, truncated=False)

    def _as_inputs(self, chunk: Any) -> dict[str, AnyArray]:
        inputs = self.config.inputs
        named = chunk if isinstance(chunk, Mapping) else {inputs[0].name: chunk}
        if named.keys() != {one.name for one in inputs}:
            raise ValueError(f"a chunk should hold {', '.join(one.name for one in inputs)}, not {', '.join(named)}")
        given = {one.name: _as_input(one, named[one.name]) for one in inputs}
        if len({values.shape[1] for values in given.values()}) > 1:
            raise ValueError(
                f"the inputs of a chunk should be of one length, not {[len(v[0]) for v in given.values()]}"
            )
        return given

    def _has_time(self, output: str) -> bool:
        return next(one.shape[:1] == (None,) for one in self.config.outputs if one.name == output)

    def _zeros(self, name: str) -> npt.NDArray[np.float32]:
        return np.zeros((1, *self._session.input_shapes[f"{name}_in"][1:]), np.float32)


def open_stream(directory: Directory, *, device: Device = "auto", threshold: float = DEFAULT_THRESHOLD) -> Stream:
    """Begins a sequence for a bundle that was read.

    Args:
        directory: From `rnnx.bundle.directory.read_directory`.
        device: `auto` is the CPU, which one row suits best; `cuda` never lands on it.
        threshold: As for `Stream`.

    Raises:
        DeviceError: If CUDA is asked for and not there.
        ModelError: If the bundle cannot be loaded, or has no streaming file.
    """
    config = directory.config
    if STREAM_NAME not in directory.files:
        raise ModelError(f"{directory.path}: no {STREAM_NAME}: export it with --streaming")
    encoder = read_id_encoder(directory)
    tokenizer = encoder if isinstance(encoder, Tokenizer) else None
    session = Session(directory[STREAM_NAME], device=device)
    require_same(session.metadata, config)
    return Stream(session, config, tokenizer, threshold)


def _is_state(shape: Sequence[Any]) -> bool:
    """Whether a state is (batch, units), of a number of units that a layer can have."""
    return len(shape) == 2 and isinstance(shape[1], int) and 1 <= shape[1] <= _MOST_UNITS


def _as_input(one: InputConfig, values: Any) -> AnyArray:
    """One input as a batch of one, checked.

    Raises:
        ValueError: If it is of another shape, or holds what the network cannot read.
    """
    array = np.asarray(values)
    if array.size == 0:  # an empty list has no shape of its own
        array = np.zeros((0, *(size or 0 for size in one.shape[1:])), one.dtype)
    if not fits(one, array.shape, least_time=0):
        sizes = ", ".join(["time", *map(str, one.shape[1:])])
        raise ValueError(f"{one.name} should be ({sizes}), not {array.shape}")
    wanted = f"whole numbers in 0..{one.size - 1}" if one.kind == "ids" else "finite numbers, in float32 too"
    if one.kind == "ids" and array.dtype.kind not in "iu":
        raise ValueError(f"{one.name} should hold {wanted}")
    converted, is_wrong = convert_array(one, array)
    if is_wrong.any():
        raise ValueError(f"{one.name} should hold {wanted}")
    return converted[None]
