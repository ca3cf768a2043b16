"""Describes the inputs and outputs of a network for `config.json`."""

from __future__ import annotations

from rnnx.bundle.config import InputConfig, OutputConfig
from rnnx.reference import Network
from rnnx.reference.shapes import least_times, output_shapes


def describe_ports(network: Network) -> tuple[tuple[InputConfig, ...], tuple[OutputConfig, ...]]:
    """Returns the inputs and the outputs of a network as `config.json` lists them: those of its ONNX files."""
    times = least_times(network)
    inputs = tuple(
        InputConfig(port.name, port.kind, port.shape, port.size, times.get(port.name, 1)) for port in network.inputs
    )
    return inputs, tuple(OutputConfig(name, shape) for name, shape in output_shapes(network).items())
