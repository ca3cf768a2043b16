"""The inputs and outputs of a network as the ONNX files have them."""

from __future__ import annotations

from rnnx.bundle.config import InputConfig, OutputConfig
from rnnx.reference import Network
from rnnx.reference.shapes import output_shapes


def describe_ports(network: Network) -> tuple[tuple[InputConfig, ...], tuple[OutputConfig, ...]]:
    """For the config."""
    inputs = tuple(InputConfig(one.name, one.kind, one.shape, one.size) for one in network.inputs)
    return inputs, tuple(OutputConfig(name, shape) for name, shape in output_shapes(network).items())
