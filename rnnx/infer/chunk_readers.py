"""How a stream reads its chunks: pieces of text as the words that they finish, arrays as they are.

`Stream` chooses one reader when it is opened, and asks it for everything that depends on the kind of model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnx.bundle.config import InputConfig
from rnnx.infer.encoders import AnyArray, convert_array, fits
from rnnx.infer.text_stream import TextStream
from rnnx.text.tokenizer import START_ID, Tokenizer, to_bytes, to_text

_HELD = "text"


@dataclass(frozen=True)
class Piece:
    """What a chunk adds to the sequence.

    Attributes:
        inputs: By input name, a batch of one: (1, new positions, ...).
        words: The new words of a text.
        has_start: Whether the first new position is the start id, which is no word of the text.
    """

    inputs: Mapping[str, AnyArray]
    words: tuple[str, ...] = ()
    has_start: bool = False

    @property
    def position_count(self) -> int:
        """How many positions it adds."""
        return int(next(iter(self.inputs.values())).shape[1])


class ArrayChunks:
    """Reads arrays of ids or numbers, and masks.

    Attributes:
        start_count: How many positions come before the sequence itself: 0.
        held: The bytes of a word that is not finished yet; always empty here.
    """

    start_count = 0
    held = b""

    def __init__(self, name: str, inputs: Sequence[InputConfig]) -> None:
        """Makes a reader for the model of this name (for messages) and its inputs."""
        self._name = name
        self._inputs = inputs

    def read(self, chunk: Any, *, is_first: bool) -> Piece:
        """Checks an array, or a mapping of arrays by input name.

        Args:
            chunk: Ids (time,) or numbers (time, features); of any time, also 0.
            is_first: Whether nothing was read before.

        Raises:
            TypeError: If it is a text.
            ValueError: If it has another shape, or holds what the network cannot read.
        """
        if isinstance(chunk, str | bytes):
            raise TypeError(f"model {self._name}: made without a vocabulary; it does not read texts")
        named = chunk if isinstance(chunk, Mapping) else {self._inputs[0].name: chunk}
        if named.keys() != {port.name for port in self._inputs}:
            raise ValueError(
                f"a chunk should hold {', '.join(port.name for port in self._inputs)}, not {', '.join(named)}"
            )
        inputs = {port.name: _as_input(port, named[port.name]) for port in self._inputs}
        if len({values.shape[1] for values in inputs.values()}) > 1:
            raise ValueError(
                f"the inputs of a chunk should have one length, not {[len(values[0]) for values in inputs.values()]}"
            )
        return Piece(inputs)

    def finish(self, *, is_first: bool) -> Piece:
        """Ends the sequence; arrays leave nothing unread."""
        return Piece({port.name: _as_input(port, []) for port in self._inputs})

    def saved(self) -> dict[str, AnyArray]:
        """What a saved state needs besides the states of the network: nothing."""
        return {}

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Takes up what `saved` gave."""


class TextChunks:
    """Reads pieces of one text; a word that may go on in the next piece is held back.

    Ids are read as well, as `ArrayChunks` reads them.

    Attributes:
        start_count: How many positions come before the first word: 1 if the model's texts begin with the start id.
    """

    def __init__(self, name: str, inputs: Sequence[InputConfig], tokenizer: Tokenizer) -> None:
        """Makes a reader for the model of this name (for messages), its inputs and its tokenizer."""
        self._arrays = ArrayChunks(name, inputs)
        self._input_name = inputs[0].name
        self._vocabulary = tokenizer.vocabulary
        self._stream = TextStream(tokenizer)
        self.start_count = int(tokenizer.config.start)

    @property
    def held(self) -> bytes:
        """The bytes of a word that is not finished yet."""
        return self._stream.held

    @held.setter
    def held(self, held: bytes) -> None:
        self._stream.held = held

    def read(self, chunk: Any, *, is_first: bool) -> Piece:
        """Reads a piece of text, or ids.

        Args:
            chunk: A text in UTF-8, cut anywhere; or ids (time,).
            is_first: Whether nothing was read before.

        Raises:
            ValueError: If ids have another shape, or the network does not have them.
        """
        if not isinstance(chunk, str | bytes):
            return self._arrays.read(chunk, is_first=is_first)
        words = self._stream.feed(to_bytes(chunk) if isinstance(chunk, str) else chunk)
        return self._encode(words, has_start=is_first and bool(words))

    def finish(self, *, is_first: bool) -> Piece:
        """Ends the text: the bytes that were held back are its last word. A text without words is its start id."""
        return self._encode(self._stream.finish(), has_start=is_first)

    def saved(self) -> dict[str, AnyArray]:
        """What a saved state needs besides the states of the network: `text`, the bytes held back, uint8."""
        return {_HELD: np.frombuffer(self.held, np.uint8).copy()}

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Takes up what `saved` gave."""
        self.held = np.asarray(state[_HELD], np.uint8).tobytes()

    def _encode(self, words: Sequence[bytes], *, has_start: bool) -> Piece:
        has_start = has_start and self.start_count > 0
        ids = [*([START_ID] if has_start else []), *self._vocabulary.encode(words)]
        named = {self._input_name: np.array([ids], np.int32)}
        return Piece(named, tuple(to_text(word) for word in words), has_start)


def _as_input(port: InputConfig, values: Any) -> AnyArray:
    """Checks one input and converts it to a batch of one.

    Raises:
        ValueError: If it has another shape, or holds what the network cannot read.
    """
    array = np.asarray(values)
    if array.size == 0:  # an empty list has no shape of its own
        array = np.zeros((0, *(size or 0 for size in port.shape[1:])), port.dtype)
    if not fits(port, array.shape, least_time=0):
        sizes = ", ".join(["time", *map(str, port.shape[1:])])
        raise ValueError(f"{port.name} should be ({sizes}), not {array.shape}")
    expected = {
        "ids": f"whole numbers in 0..{port.size - 1}",
        "numbers": "finite numbers, in float32 too",
        "mask": "true and false, or 1 and 0",
    }[port.kind]
    if port.kind != "numbers" and array.dtype.kind not in ("iu" if port.kind == "ids" else "biu"):
        raise ValueError(f"{port.name} should hold {expected}")
    converted, is_wrong = convert_array(port, array)
    if is_wrong.any():
        raise ValueError(f"{port.name} should hold {expected}")
    return converted[None]
