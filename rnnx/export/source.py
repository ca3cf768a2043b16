"""What an export starts from: a training run, a bundle that is exported again, or a bare `.keras` file."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras

from rnnx.bundle import (
    GOLDEN_NAME,
    KERAS_NAME,
    SAMPLES_NAME,
    VOCABULARY_NAME,
    find_directory,
    is_part_of_model,
    read_directory,
)
from rnnx.config import ModelConfig, tool_versions
from rnnx.errors import ModelError
from rnnx.export.from_keras import load_keras, read_network
from rnnx.reference import Dense, Embedding, Network
from rnnx.samples import Sample, samples_from_json
from rnnx.text import Tokenizer, read_tokenizer
from rnnx.train.run import describe


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        config: Its description.
        model: The Keras model.
        network: The reference, built from Keras's weights.
        tokenizer: None for a network without text.
        samples: Texts with the labels that were recorded for them.
        files: What the bundle takes over unchanged.
    """

    config: ModelConfig
    model: keras.Model
    network: Network
    tokenizer: Tokenizer | None
    samples: list[Sample] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)


def open_source(model: str | Path) -> Source:
    """Opens a run or bundle (by path, or by a shipped name), or a `.keras` file.

    Raises:
        ModelError: If it is broken, altered, or of a kind that is not modelled.
    """
    path = Path(model)
    if path.suffix == ".keras" and path.is_file() and not is_part_of_model(path):
        return _from_keras_file(path)
    directory = read_directory(find_directory(model))
    config = directory.config
    keras_model = _load_keras_bytes(directory[KERAS_NAME])
    network = read_network(keras_model)
    tokenizer = read_tokenizer(config, directory[VOCABULARY_NAME]) if config.tokenizer else None
    _require_probabilities(keras_model, network)
    _require_fit(keras_model, network, config)
    recorded = next((directory.files[name] for name in (SAMPLES_NAME, GOLDEN_NAME) if name in directory.files), None)
    samples = samples_from_json(recorded) if recorded and tokenizer else []
    config = dataclasses.replace(config, architecture=describe(keras_model))
    return Source(config, keras_model, network, tokenizer, samples, directory.files)


def _from_keras_file(path: Path) -> Source:
    model = load_keras(path)
    network = read_network(model)
    _require_probabilities(model, network)
    outputs = model.output_shape[-1]
    config = ModelConfig(
        name=re.sub(r"[^\w .-]", "-", path.stem).strip(" .-") or "model",
        labels=tuple(str(i) for i in range(max(outputs, 2))),
        output_size=outputs,
        vocabulary_size=_vocabulary_size(network),
        tokenizer=None,
        architecture=describe(model),
        parameter_count=int(model.count_params()),
        training=None,
        tools=tool_versions("keras", "tensorflow", "numpy"),
    )
    return Source(config, model, network, None, files={KERAS_NAME: path.read_bytes()})


def _load_keras_bytes(data: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_NAME
        path.write_bytes(data)
        return load_keras(path)


def _vocabulary_size(network: Network) -> int:
    embedding = network.nodes[0].layer
    if not isinstance(embedding, Embedding):
        raise ModelError(f"layer {network.nodes[0].name}: the first layer should be an Embedding of ids")
    return len(embedding.table)


def _require_probabilities(model: keras.Model, network: Network) -> None:
    """One answer per text, by a sigmoid over one unit or a softmax over several."""
    shape, head = model.output_shape, network.nodes[-1].layer
    activation = head.activation if isinstance(head, Dense) else type(head).__name__
    if len(shape) != 2 or activation != ("sigmoid" if shape[-1] == 1 else "softmax"):
        raise ModelError(
            f"model {model.name}: its output {shape} by {activation} is not a probability per text; "
            "a Dense with one sigmoid, or with a softmax over several units, should come last"
        )


def _require_fit(model: keras.Model, network: Network, config: ModelConfig) -> None:
    if (rows := _vocabulary_size(network)) < config.vocabulary_size:
        raise ModelError(f"the embedding has {rows} rows for a vocabulary of {config.vocabulary_size}")
    if model.output_shape[-1] != config.output_size:
        raise ModelError(f"the output {model.output_shape} is not the output_size {config.output_size} of config.json")
