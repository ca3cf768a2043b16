"""Turns texts and arrays of a caller into the arrays that a session takes, and checks them.

A batch of texts is padded as the model's config says. Arrays are never padded: only sequences of one shape run
together, because a network without a mask cannot tell padding from zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias, TypeVar, assert_never

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import InputConfig
from rnnx.errors import DataError
from rnnx.text.many_texts import ManyTextsEncoder
from rnnx.text.tokenizer import Ids, Tokenizer, to_bytes

T = TypeVar("T")
# The kinds of NumPy's dtypes that each kind of input takes.
_DTYPE_KINDS: Mapping[str, str] = {"ids": "iu", "numbers": "iuf", "mask": "biu"}
AnyArray: TypeAlias = npt.NDArray[Any]
# One sequence by input name, without the batch.
Row: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Encoded(NamedTuple):
    """One input, ready to be stacked.

    Attributes:
        given: The ids of a text, (time,) int32; or arrays by input name, each (time, ...).
        tokens: Words in the text, or steps of the sequence.
        truncated: Whether words were cut off.
    """

    given: Any
    tokens: int
    truncated: bool

    @property
    def size_bytes(self) -> int:
        """The memory that its arrays take."""
        arrays = self.given.values() if isinstance(self.given, dict) else [self.given]
        return sum(int(array.nbytes) for array in arrays)


class TextReader:
    """Reads texts for a text classifier.

    Attributes:
        tokenizer: Turns a text into ids.
    """

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        """Makes a reader for the model of this name (for messages)."""
        self._name = name
        self.tokenizer = tokenizer
        self._many = ManyTextsEncoder(tokenizer)

    def items(self, inputs: Any) -> Iterable[str | bytes]:
        """Returns the texts; `encode` checks each of them.

        Raises:
            TypeError: If the caller gave one text and not an iterable of texts.
        """
        return refuse_single_text(inputs)

    def encode(self, item: Any, index: int) -> Encoded:
        """Turns a text into ids; an `Encoded` item is returned as it is.

        Args:
            item: A text; `str` or `bytes` in UTF-8.
            index: Its position among the inputs, from 0, for the error message.

        Raises:
            DataError: If it is not a text.
        """
        (encoded,) = self.encode_all([item], index)
        return encoded

    def encode_all(self, items: Sequence[Any], first_index: int) -> list[Encoded]:
        """Turns texts into ids, as `encode` does for one; many together take less time than one by one.

        Args:
            items: As for `encode`.
            first_index: The position of the first one among the inputs, from 0, for the error message.

        Raises:
            DataError: As for `encode`.
        """
        texts = [self._bytes_of(item, first_index + i) for i, item in enumerate(items)]
        return [
            item if isinstance(item, Encoded) else Encoded(*encoding)
            for item, encoding in zip(items, self._many.encode(texts), strict=True)
        ]

    def _bytes_of(self, item: Any, index: int) -> bytes:
        if isinstance(item, bytes):
            return item
        if isinstance(item, Encoded):
            return b""
        if not isinstance(item, str):
            raise DataError(f"model {self._name} reads texts; item {index} is of type {type(item).__name__}")
        return to_bytes(item)

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Groups texts of similar length, which need little padding; returns the indices of each batch.

        The longest texts come first. Otherwise the slowest batches could run last, while other threads are idle.
        """
        return list(chunks(sorted(range(len(encoded)), key=lambda i: -len(encoded[i].given)), size))

    def stack(self, given: Sequence[Ids]) -> Ids:
        """Pads the ids of some texts to one batch, (batch, time) int32."""
        return self.tokenizer.pad(given)


