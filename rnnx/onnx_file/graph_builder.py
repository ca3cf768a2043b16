"""What code that builds a part of an ONNX graph needs: to add nodes and constants under given names.

`rnnx.rewrites.graph` adds them to a graph of the onnx package. `RecordedGraph` only records them, without that package,
so that `rnnx verify` can compare what our code builds with what is in a file. Imports NumPy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TO_THE_END = 2**31 - 1  # the end of a Slice that goes to the end; tract accepts no larger one


class GraphBuilder(ABC):
    """A graph to which nodes and constants are added.

    Attributes:
        has_uint16: Whether a table of integers of 16 bits is stored as uint16, as in files of rnnx before it stored
            them as two tables of bytes. Only `rnnx verify` builds such graphs, to compare them with such files.
    """

    has_uint16: bool = False

    @abstractmethod
    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node and returns the name of its only output."""

    @abstractmethod
    def add_constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Adds an initializer and returns its name."""

    @abstractmethod
    def constant(self, value: str) -> npt.NDArray[Any] | None:
        """Returns the constant of that name, or None if there is none."""

    def shared(self, value: int | float | list[int], dtype: type = np.int32) -> str:
        """Returns the name of a small constant that several nodes share, and adds it at its first use.

        Args:
            value: A number becomes a scalar of `dtype`, a list a vector of int64, as axes and shapes are.
            dtype: NumPy's type of a scalar.
        """
        array: npt.NDArray[Any] = np.array(value, np.int64 if isinstance(value, list) else dtype)
        name = f"{array.dtype}_{'_'.join(map(str, array.flatten()))}{'' if array.ndim else '_scalar'}"
        return name if self.constant(name) is not None else self.add_constant(name, array)

    def slice(self, value: str, name: str, bounds: Mapping[int, tuple[int, int]]) -> str:
        """Adds a Slice; `bounds` maps each axis to its start and end."""
        starts, ends = (self.shared([bound[i] for bound in bounds.values()]) for i in (0, 1))
        return self.add("Slice", [value, starts, ends, self.shared(list(bounds))], name)


@dataclass(frozen=True)
class RecordedNode:
    """A node that was added: its operator, the values that it reads, and its attributes."""

    op_type: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class RecordedGraph(GraphBuilder):
    """Records what is added.

    Attributes:
        nodes: The nodes, by the name of their output.
        constants: The initializers, by name.
        has_uint16: See `GraphBuilder`.
    """

    def __init__(self, *, has_uint16: bool = False) -> None:
        self.has_uint16 = has_uint16
        self.nodes: dict[str, RecordedNode] = {}
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Records a node and returns the name of its only output."""
        self.nodes[output] = RecordedNode(op_type, tuple(inputs), attributes)
        return output

    def add_constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Records an initializer and returns its name."""
        self.constants[name] = np.asarray(array)
        return name

    def constant(self, value: str) -> npt.NDArray[Any] | None:
        """Returns the recorded initializer of that name, or None if there is none."""
        return self.constants.get(value)
