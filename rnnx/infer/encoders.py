"""What a user hands in to what a session takes: texts through the tokenizer, arrays as they are, checked.

A batch of texts is padded as the model's padding has it. Arrays are never padded: sequences of one shape run together,
since only a network with a mask can tell padding from zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import InputConfig
from rnnx.errors import DataError
from rnnx.text.tokenizer import Ids, Tokenizer, to_bytes

T = TypeVar("T")
AnyArray: TypeAlias = npt.NDArray[Any]
# One sequence by input name, without the batch.
Row: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Encoded(NamedTuple):
    """One input, ready to be stacked.

    Attributes:
        given: Ids of a text, or arrays by input name.
        tokens: Words in the text, or steps of the sequence.
        truncated: Whether words were cut off.
    """

    given: Any
    tokens: int
    truncated: bool


class Reader(Protocol):
    """How a model reads what it is given."""

    def items(self, inputs: Any) -> Iterable[Any]:
        """Takes apart what `predict` was given, one text or sequence at a time."""

    def encode(self, item: Any, index: int) -> Encoded:
        """Reads one of them; `index`, from 0, is for the message of an error."""

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Which of them run together, at most `size`."""

    def stack(self, given: Sequence[Any]) -> npt.NDArray[Any] | dict[str, npt.NDArray[Any]]:
        """Makes a batch of some."""


