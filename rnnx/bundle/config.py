"""The description of a model: its labels, tokenizer, inputs and outputs, training, and the hashes of its files.

The same `config.json` describes a training run and an exported bundle. All values are frozen dataclasses that check
themselves when they are made; `rnnx.strict_json` reads and writes them. Imports the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from rnnx._version import __version__
from rnnx.strict_json import OMIT_DEFAULT

FORMAT_VERSION = 1
CONFIG_NAME = "config.json"
_MAX_LABEL_CHARACTERS = 1000
# The names that `WordsConfig.features` accepts. `rnnx.text.word_features` defines each of them.
FEATURE_SLOT = "SUFFIX[1-9]|PREFIX[1-9]|SHAPE"


def tool_versions(*packages: str) -> dict[str, str]:
    """Returns the versions of rnnx and of some installed packages, by name, for `ModelConfig.tools`."""
    from importlib.metadata import version  # here, because its import takes 10 ms and `rnnx infer` does not need it

    return {"rnnx": __version__, **{package: version(package) for package in packages}}


def require_printable(labels: Sequence[str]) -> None:
    """Makes sure that labels can be printed: no control characters, line breaks or marks that change the direction.

    Raises:
        ValueError: If a label is not printable, is empty, or has more than 1,000 characters. The message gives the
            first such label or its length.
    """
    for label in labels:
        if not label.isprintable():
            raise ValueError(f"labels should be printable; {label!r:.60} contains control characters")
        if not 1 <= len(label) <= _MAX_LABEL_CHARACTERS:
            raise ValueError(f"labels should have 1 to {_MAX_LABEL_CHARACTERS} characters, not {len(label)}")


def describe_bad_label(labels: Iterable[str]) -> str | None:
    """Says for a user what is wrong with the first label that `require_printable` refuses; None if there is none."""
    for label in labels:
        if not label:
            return "a label is empty; name it"
        if not label.isprintable():
            return f"the label {label!r:.60} is not printable text; rename it"
        if len(label) > _MAX_LABEL_CHARACTERS:
            return (
                f"the label that begins with {label[:20]!r} has {len(label):,} characters, and at most "
                f"{_MAX_LABEL_CHARACTERS:,} are allowed; check that it is the label and not the text, or shorten it"
            )
    return None


# The rules that find the tokens of a text. The name has the version of Unicode, since a newer table is another rule.
TextRuleName: TypeAlias = Literal["bytes", "unicode-14", "unicode-14-marks"]


@dataclass(frozen=True)
class TokenizerConfig:
    """The settings with which `rnnx.text.tokenizer` turns a text into a row of ids.

    Attributes:
        max_length: The largest number of ids in a row, including the start id. Longer texts are truncated.
        start: Whether each row begins with the start id, 1.
        strip_breaks: Whether `<br />` is replaced by a space before the text is split.
        pad_to: `max_length` pads every row to `max_length`, which a network without a mask needs, because it learned
            its padding. `batch` pads to the longest row of the batch.
        padding_side: The side on which zeros are added.
        truncation_side: The end that is cut off: `left` keeps the last words of a text.
        rule: The rule that finds the tokens, from `rnnx.text.rules`. It is `bytes` in files that do not name one.
        marks: Whether `!` and `?` are tokens; only `unicode-14` can read them.
    """

    max_length: int
    start: bool
    strip_breaks: bool
    pad_to: Literal["max_length", "batch"]
    padding_side: Literal["left", "right"]
    truncation_side: Literal["left", "right"]
    rule: TextRuleName = field(default="bytes", metadata=OMIT_DEFAULT)
    marks: bool = field(default=False, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        if not 1 <= self.max_length <= 1_000_000:
            raise ValueError(f"tokenizer.max_length should be in 1..1000000, not {self.max_length}")
        if self.marks and self.rule != "unicode-14":
            raise ValueError(f"tokenizer.marks is not supported by the rule {self.rule}, only by unicode-14")


# The rules that find the words of a sentence and their features.
WordRuleName: TypeAlias = Literal["bytes", "unicode-14"]


@dataclass(frozen=True)
class WordsConfig:
    """The settings with which `rnnx.text.word_encoder` turns each word of a sentence into a row of ids.

    Attributes:
        features: The features that are looked up in addition to the word, such as `SUFFIX3`, `PREFIX1` and `SHAPE`, in
            the order of their columns.
        max_length: The largest number of words in a row. Longer sentences are split into pieces.
        rule: The rule that splits a text into words and gives their features, from `rnnx.text.word_rules`. It is
            `bytes` in files that do not name one.
        joins_hyphens: Whether a word of a text goes on after a hyphen; only `unicode-14` can read it.
        tag_column: The column that the tags were read from: `upos`, `xpos`, `feats.Case` or another one of CoNLL-U, or
            the number of a column, from 1, of another file.
    """

    features: tuple[str, ...]
    max_length: int
    rule: WordRuleName = field(default="bytes", metadata=OMIT_DEFAULT)
    joins_hyphens: bool = field(default=False, metadata=OMIT_DEFAULT)
    tag_column: str = field(default="upos", metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        if not self.tag_column.isprintable() or not 1 <= len(self.tag_column) <= 100:
            raise ValueError(f"words.tag_column should name a column, not {self.tag_column!r:.60}")
        if not 1 <= self.max_length <= 1_000_000:
            raise ValueError(f"words.max_length should be in 1..1000000, not {self.max_length}")
        if self.joins_hyphens and self.rule == "bytes":
            raise ValueError("words.joins_hyphens is not supported by the rule bytes, only by unicode-14")
        if not self.features or len(set(self.features)) != len(self.features):
            raise ValueError(f"words.features should be one or more different names, not {list(self.features)}")
        if unknown := [name for name in self.features if not re.fullmatch(FEATURE_SLOT, name)]:
            raise ValueError(f"words.features should be SUFFIX1..9, PREFIX1..9 or SHAPE, not {unknown[0]!r:.40}")


# Why a training ended: all epochs were run, the validation figure no longer improved, or Ctrl-C was pressed.
Ending = Literal["whole", "stopped early", "interrupted"]


@dataclass(frozen=True)
class TrainingConfig:
    """How a model was trained, in enough detail to train it again.

    Attributes:
        recipe: The name of the recipe.
        dataset: The data set as it was named on the command line; for a path, its last part.
        train_count: The number of training examples: texts, sentences, or sequences of numbers.
        validation_count: The number of examples on which the best epoch was chosen.
        seed: The seed of the split, the initial weights and the order of the batches.
        epochs: The number of epochs that were run.
        best_epoch: The epoch whose weights were kept, counted from 1.
        best_validation_accuracy: The accuracy of that epoch, in 0..1; None if the model predicts values or several
            labels.
        best_validation_r2: The coefficient of determination of that epoch, at most 1; None if the model predicts
            labels.
        ending: Why the training ended.
        best_validation_f1: The micro F1 of that epoch at the best common threshold, in 0..1; None unless the model
            predicts several labels.
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
    best_validation_f1: float | None = field(default=None, metadata=OMIT_DEFAULT)