class ArrayReader:
    """Reads sequences of numbers or of ids, and masks.

    Attributes:
        inputs: The inputs of the network.
    """

    def __init__(self, name: str, inputs: Sequence[InputConfig]) -> None:
        """Makes a reader for the model of this name (for messages)."""
        self._name = name
        self.inputs = inputs

    def describe(self) -> str:
        """Says in words what the model reads: `x float32 (time, 3)`."""
        return ", ".join(f"{port.name} {port.dtype} {_shape(port)}" for port in self.inputs)

    def items(self, inputs: Any) -> Iterator[Any]:
        """Splits one array (batch, time, ...), an iterable of sequences, or a mapping of either by input name.

        Raises:
            DataError: If an input is missing or unknown, or the inputs have different numbers of sequences.
            TypeError: If the inputs cannot be iterated over.
        """
        if not isinstance(inputs, Mapping):
            self._require_no_text(inputs)
            return iter(require_iterable(inputs, "sequences, each an array"))
        names = [port.name for port in self.inputs]
        self._require_names(inputs)
        counts = {name: len(require_iterable(inputs[name], f"sequences of {name}")) for name in names}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise DataError(f"model {self._name} reads as many sequences of each input; here are {found}")
        return (dict(zip(names, row, strict=True)) for row in zip(*(inputs[name] for name in names), strict=True))

    def encode(self, item: Any, index: int) -> Encoded:
        """Checks one sequence and converts it to the dtypes of the inputs.

        Args:
            item: An array, nested lists, or a mapping of either by input name; an `Encoded` item is returned as it is.
            index: Its position among the inputs, from 0, for the error message.

        Raises:
            DataError: If it is not what the model reads; names the input, and says what the input should be.
        """
        if isinstance(item, Encoded):
            return item
        self._require_no_text(item)
        if not isinstance(item, Mapping):
            if len(self.inputs) > 1:
                raise DataError(f"model {self._name} reads {self.describe()}: give them by name")
            item = {self.inputs[0].name: item}
        self._require_names(item)
        given = {port.name: _check(port, item[port.name], f"{port.name}, sequence {index}") for port in self.inputs}
        return Encoded(given, len(given[self.inputs[0].name]), False)

    def encode_all(self, items: Sequence[Any], first_index: int) -> list[Encoded]:
        """Checks and converts sequences, as `encode` does for one; `first_index` is the position of the first one."""
        return [self.encode(item, first_index + i) for i, item in enumerate(items)]

    def batches(self, encoded: Sequence[Encoded], size: int) -> list[Sequence[int]]:
        """Groups sequences of one shape, the longest first; returns the indices of each batch."""
        by_shape: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for i, sequence in enumerate(encoded):
            by_shape.setdefault(tuple(values.shape for values in sequence.given.values()), []).append(i)
        longest_first = sorted(by_shape.items(), key=lambda pair: pair[0], reverse=True)
        return [batch for _, indices in longest_first for batch in chunks(indices, size)]

    def stack(self, given: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
        """Stacks sequences of one shape to one batch per input, (batch, time, ...)."""
        return {name: np.stack([row[name] for row in given]) for name in given[0]}

    def _require_names(self, given: Mapping[str, Any]) -> None:
        names = {port.name for port in self.inputs}
        if given.keys() != names:
            found = ", ".join(map(str, given)) or "none"
            raise DataError(f"model {self._name} reads {self.describe()}; the inputs here are {found}")

    def _require_no_text(self, item: Any) -> None:
        if isinstance(item, str | bytes) or (isinstance(item, Sequence) and item and isinstance(item[0], str | bytes)):
            raise DataError(f"model {self._name} reads {self.describe()}, not texts")


def refuse_single_text(inputs: Any) -> Iterable[Any]:
    """Returns an iterable of texts as it is, but refuses one text, which would be read letter by letter.

    A mapping and a table of pandas are refused too: iterated over, they give their keys and the names of their columns.

    Raises:
        TypeError: If `inputs` is a text, a mapping or a table, or cannot be iterated over.
    """
    if isinstance(inputs, str | bytes):
        raise TypeError("predict takes an iterable of texts; put a single one into a list")
    if isinstance(inputs, Mapping) or hasattr(inputs, "columns"):
        kind = type(inputs).__name__
        raise TypeError(f"predict takes an iterable of texts, not {kind}; give the list or the column that holds them")
    return require_iterable(inputs, "texts")  # type: ignore[no-any-return]


def require_iterable(inputs: Any, what: str) -> Any:
    """Returns inputs as they are, but refuses what cannot be iterated over, such as None or a number.

    Raises:
        TypeError: If the inputs cannot be iterated over; says what they should be.
    """
    try:
        iter(inputs)
    except TypeError as error:  # an array without axes raises it too
        raise TypeError(f"predict takes an iterable of {what}, not {type(inputs).__name__}") from error
    return inputs


def _check(port: InputConfig, values: Any, where: str) -> npt.NDArray[Any]:
    """Checks one sequence of an input and converts it to the input's dtype."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # nested lists of different lengths
        raise DataError(f"{where}: its rows have different lengths; it should be {_shape(port)}") from error
    if not fits(port, array.shape):
        raise DataError(
            f"{where}: should be {_shape(port)} with a time of at least {port.least_time}, not {array.shape}"
        )
    if array.dtype.kind not in _DTYPE_KINDS[port.kind]:
        what = {"ids": f"integers in 0..{port.size - 1}", "numbers": "numbers", "mask": "true and false, or 1 and 0"}
        raise DataError(f"{where}: should hold {what[port.kind]}, not {array.dtype}")
    converted, is_wrong = convert_array(port, array)
    if is_wrong.any():
        index = tuple(np.argwhere(is_wrong)[0])
        expected = {"ids": f"in 0..{port.size - 1}", "numbers": "a finite float32", "mask": "1 or 0"}[port.kind]
        raise DataError(f"{where}: {array[index]} at [{', '.join(map(str, index))}] should be {expected}")
    return converted


def fits(port: InputConfig, shape: Sequence[int], least_time: int | None = None) -> bool:
    """Whether a sequence of this shape, without the batch axis, can be read as an input."""
    least_time = port.least_time if least_time is None else least_time
    return len(shape) == len(port.shape) and all(
        size >= (least_time if own is None else 1) and own in (None, size)
        for own, size in zip(port.shape, shape, strict=True)
    )


def convert_array(port: InputConfig, array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Converts an array of a caller to the dtype of an input.

    Args:
        port: The input.
        array: Integers for ids; truth values or integers for a mask; for numbers, anything that numpy converts to
            float32. Of any shape.

    Returns:
        The array as int32, float32 or bool; and an array of the same shape, true for each entry that cannot be read: an
        id that the network does not have, a number that is not finite in float32, a number other than 0 and 1 in a
        mask.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy warns of a signalling NaN
        converted = array.astype(port.dtype)
    match port.kind:
        case "ids":
            return converted, (array < 0) | (array >= port.size)
        case "numbers":
            return converted, ~np.isfinite(converted)
        case "mask":
            return converted, array != converted
    assert_never(port.kind)


def _shape(port: InputConfig) -> str:
    sizes = ["time" if size is None else str(size) for size in port.shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cuts an iterable into tuples of `size`, the last one shorter: `itertools.batched`, which Python 3.11 lacks."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk
