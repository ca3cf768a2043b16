"""The inputs and outputs of a bundle in words, and the shortest programs that use its files with onnxruntime alone."""

from __future__ import annotations

from rnnx.bundle.config import InputConfig, ModelConfig
from rnnx.bundle.directory import MODEL_NAME, TEXT_NAME

# onnxruntime collects telemetry from version 1.29 on, unless it finds this variable when it is imported.
_IMPORTS = (
    'import os; os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is imported\n'
    "import numpy as np, onnxruntime as ort"
)


def describe_inputs(config: ModelConfig) -> list[str]:
    """Describes each input of `model.onnx`: name, dtype, shape, and the range of ids."""
    inputs = config.inputs or (InputConfig("ids", "ids", (None,), config.vocabulary_size),)
    return [
        f"`{port.name}` {port.dtype} {_shape(port.shape)}{f', 0 to {port.size - 1}' if port.kind == 'ids' else ''}"
        for port in inputs
    ]


def describe_outputs(config: ModelConfig) -> list[str]:
    """Describes each output of `model.onnx`: name, dtype, shape."""
    outputs = {port.name: port.shape for port in config.outputs} or {"probs": (config.output_size,)}
    return [f"`{name}` float32 {_shape(shape)}" for name, shape in outputs.items()]


def array_call(config: ModelConfig) -> str:
    """Returns the Python expression of an input for `predict`: an array, or several arrays by input name."""
    arrays = {port.name: _array(port) for port in config.inputs}
    return next(iter(arrays.values())) if len(arrays) == 1 else _mapping(arrays)


def array_session_snippet(config: ModelConfig) -> str:
    """Returns the Python lines that run `model.onnx` on arrays, with onnxruntime alone."""
    return (
        f"{_IMPORTS}\n"
        f'session = ort.InferenceSession("{MODEL_NAME}", providers=["CPUExecutionProvider"])\n'
        f"answers = session.run(None, {_mapping({port.name: _array(port) for port in config.inputs})})"
    )


def text_session_snippet(config: ModelConfig) -> str:
    """Returns the few Python lines that run `model.text.onnx` on a text, with onnxruntime alone."""
    run = (
        f'probs = session.run(["probs"], {{"text": text}})[0][0]\nprint(dict(zip({list(config.labels)}, probs)))'
        if config.labels
        else 'values = session.run(["values"], {"text": text})[0][0]\nprint(values[0])'
    )
    return (
        f"{_IMPORTS}\n"
        f'session = ort.InferenceSession("{TEXT_NAME}", providers=["CPUExecutionProvider"])\n'
        'text = np.frombuffer(b"A text.", np.uint8)[None]\n'
        f"{run}"
    )


def _mapping(arrays: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {array}' for name, array in arrays.items()) + "}"


def _array(port: InputConfig) -> str:
    """Returns the expression of a batch of one, ten steps long, that the network can read; a mask counts all steps."""
    sizes = ", ".join("10" if size is None else str(size) for size in port.shape)
    dtype = "bool_" if port.kind == "mask" else port.dtype
    return f"np.{'zeros' if port.kind == 'numbers' else 'ones'}((1, {sizes}), np.{dtype})"


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join(["batch", *("time" if size is None else str(size) for size in shape)]) + ")"
