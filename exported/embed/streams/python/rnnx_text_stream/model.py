"""A streaming model in memory. The state between two chunks is a value, which belongs to the caller."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnx_text_stream.words import WordCutter

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported
import onnxruntime  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "model"
_MODEL = "model.stream.onnx"
_SPECIAL_TOKENS = (b"<pad>", b"<start>", b"<unknown>")
_START_ID, _UNKNOWN_ID = 1, 2
_THRESHOLD = 0.5  # with two labels, the probability from which the second one is chosen
_STATE_INPUT = re.compile(r"((?:.+\.)?[hc])_in")


class StreamError(Exception):
    """The model cannot be read or run, or a state is not one of this model."""


@dataclass(frozen=True)
class State:
    """Everything between two chunks. A step makes a new one and changes none.

    Attributes:
        arrays: The states of the network by name, float32 (units,).
        positions: How many positions were read: the words, and the start of the text if the model has one.
        held: The bytes that are held back: a word that may go on.
        latest: The outputs of the network so far; empty before the first word.
    """

    arrays: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]] = field(compare=False)
    positions: int = 0
    held: bytes = b""
    latest: tuple[float, ...] = ()

    def to_json(self) -> str:
        """Writes the state as JSON, which the package for Node reads too."""
        arrays = {name: values.tolist() for name, values in self.arrays.items()}
        return json.dumps(
            {"arrays": arrays, "positions": self.positions, "held": self.held.hex(), "latest": self.latest}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> State:
        """Reads what `to_json` wrote.

        Raises:
            StreamError: If it is something else.
        """
        try:
            data = json.loads(text)
            arrays = {str(name): np.array(values, np.float32) for name, values in data["arrays"].items()}
            latest = tuple(float(value) for value in data["latest"])
            return cls(arrays, int(data["positions"]), bytes.fromhex(data["held"]), latest)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StreamError(f"this is not a state: {error}") from error


@dataclass(frozen=True)
class Answer:
    """The answer after a chunk, for everything that was read so far.

    Attributes:
        words: The words that the chunk finished.
        label: The label; None before the first word, and of a model that gives a number.
        probability: Its probability.
        probs: The probability of each label, in the order of `StreamModel.labels`.
        number: The number of a model that gives one; None before the first word.
    """

    words: tuple[str, ...] = ()
    label: str | None = None
    probability: float | None = None
    probs: tuple[float, ...] = ()
    number: float | None = None


class StreamModel:
    """A streaming model in memory; `load` makes it. Any number of texts may be read at the same time.

    Attributes:
        labels: The labels, in the order of `Answer.probs`. Empty for a model that gives a number.
    """

    def __init__(self, session: Any, folder: Path) -> None:
        self._session = session
        config = json.loads(_read(folder / "config.json"))
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self._starts: bool = config["tokenizer"]["start"]
        self._output: str = config["outputs"][0]["name"]
        self._input: str = config["inputs"][0]["name"]
        self._sizes: dict[str, int] = config["states"]
        found = {match[1] for match in (_STATE_INPUT.fullmatch(port.name) for port in session.get_inputs()) if match}
        if found != set(self._sizes):
            raise StreamError(f"{folder / 'config.json'} does not belong to this model")
        tokens = _read(folder / "vocabulary.txt").removesuffix(b"\n").split(b"\n")
        if tuple(tokens[: len(_SPECIAL_TOKENS)]) != _SPECIAL_TOKENS or len(tokens) != config["vocabulary_size"]:
            raise StreamError(f"{folder / 'vocabulary.txt'} is not the vocabulary of this model")
        self._ids = {token: i for i, token in enumerate(tokens) if i >= len(_SPECIAL_TOKENS)}
        self._cutter = WordCutter(
            config["tokenizer"], config.get("characters", {}).get("runs"), max(len(token) for token in tokens)
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> StreamModel:
        """Loads a model.

        Args:
            path: A folder with `model.stream.onnx`, `vocabulary.txt` and `config.json`; that of this package if none
                is given.

        Raises:
            StreamError: If a file is missing or damaged.
        """
        folder = FOLDER if path is None else Path(path)
        file = folder / _MODEL
        model = _read(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a recurrence only loses by more
        try:
            return cls(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), folder)
        except StreamError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise StreamError(f"{folder / 'config.json'} is not that of a stream: {error}") from error
        except Exception as error:  # onnxruntime's errors have no class in common
            raise StreamError(f"{file} is not a whole model: {error}") from error

    def begin(self) -> State:
        """Returns the state before a text."""
        return State({name: np.zeros(size, np.float32) for name, size in self._sizes.items()})

    def step(self, state: State, chunk: str | bytes) -> tuple[State, Answer]:
        """Reads the next chunk of a text.

        Args:
            state: What `begin` or the step before it returned; it stays as it is.
            chunk: A string or bytes, cut anywhere, also within a character of UTF-8. It may be empty. A word that may
                go on is held back, so a chunk may finish no word.

        Returns:
            The new state, and the answer to all words so far.

        Raises:
            StreamError: If the model cannot be run, or the state is not one of this model.
            TypeError: If the chunk is no text.
        """
        words, held = self._cutter.feed(state.held, _to_bytes(chunk))
        return self._read_words(state, words, held, has_start=state.positions == 0 and bool(words))

    def finish(self, state: State) -> tuple[State, Answer]:
        """Ends a text: reads the word that was held back. A text without words has an answer too, if texts have a start.

        Returns and raises the same as `step`.
        """
        return self._read_words(state, self._cutter.finish(state.held), b"", has_start=state.positions == 0)

    def to_ids(self, words: Sequence[str]) -> list[int]:
        """Returns the ids of words, as an answer has them; 2 for an unknown word."""
        return [self._ids.get(word.encode("utf-8", "surrogateescape"), _UNKNOWN_ID) for word in words]

    def _read_words(self, state: State, words: Sequence[bytes], held: bytes, *, has_start: bool) -> tuple[State, Answer]:
        self._check(state)
        ids = [_START_ID] if has_start and self._starts else []
        ids += [self._ids.get(word, _UNKNOWN_ID) for word in words]
        arrays, latest = self._run(state, ids) if ids else (state.arrays, state.latest)
        read = tuple(word.decode("utf-8", "surrogateescape") for word in words)
        return State(arrays, state.positions + len(ids), held, latest), self._describe(read, latest)

    def _check(self, state: State) -> None:
        sizes = {name: values.shape for name, values in state.arrays.items()}
        if sizes != {name: (size,) for name, size in self._sizes.items()}:
            raise StreamError("the state is not one of this model")

    def _run(self, state: State, ids: Sequence[int]) -> tuple[dict[str, Any], tuple[float, ...]]:
        given = {f"{name}_in": values[None] for name, values in state.arrays.items()}
        names = [self._output, *(f"{name}_out" for name in self._sizes)]
        try:
            answer, *states = self._session.run(names, {self._input: np.array([ids], np.int32), **given})
        except Exception as error:  # onnxruntime's errors have no class in common
            raise StreamError(f"the model cannot be run: {error}") from error
        if not all(np.isfinite(values).all() for values in states):
            raise StreamError("the state is not finite any more after this chunk")
        arrays = {name: values[0] for name, values in zip(self._sizes, states)}
        return arrays, tuple(float(value) for value in answer[0])

    def _describe(self, words: tuple[str, ...], latest: tuple[float, ...]) -> Answer:
        if not latest:
            return Answer(words)
        if not self.labels:
            return Answer(words, number=latest[0])
        # Two labels may share an output: the probability of the second.
        probs = (1 - latest[0], latest[0]) if len(latest) == 1 else latest
        best = int(probs[1] >= _THRESHOLD) if len(probs) == 2 else probs.index(max(probs))
        return Answer(words, self.labels[best], probs[best], probs)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StreamError(f"cannot read {file}: {error.strerror}") from error


def _to_bytes(chunk: str | bytes) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if not isinstance(chunk, str):
        raise TypeError(f"a chunk is a str or bytes, not {type(chunk).__name__}")
    try:
        return chunk.encode("utf-8", "surrogateescape")  # bytes of an argument that are not UTF-8
    except UnicodeEncodeError:
        return chunk.encode("utf-8", "surrogatepass")