class TextReader:
    """Reads texts.

    Attributes:
        tokenizer: Makes ids of them.
    """

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        self._name = name
        self.tokenizer = tokenizer

    def items(self, inputs: Any) -> Iterable[str | bytes]:
        """Any iterable of texts; a single one is a mistake."""
        return refuse_single_text(inputs)  # `encode` looks at each

    def encode(self, item: Any, index: int) -> Encoded:
        """Turns a text into ids; one that is `Encoded` already stays what it is.

        Raises:
            DataError: If it is something else.
        """
        if isinstance(item, Encoded):
            return item
        if not isinstance(item, str | bytes):
            raise DataError(f"model {self._name} reads texts; item {index} is of type {type(item).__name__}")
        ids, token_count, is_truncated = self.tokenizer.encode(to_bytes(item) if isinstance(item, str) else item)
        return Encoded(ids, token_count, is_truncated)

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Texts of similar length together, for little padding.

        The longest first: the batches that take long do not come last, when other threads have nothing to do.
        """
        return list(chunks(sorted(range(len(encoded)), key=lambda i: -len(encoded[i].given)), size))

    def stack(self, given: Sequence[Ids]) -> Ids:
        """Pads."""
        return self.tokenizer.pad(given)


class ArrayReader:
    """Reads sequences of numbers or of ids.

    Attributes:
        inputs: What one sequence consists of.
    """

    def __init__(self, name: str, inputs: Sequence[InputConfig]) -> None:
        self._name = name
        self.inputs = inputs

    def describe(self) -> str:
        """What the model reads, in words: `x float32 (time, 3)`."""
        return ", ".join(f"{one.name} {one.dtype} {_shape(one)}" for one in self.inputs)

    def items(self, inputs: Any) -> Iterator[Any]:
        """One array (batch, time, ...), or sequences one by one, or either by input name.

        Raises:
            DataError: If an input is missing or unknown, or they are not equally many.
        """
        if not isinstance(inputs, Mapping):
            self._require_no_text(inputs)
            return iter(inputs)
        names = [one.name for one in self.inputs]
        self._require_names(inputs)
        counts = {name: len(inputs[name]) for name in names}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise DataError(f"model {self._name} wants as many sequences of each input; here are {said}")
        return (dict(zip(names, row, strict=True)) for row in zip(*(inputs[name] for name in names), strict=True))

    def encode(self, item: Any, index: int) -> Encoded:
        """Checks one sequence: an array, nested lists, or either by input name.

        Raises:
            DataError: If it is not what the model reads; names the input and says what that wants.
        """
        self._require_no_text(item)
        if not isinstance(item, Mapping):
            if len(self.inputs) > 1:
                raise DataError(f"model {self._name} reads {self.describe()}: hand them in by name")
            item = {self.inputs[0].name: item}
        self._require_names(item)
        given = {one.name: _check(one, item[one.name], f"{one.name}, sequence {index}") for one in self.inputs}
        return Encoded(given, len(given[self.inputs[0].name]), False)

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Sequences of one shape together, the longest first."""
        by_shape: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for i, one in enumerate(encoded):
            by_shape.setdefault(tuple(values.shape for values in one.given.values()), []).append(i)
        longest_first = sorted(by_shape.items(), key=lambda pair: pair[0], reverse=True)
        return [batch for _, indices in longest_first for batch in chunks(indices, size)]

    def stack(self, given: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
        """Stacks what has one shape."""
        return {name: np.stack([one[name] for one in given]) for name in given[0]}

    def _require_names(self, given: Mapping[str, Any]) -> None:
        names = {one.name for one in self.inputs}
        if given.keys() != names:
            there = ", ".join(map(str, given)) or "none"
            raise DataError(f"model {self._name} reads {self.describe()}; the inputs here are {there}")

    def _require_no_text(self, item: Any) -> None:
        if isinstance(item, str | bytes) or (isinstance(item, Sequence) and item and isinstance(item[0], str | bytes)):
            raise DataError(f"model {self._name} reads {self.describe()}, not texts")


def refuse_single_text(inputs: Any) -> Iterable[Any]:
    """An iterable of texts as it is; a text would be read letter by letter.

    Raises:
        TypeError: If it is a text.
    """
    if isinstance(inputs, str | bytes):
        raise TypeError("predict takes an iterable of texts; put a single one into a list")
    return inputs  # type: ignore[no-any-return]


def _check(one: InputConfig, values: Any, where: str) -> npt.NDArray[Any]:
    """One sequence of an input, in the dtype of the file."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # nested lists of different lengths
        raise DataError(f"{where}: no array of one shape; it should be {_shape(one)}") from error
    if not fits(one, array.shape):
        raise DataError(f"{where}: should be {_shape(one)} with a time of at least 1, not {array.shape}")
    if array.dtype.kind not in ("iu" if one.kind == "ids" else "iuf"):
        what = f"integers in 0..{one.size - 1}" if one.kind == "ids" else "numbers"
        raise DataError(f"{where}: should hold {what}, not {array.dtype}")
    converted, is_wrong = convert_array(one, array)
    if is_wrong.any():
        place = tuple(np.argwhere(is_wrong)[0])
        wanted = f"in 0..{one.size - 1}" if one.kind == "ids" else "a finite float32"
        raise DataError(f"{where}: {array[place]} at {_at(place)} should be {wanted}")
    return converted


def fits(one: InputConfig, shape: Sequence[int], least_time: int = 1) -> bool:
    """Whether a sequence of that shape, without the batch, can be read as an input."""
    return len(shape) == len(one.shape) and all(
        size >= (least_time if own is None else 1) and own in (None, size)
        for own, size in zip(one.shape, shape, strict=True)
    )


def convert_array(one: InputConfig, array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Converts an array of a caller to the dtype of an input.

    Args:
        one: The input.
        array: Integers for ids, anything that numpy converts to float32 for numbers; of any shape.

    Returns:
        The array as int32 or float32; and, in the same shape, which of its entries cannot be read: ids that the
        network does not have, numbers that are not finite in float32.
    """
    with np.errstate(over="ignore"):
        converted = array.astype(one.dtype)
    return converted, (array < 0) | (array >= one.size) if one.kind == "ids" else ~np.isfinite(converted)


def _at(place: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, place))}]"


def _shape(one: InputConfig) -> str:
    sizes = ["time" if size is None else str(size) for size in one.shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cuts an iterable into tuples of `size`, the last one shorter (`itertools.batched`, which Python 3.11 lacks)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk
