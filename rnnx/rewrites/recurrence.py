"""Reads the recurrences of a converted graph from the markers that stand for them.

A marker (`rnnx.export.markers`) takes the place of each recurrence. It reads (time, batch, inputs) and the mask,
both in the order of the computation, Keras's own weights, and first states if there are any, and its attributes are
the layer's settings. Its outputs are the layer's outputs at all positions, and last states that are read apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from rnnx.rewrites.graph import Graph, Op, Var

MARKER_DOMAIN = "rnnx.marker"
MARKER_TYPE = "Recurrence"
# The activations' names in the reference and in ONNX. Where ONNX has no such operator, the name is our own.
ONNX_ACTIVATIONS = {
    "linear": "Affine",
    "tanh": "Tanh",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "hard_sigmoid": "HardSigmoid",
    "hard_sigmoid_keras_2": "HardSigmoidKeras2",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "elu": "Elu",
    "leaky_relu": "LeakyRelu",
    "selu": "Selu",
    "gelu": "Gelu",
    "silu": "Silu",
    "exponential": "Exp",
    "softmax": "Softmax",
    "celu": "Celu",
    "hard_silu": "HardSilu",
    "hard_tanh": "HardTanh",
    "log_sigmoid": "LogSigmoid",
    "mish": "Mish",
    "relu6": "Relu6",
    "soft_shrink": "SoftShrink",
    "sparse_plus": "SparsePlus",
    "sparse_sigmoid": "SparseSigmoid",
    "squareplus": "SquarePlus",
    "tanh_shrink": "TanhShrink",
    "log_softmax": "LogSoftmax",
}
# Of these, ONNX's recurrent operators have none; `rnnx.rewrites.step_scan` writes a recurrence that has one. They have
# Softplus, but onnxruntime 1.27 computes log(1 + exp(x)) there, which is infinite from x = 89 on.
NOT_NATIVE = frozenset(
    {
        "Selu", "Gelu", "Silu", "Exp", "Softmax", "HardSilu", "HardTanh", "LogSigmoid", "Mish", "Relu6", "SoftShrink",
        "SparsePlus", "SquarePlus", "TanhShrink", "LogSoftmax", "Softplus",
    }
)  # fmt: skip
# These are an operator of another name, with parameters of their own.
_OPERATORS = {"Celu": "Elu", "HardSigmoidKeras2": "HardSigmoid", "SparseSigmoid": "HardSigmoid"}
# The activations' parameters in Keras. They are written into every file, because ONNX has other defaults.
ALPHAS = {
    "Affine": 1.0, "HardSigmoid": 1 / 6, "HardSigmoidKeras2": 0.2, "SparseSigmoid": 0.5, "Elu": 1.0, "Celu": 1.0,
    "LeakyRelu": 0.2,
}  # fmt: skip
BETAS = {"Affine": 0.0, "HardSigmoid": 0.5, "HardSigmoidKeras2": 0.5, "SparseSigmoid": 0.5}
# Of these, act(0) is not 0: they do not keep a state at zero while the input is zero.
NOT_ZERO_AT_ZERO = frozenset({"Sigmoid", "HardSigmoid", "HardSigmoidKeras2", "SparseSigmoid", "Softplus"})


def operator_of(activation: str) -> str:
    """Returns the ONNX operator of an activation that `ONNX_ACTIVATIONS` names."""
    return _OPERATORS.get(activation, activation)


# The input and the mask where a recurrence reads an embedding of ids; a Bidirectional's second half reverses both.
_EMBEDDED = Op("Transpose", Op("Gather", Var("table"), Var("ids")))
_ID_MASK = Op("Transpose", Op("Unsqueeze", Op("Not", Op("Equal", Var("ids"), Var("zero")))))


@dataclass(frozen=True)
class Embedded:
    """The input of a recurrence that is a lookup of ids. Its mask, if there is one, masks id 0.

    Attributes:
        table: The value (vocabulary, inputs), a constant.
        ids: The value (batch, time), in the order of the text.
        is_backwards: Whether the loop reads the ids from the end.
    """

    table: str
    ids: str
    is_backwards: bool


@dataclass(frozen=True)
class Images:
    """The settings of a recurrence of images: a ConvLSTM. Its input and its states are images as vectors.

    Attributes:
        size: The rows and columns of an input image.
        strides: From one window of the input to the next.
        dilations: From one place of a window to the next.
        is_padded: Whether zeros are added to the input images, so that a stride of 1 keeps their size.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    is_padded: bool

    def windows(self, window: Sequence[int]) -> list[tuple[int, int, int]]:
        """Returns for each axis how many windows there are, and how many zeros come before and after the image."""
        found = []
        for length, size, stride, dilation in zip(self.size, window, self.strides, self.dilations, strict=True):
            span = (size - 1) * dilation + 1
            count = -(-length // stride) if self.is_padded else (length - span) // stride + 1
            added = max((count - 1) * stride + span - length, 0) if self.is_padded else 0
            found.append((count, added // 2, added - added // 2))
        return found


@dataclass(frozen=True, eq=False)
class Recurrence:
    """The recurrence that a marker stands for.

    Attributes:
        name: The name of the layer.
        activation: ONNX's name of the activation.
        x: The value (time, batch, inputs), in the order of the loop.
        mask: The value (time, batch, 1) bool, in the order of the loop; None without a mask.
        embedded: The same input as a lookup of ids, if it is one.
        kernel: W transposed, (inputs, units).
        recurrent_kernel: U transposed, (units, units).
        bias: (units,).
        is_carried: Whether the output at a masked position is the carried state; otherwise it is zero.
        output: The value with all outputs, (time, batch, units).
        is_turned: Whether the mask, and so the order of the loop, is that of the reversed text.
        operator: The native operator of ONNX: RNN, LSTM or GRU. Weights and bias of LSTM and GRU have Keras's layout.
        recurrent_activation: ONNX's name of the activation of the gates; None without gates.
        reset_after: Whether a GRU applies its reset gate after the product, with a bias of its own.
        first: The values (batch, units) of the states before the first position, h first; none if they are zero.
        last: The value (batch, units) of the last hidden state, if a node reads it apart from the outputs.
        cell: The value (batch, units) of the last cell state of an LSTM, if a node reads it.
        images: The settings of a ConvLSTM; its kernels are (height, width, features, 4 * filters).
    """

    name: str
    activation: str
    x: str
    mask: str | None
    embedded: Embedded | None
    kernel: npt.NDArray[np.float32]
    recurrent_kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    is_carried: bool
    output: str
    is_turned: bool
    operator: str = "RNN"
    recurrent_activation: str | None = None
    reset_after: bool = False
    first: tuple[str, ...] = ()
    last: str | None = None
    cell: str | None = None
    images: Images | None = None

    @property
    def units(self) -> int:
        """The size of the hidden state."""
        return len(self.recurrent_kernel) if self.images is None else prod(self.state_image)

    @property
    def state_image(self) -> tuple[int, int, int]:
        """The filters, rows and columns of a state of a ConvLSTM."""
        assert self.images is not None  # noqa: S101  # the caller has checked it
        (rows, *_), (columns, *_) = self.images.windows(self.kernel.shape[:2])
        return self.recurrent_kernel.shape[2], rows, columns

    @property
    def shows_states(self) -> bool:
        """Whether it starts from given states or gives its cell state, which only the native operators do."""
        return bool(self.first or self.cell)

    @property
    def is_native(self) -> bool:
        """Whether ONNX's recurrent operators compute it: they lack some activations, and convolutions."""
        return self.images is None and NOT_NATIVE.isdisjoint({self.activation, self.recurrent_activation})

    @property
    def ends_in_zeros(self) -> bool:
        """Whether the output at the last position may be zero, and not the last state."""
        return self.mask is not None and (not self.is_carried or bool(self.first))


def read_recurrences(graph: Graph) -> list[Recurrence]:
    """Reads every recurrence of a graph."""
    return [_read_marker(graph, node) for node in graph.proto.node if node.domain == MARKER_DOMAIN]


def _read_marker(graph: Graph, node: onnx.NodeProto) -> Recurrence:
    x, mask = node.input[0], node.input[1] or None
    kernel, recurrent_kernel, bias = (graph.constant(name) for name in node.input[2:5])
    assert kernel is not None and recurrent_kernel is not None and bias is not None  # noqa: S101, PT018  # `fill_markers` added them
    settings = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    of_gates = settings.get("recurrent_activation")
    made = dict(zip(settings.get("shown", b"").decode().split(), node.output[1:], strict=True))
    return Recurrence(
        name=node.name,
        activation=settings["activation"].decode(),
        x=x,
        mask=mask,
        embedded=_read_embedded(graph, x, mask),
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        bias=bias,
        is_carried=bool(settings["is_carried"]),
        output=node.output[0],
        is_turned=_is_turned(graph, mask),
        operator=settings["operator"].decode(),
        recurrent_activation=None if of_gates is None else of_gates.decode(),
        reset_after=bool(settings.get("reset_after", 0)),
        first=tuple(node.input[5:]),
        last=made.get("last"),
        cell=made.get("cell"),
        images=_read_images(settings),
    )


def _read_images(settings: Mapping[str, Any]) -> Images | None:
    if "image" not in settings:
        return None
    size, strides, dilations = (
        (rows, columns) for rows, columns in (settings[name] for name in ("image", "strides", "dilations"))
    )
    return Images(size, strides, dilations, settings["padding"] == b"same")


def _is_turned(graph: Graph, mask: str | None) -> bool:
    return mask is not None and graph.match(mask, Op("ReverseSequence", Var("mask"))) is not None


def _read_embedded(graph: Graph, x: str, mask: str | None) -> Embedded | None:
    for is_backwards in (False, True):
        found = graph.match(x, Op("ReverseSequence", _EMBEDDED) if is_backwards else _EMBEDDED)
        if found is None or graph.constant(found["table"]) is None:
            continue
        if mask is not None:
            masked = graph.match(mask, Op("ReverseSequence", _ID_MASK) if is_backwards else _ID_MASK)
            if masked is None or masked["ids"] != found["ids"] or not _is_zero(graph, masked["zero"]):
                return None
        return Embedded(found["table"], found["ids"], is_backwards)
    return None


def _is_zero(graph: Graph, value: str) -> bool:
    constant = graph.constant(value)
    return constant is not None and not constant.any()
