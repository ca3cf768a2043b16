"""A config and files from which tests write bundles without any model."""

from __future__ import annotations

from rnnx.bundle.config import ModelConfig, TokenizerConfig, TrainingConfig

TOKENIZER = TokenizerConfig(5, True, True, "batch", "left", "left")
CONFIG = ModelConfig(
    name="n",
    labels=("neg", "pos"),
    output_size=1,
    vocabulary_size=10,
    tokenizer=TOKENIZER,
    architecture=("Dense probs",),
    parameter_count=3,
    training=TrainingConfig("default", "d", 8, 2, 0, 3, 2, 0.5),
    tools={"keras": "3"},
    files={"model.onnx": "00"},
    opset=13,
)
FILES = {"a.txt": b"first", "b.txt": b"second"}
