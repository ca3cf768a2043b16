"""How a bundle is called: its inputs and outputs in words, and the shortest programs that use it."""

from __future__ import annotations

from rnnx.bundle.config import InputConfig, ModelConfig
from rnnx.bundle.directory import MODEL_NAME, TEXT_NAME


def describe_inputs(config: ModelConfig) -> list[str]:
    """Each input of `model.onnx`: name, dtype, shape, and for ids their range."""
    inputs = config.inputs or (InputConfig("ids", "ids", (None,), config.vocabulary_size),)
    return [
        f"`{one.name}` {one.dtype} {_shape(one.shape)}{f', 0 to {one.size - 1}' if one.kind == 'ids' else ''}"
        for one in inputs
    ]


def describe_outputs(config: ModelConfig) -> list[str]:
    """Each output: name, dtype, shape."""
    outputs = {one.name: one.shape for one in config.outputs} or {"probs": (config.output_size,)}
    return [f"`{name}` float32 {_shape(shape)}" for name, shape in outputs.items()]


def embed_snippet(config: ModelConfig, where: str) -> str:
    """The shortest program that uses the bundle: by its shipped name, or by its path."""
    if config.tokenizer:
        return f'import rnnx\nprint(rnnx.load({where!r}).predict(["A text."])[0].label)'
    if config.words:
        return f'import rnnx\nprint([word.tag for word in rnnx.load({where!r}).predict(["A text."])[0].words])'
    arrays = {one.name: _array(one) for one in config.inputs}
    given = next(iter(arrays.values())) if len(arrays) == 1 else _mapping(arrays)
    answer = "label" if config.task == "classification" else "outputs"
    return f"import numpy as np, rnnx\nprint(rnnx.load({where!r}).predict({given})[0].{answer})"


def session_snippet(config: ModelConfig) -> str:
    """The lines that embed a model of arrays, with onnxruntime alone."""
    return (
        "import numpy as np, onnxruntime as ort\n"
        f'session = ort.InferenceSession("{MODEL_NAME}", providers=["CPUExecutionProvider"])\n'
        f"answers = session.run(None, {_mapping({one.name: _array(one) for one in config.inputs})})"
    )


def text_snippet(config: ModelConfig) -> str:
    """The five lines that embed the text model, with onnxruntime alone."""
    return (
        "import numpy as np, onnxruntime as ort\n"
        f'session = ort.InferenceSession("{TEXT_NAME}", providers=["CPUExecutionProvider"])\n'
        'text = np.frombuffer(b"A text.", np.uint8)[None]\n'
        'probs = session.run(["probs"], {"text": text})[0][0]\n'
        f"print(dict(zip({list(config.labels)}, probs)))"
    )


def _mapping(arrays: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {array}' for name, array in arrays.items()) + "}"


def _array(one: InputConfig) -> str:
    """A batch of one that the network takes, ten steps long."""
    sizes = ", ".join("10" if size is None else str(size) for size in one.shape)
    return f"np.{'ones' if one.kind == 'ids' else 'zeros'}((1, {sizes}), np.{one.dtype})"


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join(["batch", *("time" if size is None else str(size) for size in shape)]) + ")"
