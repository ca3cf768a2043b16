"""Opens the model of an export: a training run, a bundle that is exported again, or a file of Keras."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import keras

from rnnx.bundle.config import ModelConfig, tool_versions
from rnnx.bundle.directory import GOLDEN_NAME, KERAS_NAME, SAMPLES_NAME, VOCABULARY_NAME, Directory, read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.bundle.samples import (
    rated_samples_from_json,
    samples_from_json,
    series_samples_from_json,
    tagged_samples_from_json,
)
from rnnx.errors import ModelError, UsageError
from rnnx.export.kind import Kind
from rnnx.export.kinds import ArrayKind, LabelSetKind, RatingKind, TaggerKind, TextKind
from rnnx.export.names import Names, gives_label_sets, name_labels, read_task, read_tokenizer_of
from rnnx.keras_models.describe import describe
from rnnx.keras_models.file_formats import FileFormat, find_format, name_without_ending
from rnnx.keras_models.load_model import load_file, load_keras
from rnnx.keras_models.plain_model import PlainModel, make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.reference import Network
from rnnx.text.ids import IdEncoder, read_id_encoder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder, WordIds

_PER = {"classification": "per text", "tagging": "per position"}


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        config: The description of the model, as `config.json` will have it.
        plain: The Keras model, in plain form and as it was saved.
        network: The reference, built from Keras's weights.
        kind: The steps of the export that depend on the kind of the model.
        files: The files of the run or the bundle, by name; the new bundle copies some of them.
    """

    config: ModelConfig
    plain: PlainModel
    network: Network
    kind: Kind
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def model(self) -> keras.Model:
        """The Keras model in plain form."""
        return self.plain.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the model, a sentence each."""
        whole = [tensor.name for tensor in self.plain.model.outputs if "int" in str(tensor.dtype)]
        note = (
            [f"Keras gives whole numbers at {len(whole)} of its outputs; the files give them as float32"]
            if whole
            else []
        )
        return (*self.plain.notes, *note)

    @property
    def is_stateful(self) -> bool:
        """Whether the model keeps its states from call to call, so that it needs the streaming form."""
        return self.plain.is_stateful

    def recorded_problems(self, keras_drift: float | None) -> list[str]:
        """Compares the predictions recorded in training with those of the reference; see `Kind.recorded_problems`."""
        return self.kind.recorded_problems(self.network, self.config.labels, keras_drift)


def open_source(model: str | Path, names: Names | None = None) -> Source:
    """Opens a run or a bundle (by path, or by the name of a shipped model), or a file of Keras.

    Args:
        model: The path or the name.
        names: The vocabulary and labels of a file of Keras, which it does not contain.

    Raises:
        ModelError: If the model is broken, altered or not supported, or the names do not fit it.
        UsageError: If names are given for a run or a bundle, which has its own.
    """
    path = Path(model)
    if (found := find_format(model)) is not None:
        return _from_file(found, path, names or Names())
    if names is not None and names != Names():
        raise UsageError(
            f"{model}: a run or a bundle has its own vocabulary and labels; to use others, copy its {KERAS_NAME} "
            "elsewhere, and export the copy"
        )
    directory = read_directory(find_directory(model))
    config = directory.config
    plain = make_plain(load_keras(directory[KERAS_NAME], f"{directory.path / KERAS_NAME}"))
    network = read_network(plain.model, plain.output_names)
    id_encoder = read_id_encoder(directory)
    _require_fit(plain.model, network, config)
    kind = _open_kind(directory, id_encoder, network)
    config = dataclasses.replace(config, architecture=describe(plain.model))
    return Source(config, plain, network, kind, directory.files)


def _open_kind(directory: Directory, id_encoder: IdEncoder | None, network: Network) -> Kind:
    """Returns the kind of a run or a bundle, with the predictions that were recorded for it."""
    recorded = next((directory.files[name] for name in (SAMPLES_NAME, GOLDEN_NAME) if name in directory.files), None)
    match id_encoder:
        case Tokenizer():
            return _open_text_kind(directory.config, id_encoder, recorded)
        case WordEncoder():
            _require_words(network, id_encoder, directory.config.name)
            return TaggerKind(id_encoder, tagged_samples_from_json(recorded) if recorded else [])
        case None:
            return ArrayKind(series_samples_from_json(recorded) if recorded else [])
        case _:
            assert_never(id_encoder)


def _open_text_kind(config: ModelConfig, tokenizer: Tokenizer, recorded: bytes | None) -> Kind:
    """Returns the kind of a run or a bundle that reads texts."""
    if config.task == "regression":
        return RatingKind(tokenizer, rated=rated_samples_from_json(recorded) if recorded else [])
    samples = samples_from_json(recorded) if recorded else []
    if config.task == "multilabel":
        return LabelSetKind(tokenizer, samples, config.thresholds)
    return TextKind(tokenizer, samples)


def renamed(source: Source, name: str) -> Source:
    """Returns the same model under another name.

    Raises:
        UsageError: If the name is invalid.
    """
    try:
        return dataclasses.replace(source, config=dataclasses.replace(source.config, name=name))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _from_file(found: FileFormat, path: Path, names: Names) -> Source:
    """Opens a file of Keras; its task follows from its outputs, and its labels and texts from `names`."""
    model, data = load_file(found, path)
    plain = make_plain(model)
    network = read_network(plain.model, plain.output_names)
    task, units = read_task(network)
    tokenizer = read_tokenizer_of(network, task, names)
    config = ModelConfig(
        name=re.sub(r"[^\w .-]", "-", name_without_ending(path)).strip(" .-") or "model",
        labels=name_labels(task, units, names),
        output_size=units,
        vocabulary_size=max(port.size for port in network.inputs),
        tokenizer=None,
        architecture=describe(plain.model),
        parameter_count=int((plain.saved or plain.model).count_params()),
        training=None,
        tools=tool_versions("keras", "tensorflow", "numpy"),
        task=task,
    )
    if tokenizer is None:
        return Source(config, plain, network, ArrayKind(), {KERAS_NAME: data})
    vocabulary = tokenizer.vocabulary
    config = dataclasses.replace(config, vocabulary_size=len(vocabulary), tokenizer=tokenizer.config)
    return Source(
        config, plain, network, TextKind(tokenizer), {KERAS_NAME: data, VOCABULARY_NAME: vocabulary.to_bytes()}
    )


def _require_fit(model: keras.Model, network: Network, config: ModelConfig) -> None:
    """Makes sure that the config of a run or a bundle describes its network."""
    task, units = read_task(network)
    if config.task in ("classification", "tagging") and task != config.task:
        raise ModelError(
            f"model {model.name}: its output {model.output_shape} is not a probability {_PER[config.task]}; its last "
            "layer should be a Dense with one sigmoid unit, or with a softmax over several units"
        )
    if config.task == "multilabel" and not gives_label_sets(network):
        raise ModelError(
            f"model {model.name}: its output {model.output_shape} is not a probability for each label; its last layer "
            "should be a Dense with a sigmoid unit for each label"
        )
    if (rows := max(port.size for port in network.inputs)) < config.vocabulary_size:
        raise ModelError(f"the embedding has {rows} rows, but the vocabulary has {config.vocabulary_size} tokens")
    if units != config.output_size:
        raise ModelError(
            f"the output {model.output_shape} does not have the output_size {config.output_size} of config.json"
        )


def _require_words(network: Network, encoder: WordEncoder, name: str) -> None:
    """Makes sure that the network of a tagger reads the ids and features that its encoder makes of words."""
    sizes = (encoder.vocabulary.word_count, len(encoder.vocabulary))
    shapes: tuple[tuple[int | None, ...], ...] = ((None,), (None, len(encoder.config.features)))
    expected = [(port, "ids", shape) for port, shape in zip(WordIds._fields, shapes, strict=True)]
    actual = [(port.name, port.kind, port.shape) for port in network.inputs]
    if actual != expected or any(port.size < size for port, size in zip(network.inputs, sizes, strict=True)):
        read = "; ".join(f"{port.name} {port.shape} of {port.size} ids" for port in network.inputs)
        raise ModelError(
            f"model {name}: its words become {expected[0][0]} {shapes[0]} of {sizes[0]} and {expected[1][0]} "
            f"{shapes[1]} of {sizes[1]} ids, but its network reads {read}"
        )
