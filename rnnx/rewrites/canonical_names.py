"""Gives the nodes and constants of a converted graph an order and names that are the same in every run.

tf2onnx goes through sets of names, whose order differs from process to process. So the order of independent nodes
differs, the numbers that it appends to names, and which name is kept of equal constants. Here the nodes are sorted by
what they compute, from the outputs on, the numbers are given again in that order, and a constant that is no weight is
named after its content, as `Graph.shared` does. Of equal nodes, any name may have been kept, so a node that is read
several times gets the name of its operator. Delete this when tf2onnx has one order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

_COUNTER = re.compile(r"__\d+")  # what tf2onnx appends to a name to make it new
_MOST_SHOWN = 8  # numbers of a constant that are in its name


def make_canonical(graph: onnx.GraphProto) -> None:
    """Sorts and renames the nodes and constants of a graph, which is changed in place. Its nodes have no bodies."""
    _sort(graph)
    names = _Names({value.name for value in (*graph.input, *graph.output)})
    _name_constants(graph, names)
    merged = _possibly_merged(graph)
    for node in graph.node:
        if merged & set(node.output):
            names.add(node.name, f"{node.op_type}__0")
            for i, name in enumerate(node.output):
                names.add(name, f"{names.new.get(node.name, node.op_type)}:{i}")
        for name in (*node.input, *node.output, node.name):
            names.add(name)
    _rename(graph, names)


class _Names:
    """The new name of each value and node.

    Attributes:
        new: By old name.
    """

    def __init__(self, kept: set[str]) -> None:
        self.new: dict[str, str] = {name: name for name in kept}
        self._used = set(kept)

    def add(self, name: str, wanted: str | None = None) -> None:
        """Gives a name without its numbers, and with its place among those that are then equal."""
        if name in self.new or not name:
            return
        wanted = name if wanted is None else wanted
        bare, count = _COUNTER.sub("", wanted), 0
        new = wanted if bare == wanted else f"{bare}__0"
        while new in self._used:
            count += 1
            new = f"{bare}__{count}"
        self.set(name, new)

    def set(self, name: str, new: str) -> None:
        """Gives a name that is known."""
        self.new[name] = new
        self._used.add(new)


def _possibly_merged(graph: onnx.GraphProto) -> set[str]:
    """Returns the values that tf2onnx may have merged of several, so that any of their names was kept.

    Equal nodes become one, which is then read more than once, unless their readers became one as well.
    """
    counts = Counter(name for node in graph.node for name in node.input)
    counts.update(output.name for output in graph.output)
    merged = {name for name, count in counts.items() if count > 1}
    for node in reversed(graph.node):
        if merged & set(node.output):
            merged |= set(node.input)
    return merged - {value.name for value in (*graph.input, *graph.output)}


def _sort(graph: onnx.GraphProto) -> None:
    """Sorts the nodes so that each comes after those that it reads, from the first output on."""
    producers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    order: dict[int, None] = {}
    for output in graph.output:
        stack = [output.name]
        while stack:
            place = producers.get(stack[-1])
            if place is None or place in order:
                stack.pop()
                continue
            waiting = [name for name in graph.node[place].input if producers.get(name, place) not in {place, *order}]
            if waiting:
                stack.append(waiting[0])
            else:
                order[place] = None
                stack.pop()
    nodes = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(nodes)


def _name_constants(graph: onnx.GraphProto, names: _Names) -> None:
    """Names the constants; of equal ones that are no weights, one is kept."""
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for i, name in enumerate(node.input):
            readers.setdefault(name, []).append(f"{node.name}/{i}")
    kept: dict[str, onnx.TensorProto] = {}
    for tensor in sorted(graph.initializer, key=lambda tensor: _sort_key(tensor, readers)):
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and array.ndim:
            # tf2onnx may have taken it for several equal weights, and any of their names.
            read_by = readers.get(tensor.name, [])
            names.add(tensor.name, read_by[0] if len(read_by) > 1 else tensor.name)
        else:
            names.set(tensor.name, _content_name(array))
        kept.setdefault(names.new[tensor.name], tensor)
    del graph.initializer[:]
    for name in sorted(kept):
        kept[name].name = name
        graph.initializer.append(kept[name])


def _sort_key(tensor: onnx.TensorProto, readers: Mapping[str, list[str]]) -> tuple[str, str]:
    first = readers.get(tensor.name, [tensor.name])[0]
    return _COUNTER.sub("", first), hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()


def _content_name(array: np.ndarray[Any, Any]) -> str:
    """Returns the name of a constant, the same as that of `Graph.shared` for a scalar or a vector."""
    if array.size > _MOST_SHOWN or array.ndim > 1 or array.size == 0:
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:12]
        return f"{array.dtype}_{'x'.join(map(str, array.shape))}_{digest}"
    return f"{array.dtype}_{'_'.join(map(str, array.flatten()))}{'' if array.ndim else '_scalar'}"


def _rename(graph: onnx.GraphProto, names: _Names) -> None:
    for node in graph.node:
        node.input[:] = [names.new.get(name, name) for name in node.input]
        node.output[:] = [names.new.get(name, name) for name in node.output]
        node.name = names.new.get(node.name, node.name)