@dataclass(frozen=True)
class InputConfig:
    """An input of the ONNX files.

    Attributes:
        name: The name of the input.
        kind: `ids` for int32 ids, `numbers` for float32 numbers, `mask` for a bool mask, true where a position counts.
        shape: The shape without the batch axis; None for the time axis if its length is variable.
        size: The number of different ids, which are in `0..size - 1`; 0 for numbers and masks.
        least_time: The fewest positions of a variable time; more than 1 for a network with windows, such as those of a
            Conv1D with padding="valid", or with slices such as `x[:, 1:]`.
    """

    name: str
    kind: Literal["ids", "numbers", "mask"]
    shape: tuple[int | None, ...]
    size: int
    least_time: int = field(default=1, metadata=OMIT_DEFAULT)

    @property
    def dtype(self) -> Literal["int32", "float32", "bool"]:
        """The NumPy dtype of the input."""
        match self.kind:
            case "ids":
                return "int32"
            case "numbers":
                return "float32"
            case "mask":
                return "bool"
        assert_never(self.kind)


@dataclass(frozen=True)
class OutputConfig:
    """An output of the ONNX files: its name, and its shape without the batch axis, None for a variable time."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class ArraysConfig:
    """The settings of a model that reads arrays of numbers, or ids without a vocabulary, as they are.

    Attributes:
        inputs: The inputs of the ONNX files; empty before the export.
    """

    inputs: tuple[InputConfig, ...]


# How a model reads its input. Code that depends on the kind of model matches on this union, in one place per folder.
Reading: TypeAlias = TokenizerConfig | WordsConfig | ArraysConfig
# The three kinds of models, data sets and recipes: texts with a label each, sentences with a tag for each word, and
# sequences of numbers or ids. The name is also the noun for the examples of a data set ("2,000 texts").
ModelKind = Literal["texts", "sentences", "sequences"]

# Limits for an input or an output. The size, of an axis or a vocabulary, allows an embedding of a million words.
MAX_SIZE = 1 << 20
_MAX_NAME_CHARACTERS, _MAX_AXES = 1000, 8

TaskKind = Literal["classification", "multilabel", "tagging", "regression", "values"]


@dataclass(frozen=True)
class ModelConfig:
    """The description of a training run or an exported bundle.

    Attributes:
        name: A short name, such as `imdb`.
        labels: The names of the labels, in the order of the label ids; empty if the task has no labels.
        output_size: The number of probabilities per answer (per word for a tagger): one per label, or a single one if
            two labels share a sigmoid, which is the probability of the second label. Without labels, the number of
            values per answer.
        vocabulary_size: The number of different ids, which are in `0..vocabulary_size - 1`; 0 for a network that does
            not read ids.
        tokenizer: The settings of the tokenizer; None for a network that reads words or arrays.
        architecture: One line per layer.
        parameter_count: The number of weights of the network, trainable or not.
        training: How the model was trained; None if rnnx did not train it.
        tools: The version of each tool that made the files, by name.
        files: The sha256 (hex) of every other file of the directory, by name.
        opset: The ONNX opset of the ONNX files; None before the export.
        recurrent_units: The number of units of the widest Scan of model.batch.onnx, summed over the layers that share
            the Scan; 0 without a Scan, None before the export.
        collects_states: Whether every Scan of model.batch.onnx stores its states at each step, as averaging them needs.
        task: `classification` predicts a label for the whole input, `multilabel` any number of labels for it,
            `tagging` a label for each position, `regression` a number that the model was trained on. `values` are the
            outputs of a network whose meaning rnnx does not know.
        inputs: The inputs of the ONNX files; empty before the export.
        outputs: The outputs of the ONNX files; empty before the export.
        words: The settings of a network that tags words; None for any other network.
        thresholds: For the task `multilabel`, the probability from which each label is given, in the order of the
            label ids; empty for any other task.
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
    thresholds: tuple[float, ...] = field(default=(), metadata=OMIT_DEFAULT)
    format_version: int = FORMAT_VERSION

    @property
    def reading(self) -> Reading:
        """The settings with which the network reads its input."""
        return self.words or self.tokenizer or ArraysConfig(self.inputs)

    @property
    def kind(self) -> ModelKind:
        """The kind of the model."""
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
            raise ValueError(
                f"format_version {self.format_version} is not {FORMAT_VERSION}: another version of rnnx wrote this file"
            )
        if not re.fullmatch(r"\w[\w .-]{0,99}", self.name):
            raise ValueError(f"name should consist of letters, digits, spaces, dots and dashes, not {self.name!r:.60}")
        require_printable(self.labels)
        if self.task in ("classification", "multilabel", "tagging"):
            self._check_labels()
        elif self.labels:
            raise ValueError(f"labels {list(self.labels)} are not allowed for the task {self.task}")
        if self.thresholds and self.task != "multilabel":
            raise ValueError(f"thresholds are not allowed for the task {self.task}")
        if self.words and self.task != "tagging":
            raise ValueError(f"words are not allowed for the task {self.task}")
        if self.words and self.tokenizer:
            raise ValueError("words and tokenizer are both set; a network reads either words or texts")
        if self.vocabulary_size < (0 if self.kind == "sequences" else 4):
            raise ValueError(
                f"vocabulary_size should be at least 4 (three special ids and a word), not {self.vocabulary_size}"
            )

        self._check_ports()

    def _check_ports(self) -> None:
        ports: tuple[InputConfig | OutputConfig, ...] = (*self.inputs, *self.outputs)
        if len({port.name for port in self.inputs}) + len({port.name for port in self.outputs}) != len(ports):
            raise ValueError("two inputs or two outputs have the same name")
        if any(port.kind == "ids" and port.size < 1 for port in self.inputs):
            raise ValueError("the size of an input of ids should be at least 1")
        if not all(port.shape for port in self.inputs):
            raise ValueError("an input should have a time axis")
        for port in ports:
            if not port.name.isprintable() or not 1 <= len(port.name) <= _MAX_NAME_CHARACTERS:
                raise ValueError(
                    f"inputs and outputs should have printable names of 1 to {_MAX_NAME_CHARACTERS} characters, "
                    f"not {port.name!r:.60}"
                )
            if len(port.shape) > _MAX_AXES or any(not 1 <= size <= MAX_SIZE for size in port.shape if size is not None):
                raise ValueError(f"{port.name!r:.60} has an unsupported shape, {list(port.shape)!r:.60}")
        rank = {"classification": 1, "multilabel": 1, "tagging": 2}.get(self.task)
        if self.outputs and rank:
            shapes = [port.shape for port in self.outputs]
            if len(shapes) != 1 or len(shapes[0]) != rank or shapes[0][-1] != self.output_size:
                raise ValueError(f"outputs with the shapes {shapes!r:.60} do not fit {len(self.labels)} labels")

    def _check_labels(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels should be two or more different names, not {list(self.labels)}")
        if self.output_size not in (1, len(self.labels)) or (self.output_size == 1 and len(self.labels) != 2):
            raise ValueError(f"output_size {self.output_size} does not fit {len(self.labels)} labels")
        if self.task == "multilabel":
            self._check_thresholds()

    def _check_thresholds(self) -> None:
        if self.output_size != len(self.labels) or len(self.thresholds) != len(self.labels):
            raise ValueError(
                f"the task multilabel needs an output and a threshold for each of {len(self.labels)} labels, not "
                f"{self.output_size} outputs and {len(self.thresholds)} thresholds"
            )
        if strange := [threshold for threshold in self.thresholds if not 0 < threshold < 1]:
            raise ValueError(f"thresholds should be above 0 and below 1, not {strange[0]}")
