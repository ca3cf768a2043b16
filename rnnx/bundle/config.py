"""What a model is: labels, tokenizer, shape, origin, and the files that belong to it.

The same `config.json` describes a training run and an exported bundle. Frozen values, validated when made, read and
written as JSON. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal, TypeAlias, assert_never

from rnnx._version import __version__

FORMAT_VERSION = 1
CONFIG_NAME = "config.json"
_MOST_LABEL_CHARACTERS = 1000
# What `WordsConfig.features` may name; `rnnx.text.word_features` says what each is.
FEATURE_SLOT = "SUFFIX[1-9]|PREFIX[1-9]|SHAPE"


def tool_versions(*packages: str) -> dict[str, str]:
    """The versions of rnnx and of installed packages, for `ModelConfig.tools`."""
    return {"rnnx": __version__, **{package: version(package) for package in packages}}


def require_printable(labels: Sequence[str]) -> None:
    """Makes sure that labels are names that can be shown: none steers a terminal, breaks a line or turns the text.

    Raises:
        ValueError: Names the first one that is not.
    """
    for label in labels:
        if not label.isprintable():
            raise ValueError(f"labels should be printable; {label!r:.60} has control characters in it")
        if not 1 <= len(label) <= _MOST_LABEL_CHARACTERS:
            raise ValueError(f"labels should have 1 to {_MOST_LABEL_CHARACTERS} characters, not {len(label)}")


@dataclass(frozen=True)
class TokenizerConfig:
    """How a text becomes a row of ids (`rnnx.text.tokenizer` does it).

    Attributes:
        max_length: The most ids in a row, the start included; a longer text is cut.
        start: Whether each text begins with id 1.
        strip_breaks: Whether `<br />` is replaced by a space before anything else.
        pad_to: `max_length` pads every row to `max_length` (a network without a mask learned its padding);
            `batch` pads to the longest row of the batch.
        padding_side: Where zeros go.
        truncation_side: Which end of a text is cut off; `left` keeps the last words.
    """

    max_length: int
    start: bool
    strip_breaks: bool
    pad_to: Literal["max_length", "batch"]
    padding_side: Literal["left", "right"]
    truncation_side: Literal["left", "right"]

    def __post_init__(self) -> None:
        if not 1 <= self.max_length <= 1_000_000:
            raise ValueError(f"tokenizer.max_length should be in 1..1000000, not {self.max_length}")


@dataclass(frozen=True)
class WordsConfig:
    """How a sentence becomes rows of ids, one for each word (`rnnx.text.word_encoder` does it).

    Attributes:
        features: What is looked up of a word besides the word itself, in this order: `SUFFIX3`, `PREFIX1`, `SHAPE`.
        max_length: The most words in a row; a longer sentence is cut into pieces.
    """

    features: tuple[str, ...]
    max_length: int

    def __post_init__(self) -> None:
        if not 1 <= self.max_length <= 1_000_000:
            raise ValueError(f"words.max_length should be in 1..1000000, not {self.max_length}")
        if not self.features or len(set(self.features)) != len(self.features):
            raise ValueError(f"words.features should be one or more different names, not {list(self.features)}")
        if strange := [name for name in self.features if not re.fullmatch(FEATURE_SLOT, name)]:
            raise ValueError(f"words.features should be SUFFIX1..9, PREFIX1..9 or SHAPE, not {strange[0]!r:.40}")


# Why a training has no more epochs: all were run, nothing improved any more, or Ctrl-C.
Ending = Literal["whole", "stopped early", "interrupted"]


@dataclass(frozen=True)
class TrainingConfig:
    """Where the weights come from; enough to train them again.

    Attributes:
        recipe: The recipe's name.
        dataset: The data set as it was named on the command line (its last part, for a path).
        train_count: Texts (or sentences, or sequences of numbers) trained on.
        validation_count: Those that the best epoch was chosen on.
        seed: Of the split, the start weights and the order of the batches.
        epochs: Epochs run.
        best_epoch: The epoch kept, from 1.
        best_validation_accuracy: Of that epoch, in 0..1; None where values were trained for.
        best_validation_r2: Of that epoch, the share of the values' variance that is explained, at most 1; None where
            labels were trained for.
        ending: Why there are no more epochs.
    """

    recipe: str
    dataset: str
    train_count: int
    validation_count: int
    seed: int
    epochs: int
    best_epoch: int
    best_validation_accuracy: float | None
    best_validation_r2: float | None = None
    ending: Ending = "whole"


@dataclass(frozen=True)
class InputConfig:
    """An input of the ONNX files.

    Attributes:
        name: Its name.
        kind: `ids` are int32, `numbers` float32.
        shape: Without the batch; None is the time.
        size: Ids run from 0 to one below it; 0 for numbers.
    """

    name: str
    kind: Literal["ids", "numbers"]
    shape: tuple[int | None, ...]
    size: int

    @property
    def dtype(self) -> Literal["int32", "float32"]:
        """What the files take."""
        return "int32" if self.kind == "ids" else "float32"


@dataclass(frozen=True)
class OutputConfig:
    """An output of the ONNX files: its name, and its shape without the batch, None being the time."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class ArraysConfig:
    """How numbers, or ids without a vocabulary, are read: as they are.

    Attributes:
        inputs: Those of the ONNX files; empty before the export.
    """

    inputs: tuple[InputConfig, ...]


