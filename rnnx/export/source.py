"""What an export starts from: a training run, a bundle that is exported again, or a bare `.keras` file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import keras

from rnnx.bundle.config import ModelConfig, tool_versions
from rnnx.bundle.directory import (
    GOLDEN_NAME,
    KERAS_NAME,
    SAMPLES_NAME,
    VOCABULARY_NAME,
    Directory,
    find_directory,
    is_part_of_model,
    read_directory,
)
from rnnx.bundle.samples import samples_from_json, series_samples_from_json, tagged_samples_from_json
from rnnx.errors import ModelError, UsageError
from rnnx.export.kind import Kind
from rnnx.export.kinds import ArrayKind, TaggerKind, TextKind
from rnnx.export.names import Names, name_labels, read_task, read_tokenizer_of
from rnnx.files.read import read_file
from rnnx.keras_models.describe import describe
from rnnx.keras_models.read_network import load_keras, read_network
from rnnx.reference import Network
from rnnx.text.ids import IdEncoder, read_id_encoder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder, WordIds

_PER = {"classification": "per text", "tagging": "per position"}


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        config: Its description.
        model: The Keras model.
        network: The reference, built from Keras's weights.
        kind: What the export does for its kind.
        files: What the bundle takes over unchanged.
    """

    config: ModelConfig
    model: keras.Model
    network: Network
    kind: Kind
    files: Mapping[str, bytes] = field(default_factory=dict)

    def recorded_problems(self, keras_drift: float | None) -> list[str]:
        """Compares what was recorded when the network was trained with what the reference gives now.

        Args:
            keras_drift: How far Keras is from the reference on what was recorded; None if it is not finite.
        """
        return self.kind.recorded_problems(self.network, self.config.labels, keras_drift)


def open_source(model: str | Path, names: Names | None = None) -> Source:
    """Opens a run or bundle (by path, or by a shipped name), or a `.keras` file.

    Args:
        model: Which.
        names: For a bare `.keras` file, the words and labels that it does not hold.

    Raises:
        ModelError: If it is broken, altered, or of a kind that is not modelled, or the names do not fit it.
        UsageError: If names are given for a run or a bundle, which has its own.
    """
    path = Path(model)
    if path.suffix == ".keras" and path.is_file() and not is_part_of_model(path):
        return _from_keras_file(path, names or Names())
    if names is not None and names != Names():
        raise UsageError(f"{model}: a run or a bundle has its own vocabulary and labels; name a .keras file for others")
    directory = read_directory(find_directory(model))
    config = directory.config
    keras_model = load_keras(directory[KERAS_NAME], f"{directory.path / KERAS_NAME}")
    network = read_network(keras_model)
    id_encoder = read_id_encoder(directory)
    _require_fit(keras_model, network, config)
    kind = _open_kind(directory, id_encoder, network)
    config = dataclasses.replace(config, architecture=describe(keras_model))
    return Source(config, keras_model, network, kind, directory.files)


def _open_kind(directory: Directory, id_encoder: IdEncoder | None, network: Network) -> Kind:
    """Chooses what the export does, and reads what was recorded for the model."""
    recorded = next((directory.files[name] for name in (SAMPLES_NAME, GOLDEN_NAME) if name in directory.files), None)
    match id_encoder:
        case Tokenizer():
            return TextKind(id_encoder, samples_from_json(recorded) if recorded else [])
        case WordEncoder():
            _require_words(network, id_encoder, directory.config.name)
            return TaggerKind(id_encoder, tagged_samples_from_json(recorded) if recorded else [])
        case None:
            return ArrayKind(series_samples_from_json(recorded) if recorded else [])
        case _:
            assert_never(id_encoder)


def renamed(source: Source, name: str) -> Source:
    """The same model under another name.

    Raises:
        UsageError: If it cannot be one.
    """
    try:
        return dataclasses.replace(source, config=dataclasses.replace(source.config, name=name))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _from_keras_file(path: Path, names: Names) -> Source:
    data = read_file(path)
    model = load_keras(data, str(path))
    network = read_network(model)
    task, units = read_task(network)
    tokenizer = read_tokenizer_of(network, task, names)
    config = ModelConfig(
        name=re.sub(r"[^\w .-]", "-", path.stem).strip(" .-") or "model",
        labels=name_labels(task, units, names),
        output_size=units,
        vocabulary_size=max(one.size for one in network.inputs),
        tokenizer=None,
        architecture=describe(model),
        parameter_count=int(model.count_params()),
        training=None,
        tools=tool_versions("keras", "tensorflow", "numpy"),
        task=task,
    )
    if tokenizer is None:
        return Source(config, model, network, ArrayKind(), {KERAS_NAME: data})
    vocabulary = tokenizer.vocabulary
    config = dataclasses.replace(config, vocabulary_size=len(vocabulary), tokenizer=tokenizer.config)
    return Source(
        config, model, network, TextKind(tokenizer), {KERAS_NAME: data, VOCABULARY_NAME: vocabulary.to_bytes()}
    )


def _require_fit(model: keras.Model, network: Network, config: ModelConfig) -> None:
    """What a run or a bundle says of itself has to be what its network is."""
    task, units = read_task(network)
    if config.task in ("classification", "tagging") and task != config.task:
        raise ModelError(
            f"model {model.name}: its output {model.output_shape} is not a probability {_PER[config.task]}; "
            "a Dense with one sigmoid, or with a softmax over several units, should come last"
        )
    if (rows := max(one.size for one in network.inputs)) < config.vocabulary_size:
        raise ModelError(f"the embedding has {rows} rows for a vocabulary of {config.vocabulary_size}")
    if units != config.output_size:
        raise ModelError(f"the output {model.output_shape} is not the output_size {config.output_size} of config.json")


def _require_words(network: Network, encoder: WordEncoder, name: str) -> None:
    """The network has to read what the words of the config become."""
    sizes = (encoder.vocabulary.word_count, len(encoder.vocabulary))
    shapes: tuple[tuple[int | None, ...], ...] = ((None,), (None, len(encoder.config.features)))
    expected = [(port, "ids", shape) for port, shape in zip(WordIds._fields, shapes, strict=True)]
    actual = [(one.name, one.kind, one.shape) for one in network.inputs]
    if actual != expected or any(one.size < size for one, size in zip(network.inputs, sizes, strict=True)):
        there = "; ".join(f"{one.name} {one.shape} of {one.size} ids" for one in network.inputs)
        raise ModelError(
            f"model {name}: its words become {expected[0][0]} {shapes[0]} of {sizes[0]} and {expected[1][0]} "
            f"{shapes[1]} of {sizes[1]} ids, but its network reads {there}"
        )
