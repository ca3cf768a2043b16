"""The evidence in an exported file, with which anyone can repeat its proof.

The evidence holds the network as layers, with the hash of each weight as Keras had it and the weight's place in the
file; inputs with the float64 reference's outputs, some of its states, and the bits that onnxruntime gave at export; the
recipe that makes the states visible; and the figures of the proof. Large outputs are sampled.

`rnnx.proof.recorded_reference` writes and reads the network, `rnnx.proof.evidence_metadata` stores the whole in a file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import LowMemoryError, ModelError, lacks_memory, one_line
from rnnx.onnx_file.visible_states import StatesRecipe
from rnnx.proof.made_inputs import make_input
from rnnx.proof.report import ParityReport
from rnnx.proof.weight_places import WeightRecord
from rnnx.reference import Input, Network
from rnnx.reference.streaming import CarriedState
from rnnx.rounding.followed_numbers import spread

# The versions of evidence that first named the cuts of its file (`rnnx.proof.cuts`), and inputs that seeds make.
CUTS_VERSION, MADE_VERSION = 2, 3
# Numbers of a sample: the most that fit are taken. A smaller sample is refused: it would say too little.
SAMPLE_SIZES = (512, 256, 128, 64)
FEWEST_NUMBERS = SAMPLE_SIZES[-1]
MOST_UNITS = 1 << 16  # in one state, and for every other size in a layer's settings


@dataclass(frozen=True)
class LayerRecord:
    """A layer of the reference: the name of its class, its settings and its weights."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, Any]
    weights: dict[str, WeightRecord]