# How a model reads its input. Whoever asks which kind a model is of takes this union apart, in one place of each room.
Reading: TypeAlias = TokenizerConfig | WordsConfig | ArraysConfig
# The three kinds by name, for models, data sets and recipes alike: texts that get a label each, sentences whose words
# get a tag each, and sequences of numbers or ids. The name is what is counted of a data set.
ModelKind = Literal["texts", "sentences", "sequences"]

# Of an input or an output; an embedding of a million words is the largest that a network may have.
_MOST_NAME_CHARACTERS, _MOST_AXES, _MOST_SIZE = 1000, 8, 1 << 20

TaskKind = Literal["classification", "tagging", "regression", "values"]


@dataclass(frozen=True)
class ModelConfig:
    """The description of a run or a bundle.

    Attributes:
        name: A short name, such as `imdb`.
        labels: In the order of the label ids. Two labels: `probs` is the probability of the second. Empty where the
            task has none.
        output_size: Probabilities per answer (per word, if it tags): one for two labels that share a sigmoid, else one
            per label. Without labels, numbers per answer.
        vocabulary_size: Ids run from 0 to `vocabulary_size - 1`; 0 for a network that reads no ids.
        tokenizer: None for a network without text, and for one that reads words.
        architecture: One line per layer.
        parameter_count: Trainable and fixed numbers in the network.
        training: None for a model that rnnx did not train.
        tools: Name to version of what made the files.
        files: Name to sha256 (hex) of every other file of the directory.
        opset: Of the ONNX files; None before the export.
        recurrent_units: Of the widest Scan of model.batch.onnx, all layers that run in it together; 0 without a
            Scan, None before the export.
        collects_states: Whether every Scan of it writes its states down at each step, as a mean of them needs.
        task: `classification` gives a label for a whole input, `tagging` one for each position, `regression` a number
            that was trained for; `values` are whatever the network puts out.
        inputs: Of the ONNX files; empty before the export.
        outputs: Of them.
        words: How a network that tags words reads them; None for any other.
    """

    name: str
    labels: tuple[str, ...]
    output_size: int
    vocabulary_size: int
    tokenizer: TokenizerConfig | None
    architecture: tuple[str, ...]
    parameter_count: int
    training: TrainingConfig | None
    tools: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    opset: int | None = None
    recurrent_units: int | None = None
    collects_states: bool = False
    task: TaskKind = "classification"
    inputs: tuple[InputConfig, ...] = ()
    outputs: tuple[OutputConfig, ...] = ()
    words: WordsConfig | None = None
    format_version: int = FORMAT_VERSION

    @property
    def reading(self) -> Reading:
        """How the network reads its input."""
        return self.words or self.tokenizer or ArraysConfig(self.inputs)

    @property
    def kind(self) -> ModelKind:
        """Which kind of model it is, by name."""
        match self.reading:
            case TokenizerConfig():
                return "texts"
            case WordsConfig():
                return "sentences"
            case ArraysConfig():
                return "sequences"
            case reading:
                assert_never(reading)

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version {self.format_version} is not {FORMAT_VERSION}: another rnnx wrote this")
        if not re.fullmatch(r"\w[\w .-]{0,99}", self.name):
            raise ValueError(f"name should be letters, digits, blanks, dots and dashes, not {self.name!r:.60}")
        require_printable(self.labels)
        if self.task in ("classification", "tagging"):
            self._check_labels()
        elif self.labels:
            raise ValueError(f"labels {list(self.labels)} have no place in the task {self.task}")
        if self.words and self.task != "tagging":
            raise ValueError(f"task {self.task} takes no words in the config")
        if self.words and self.tokenizer:
            raise ValueError("the config has words and a tokenizer; a network reads its input in one way")
        if self.vocabulary_size < (0 if self.kind == "sequences" else 4):
            raise ValueError(
                f"vocabulary_size should be at least 4 (three special ids, a word), not {self.vocabulary_size}"
            )

        self._check_ports()

    def _check_ports(self) -> None:
        ports: tuple[InputConfig | OutputConfig, ...] = (*self.inputs, *self.outputs)
        if len({one.name for one in self.inputs}) + len({one.name for one in self.outputs}) != len(ports):
            raise ValueError("two inputs or two outputs have the same name")
        if any(one.kind == "ids" and one.size < 1 for one in self.inputs):
            raise ValueError("an input of ids should say how many there are")
        if not all(one.shape for one in self.inputs):
            raise ValueError("an input should have a time")
        for one in ports:
            if not one.name.isprintable() or not 1 <= len(one.name) <= _MOST_NAME_CHARACTERS:
                raise ValueError(f"inputs and outputs should have printable names, not {one.name!r:.60}")
            if len(one.shape) > _MOST_AXES or any(
                not 1 <= size <= _MOST_SIZE for size in one.shape if size is not None
            ):
                raise ValueError(f"{one.name!r:.60} should not have the shape {list(one.shape)!r:.60}")
        rank = {"classification": 1, "tagging": 2}.get(self.task)
        if self.outputs and rank:
            shapes = [one.shape for one in self.outputs]
            if len(shapes) != 1 or len(shapes[0]) != rank or shapes[0][-1] != self.output_size:
                raise ValueError(f"outputs of the shapes {shapes!r:.60} do not fit {len(self.labels)} labels")

    def _check_labels(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels should be two or more different names, not {list(self.labels)}")
        if self.output_size not in (1, len(self.labels)) or (self.output_size == 1 and len(self.labels) != 2):
            raise ValueError(f"output_size {self.output_size} does not fit {len(self.labels)} labels")
