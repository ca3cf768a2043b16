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
from rnnx.config import ModelConfig, Task, tool_versions
from rnnx.errors import ModelError
from rnnx.export.from_keras import load_keras, read_network
from rnnx.export.ports import output_shapes
from rnnx.reference import Dense, Network
from rnnx.samples import Sample, samples_from_json
from rnnx.text import Tokenizer, read_tokenizer
from rnnx.train.run import describe

_PER = {"classification": "per text", "tagging": "per position"}


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
    _require_fit(keras_model, network, config)
    recorded = next((directory.files[name] for name in (SAMPLES_NAME, GOLDEN_NAME) if name in directory.files), None)
    samples = samples_from_json(recorded) if recorded and tokenizer else []
    config = dataclasses.replace(config, architecture=describe(keras_model))
    return Source(config, keras_model, network, tokenizer, samples, directory.files)


def _from_keras_file(path: Path) -> Source:
    model = load_keras(path)
    network = read_network(model)
    task, units = _read_task(network)
    config = ModelConfig(
        name=re.sub(r"[^\w .-]", "-", path.stem).strip(" .-") or "model",
        labels=tuple(str(i) for i in range(max(units, 2))) if task in ("classification", "tagging") else (),
        output_size=units,
        vocabulary_size=max(one.size for one in network.inputs),
        tokenizer=None,
        architecture=describe(model),
        parameter_count=int(model.count_params()),
        training=None,
        tools=tool_versions("keras", "tensorflow", "numpy"),
        task=task,
    )
    return Source(config, model, network, None, files={KERAS_NAME: path.read_bytes()})


def _read_task(network: Network) -> tuple[Task, int]:
    """What the network's output is good for, and how many numbers it has at a place.

    One sigmoid, or a softmax, is a probability per label: for the whole input, or at each position. Everything else,
    several outputs among it, is values.
    """
    shapes = output_shapes(network)
    (end, shape), *others = [(network.ends[name], shape) for name, shape in shapes.items()]
    units = shape[-1] or 0
    activation = end.layer.activation if isinstance(end.layer, Dense) else None
    is_probability = activation == ("sigmoid" if units == 1 else "softmax")
    if others or not is_probability or len(shape) > 2:
        return "values", units
    return ("classification" if len(shape) == 1 else "tagging"), units


def _load_keras_bytes(data: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_NAME
        path.write_bytes(data)
        return load_keras(path)


def _require_fit(model: keras.Model, network: Network, config: ModelConfig) -> None:
    """What a run or a bundle says of itself has to be what its network is."""
    task, units = _read_task(network)
    if config.task in ("classification", "tagging") and task != config.task:
        raise ModelError(
            f"model {model.name}: its output {model.output_shape} is not a probability {_PER[config.task]}; "
            "a Dense with one sigmoid, or with a softmax over several units, should come last"
        )
    if (rows := max(one.size for one in network.inputs)) < config.vocabulary_size:
        raise ModelError(f"the embedding has {rows} rows for a vocabulary of {config.vocabulary_size}")
    if units != config.output_size:
        raise ModelError(f"the output {model.output_shape} is not the output_size {config.output_size} of config.json")