@dataclass(frozen=True)
class StateRecord:
    """A state of the reference: layer, step in the order of computation, one number per unit.

    Of a state of many units, a sample at the places that `spread` chooses.
    """

    layer: str
    step: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class ArrayRecord:
    """An array, or a sample of it.

    Attributes:
        shape: Of the whole array.
        values: Its numbers row by row; of a sample, those at the places that `spread` chooses, the first and the last
            number among them.
        sha256: Of a sample, the hash of all numbers of the array, little-endian, row by row; None if `values` has all.
        seed: Of an input that is not written down, the seed that makes it (`rnnx.proof.made_inputs`). `values` is empty
            then, and `sha256` is the hash of the array. None for every other array.
    """

    shape: tuple[int, ...]
    values: tuple[float, ...]
    sha256: str | None = None
    seed: int | None = None

    @classmethod
    def of(cls, array: npt.NDArray[Any], most: int | None = None) -> ArrayRecord:
        """Records an array.

        Args:
            array: What is recorded.
            most: Of a larger array, so many numbers are recorded, and the hash of all; None records all numbers.
        """
        if most is not None and array.size > most:
            sample = array.reshape(-1)[spread(array.size, most)].astype(np.float64)
            return cls(array.shape, tuple(sample.tolist()), _bits_sha256(array))
        return cls(array.shape, tuple(array.astype(np.float64).flatten().tolist()))

    @classmethod
    def made(cls, array: npt.NDArray[Any], seed: int) -> ArrayRecord:
        """Records an input that `make_input` made."""
        return cls(array.shape, (), _bits_sha256(array), seed)

    def read_input(self, port: Input) -> npt.NDArray[Any]:
        """Returns the array of an input, without the batch.

        Raises:
            ModelError: If the numbers do not fit the shape, or the seed makes another array.
        """
        if self.seed is None:
            return self.read(port.dtype)
        array = make_input(port, self.shape, self.seed)
        if _bits_sha256(array) != self.sha256:
            raise ModelError(f"the evidence in the file: {port.name!r:.60} is not what the seed {self.seed} makes")
        return array

    def read(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Returns the array, if all numbers were recorded.

        Raises:
            ModelError: If the numbers do not fit the shape.
        """
        if min(self.shape, default=1) < 0 or len(self.values) != int(np.prod(self.shape, dtype=object)):
            raise ModelError(f"the evidence in the file: {len(self.values)} numbers do not fit {self.shape!r:.60}")
        return np.array(self.values, dtype).reshape(self.shape)

    def pair(self, actual: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Returns the recorded numbers, and those of `actual` at the same places, both in the type of `actual`.

        Raises:
            ModelError: If `actual` has another shape, or the sample is so small that it says nothing.
        """
        if self.sha256 is None:
            return self.read(actual.dtype), actual
        if self.shape != actual.shape:
            raise ModelError(f"the evidence in the file: {self.shape!r:.60} was recorded, and {actual.shape} came out")
        if not min(actual.size, FEWEST_NUMBERS) <= len(self.values) <= actual.size:
            raise ModelError(f"the evidence in the file: {len(self.values)} numbers are no sample of {actual.shape}")
        return np.array(self.values, actual.dtype), actual.reshape(-1)[spread(actual.size, len(self.values))]

    def has_bits_of(self, actual: npt.NDArray[Any]) -> bool:
        """Whether every number of `actual` has the very bits that were recorded."""
        recorded, at_places = self.pair(actual)
        if recorded.tobytes() != at_places.tobytes():
            return False
        return self.sha256 is None or self.sha256 == _bits_sha256(actual)


def _bits_sha256(array: npt.NDArray[Any]) -> str:
    little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(little_endian.tobytes()).hexdigest()


@dataclass(frozen=True)
class GoldenCase:
    """An input with its outputs (a golden vector).

    Attributes:
        name: Such as `text 3` or `empty`.
        text: The text, or the words of a sentence, one a line; its bytes as UTF-8 with surrogate escapes; None for
            made-up ids.
        inputs: By name, without the batch; padding included.
        answers: The reference's outputs in float64, by name, without the batch.
        runtime_answers: The same by this file in onnxruntime on the exporting machine's CPU, float32.
        states: Some states of the reference.
    """

    name: str
    text: str | None
    inputs: dict[str, ArrayRecord]
    answers: dict[str, ArrayRecord]
    runtime_answers: dict[str, ArrayRecord]
    states: tuple[StateRecord, ...]

    def given(self, network: Network) -> dict[str, npt.NDArray[Any]]:
        """The inputs as a batch of one.

        Raises:
            ModelError: If they are not the inputs of the network.
        """
        ports = {port.name: port for port in network.inputs}
        if ports.keys() != self.inputs.keys():
            raise ModelError(f"{self.name!r:.60}: the golden vector is one of other inputs")
        return {name: self.inputs[name].read_input(port)[None] for name, port in ports.items()}

    @property
    def made_count(self) -> int:
        """How many numbers of its inputs are made from seeds."""
        return sum(math.prod(record.shape) for record in self.inputs.values() if record.seed is not None)


@dataclass(frozen=True)
class Evidence:
    """The whole record.

    Attributes:
        inputs: The inputs of the network.
        layers: In the order of the computation.
        outputs: Output name to the layer that gives it; empty for one output, the last layer's.
        states: How the states become outputs.
        ids: For a file that reads text, the name of the value in the graph that holds the ids; None for other files.
        cases: The golden vectors.
        figures: The proof at export.
        tools: Names and versions of the packages that computed `GoldenCase.runtime_answers`.
        carried: For a streaming file, the states that it takes in and puts out.
        version: `MADE_VERSION` for a file with inputs that seeds make; `CUTS_VERSION` for any other that names its cuts
            in `states`. 1 for a file that was exported before there were cuts: it has no such field, and is verified
            without them.
    """

    inputs: tuple[Input, ...]
    layers: tuple[LayerRecord, ...]
    outputs: dict[str, str]
    states: StatesRecipe
    ids: str | None
    cases: tuple[GoldenCase, ...]
    figures: ParityReport
    tools: dict[str, str]
    carried: tuple[CarriedState, ...] = ()
    version: int = 1


# NumPy's message for an array of a gibibyte or more. Evidence that fits its file never needs one.
_HUGE = re.compile(r"allocate [\d.]+ [GTPE]iB")


@contextmanager
def refusing_misfits(name: str) -> Iterator[None]:
    """Turns the errors of evidence that does not fit its file into a ModelError of one line.

    Args:
        name: Of the file, for the message.

    Raises:
        ModelError: For every error that arrays of wrong shapes and unknown names cause.
        LowMemoryError: If an array of an ordinary size does not fit into the memory.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        if lacks_memory(error) and not _HUGE.search(str(error)):
            raise LowMemoryError(f"check {name}") from error
        raise ModelError(
            f"{name}: its evidence does not fit it ({type(error).__name__}: {one_line(error, 200)})"
        ) from error
