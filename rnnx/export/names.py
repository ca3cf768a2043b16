"""The names that a bare `.keras` file lacks, as a user gives them: the tokens of its ids and the labels of its outputs.

Standard library only, apart from the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnx.bundle.config import TaskKind, TextRuleName, TokenizerConfig, describe_bad_label
from rnnx.errors import ModelError, UsageError
from rnnx.reference import Network
from rnnx.reference.shapes import least_time, output_shapes
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, Tokenizer, Vocabulary

DEFAULT_LENGTH = 400
_ALSO_UNKNOWN = (b"<unk>", b"[UNK]")  # how others call the token `<unknown>`
_MARKS = frozenset({b"!", b"?"})  # words of the rule unicode-14, if a vocabulary has them

TextSide = Literal["left", "right"]


@dataclass(frozen=True)
class Names:
    """The names and text settings that a user gives for a `.keras` file.

    Attributes:
        vocabulary: One token per line: line N has the token of id N - 1, and the first three lines are `<pad>`,
            `<start>` and `<unknown>`, `<unk>` or `[UNK]`. None for a network that does not read texts.
        labels: The labels in the order of the outputs; None to number them.
        max_length: The largest number of ids of a text; 400 if None.
        padding_side: The side on which texts were padded in training.
        truncation_side: The side on which long texts were cut in training.
        start: Whether each text began with id 1 in training.
        strip_breaks: Whether `<br />` was replaced by a space in training.
        rule: The rule that finds the words of a text; None for `bytes`.
    """

    vocabulary: bytes | None = None
    labels: tuple[str, ...] | None = None
    max_length: int | None = None
    padding_side: TextSide = "left"
    truncation_side: TextSide = "left"
    start: bool = True
    strip_breaks: bool = False
    rule: TextRuleName | None = None


def read_task(network: Network) -> tuple[TaskKind, int]:
    """Derives the task of a network from its outputs.

    A single output that ends in one sigmoid unit or in a softmax is a probability for each label: of the whole input
    ("classification") or at each position ("tagging"). All other outputs, and several outputs, are "values".

    Returns:
        The task, and the size of the last axis of the first output.
    """
    shapes = output_shapes(network)
    (end, shape), *others = [(network.ends[name], shape) for name, shape in shapes.items()]
    units = shape[-1] or 0
    is_probability = end.head_kind == ("sigmoid" if units == 1 else "softmax")
    if others or not is_probability or len(shape) > 2:
        return "values", units
    return ("classification" if len(shape) == 1 else "tagging"), units


def gives_label_sets(network: Network) -> bool:
    """Whether the one output of a network is a sigmoid for each label of the whole input, more than one."""
    shapes = list(output_shapes(network).values())
    (end, *_) = network.ends.values()
    return len(shapes) == 1 and len(shapes[0]) == 1 and (shapes[0][0] or 0) > 1 and end.head_kind == "sigmoid"


def name_labels(task: TaskKind, units: int, names: Names) -> tuple[str, ...]:
    """Returns the labels that the user named, or numbers from 0 if there are none.

    Raises:
        ModelError: If the number of labels does not match the outputs, a label cannot be printed, or the outputs are
            not probabilities.
    """
    if task not in ("classification", "tagging"):
        if names.labels is not None:
            raise ModelError("labels: the network gives values, not a probability for each label; leave --labels out")
        return ()
    count = max(units, 2)
    if names.labels is None:
        return tuple(str(i) for i in range(count))
    if unprintable := [label for label in names.labels if not label or not label.isprintable()]:
        raise ModelError(f"labels: {unprintable[0]!r:.60} is empty or cannot be printed")
    if what := describe_bad_label(names.labels):
        raise ModelError(f"labels: {what}")
    if len(names.labels) != count or len(set(names.labels)) != count:
        outputs = "one sigmoid, so two labels" if units == 1 else f"{units} outputs"
        different = len(set(names.labels))
        raise ModelError(
            f"labels: {', '.join(names.labels)} are {different} different labels; the network has {outputs}"
        )
    return names.labels


def read_tokenizer_of(network: Network, task: TaskKind, names: Names) -> Tokenizer | None:
    """Makes the tokenizer of the user's vocabulary; None without a vocabulary.

    Raises:
        UsageError: If text settings are given without a vocabulary.
        ModelError: If the vocabulary is invalid or has no words, does not fit the network, or the network does not read
            one text and give a probability for each label of it.
    """
    if names.vocabulary is None:
        if names != Names(labels=names.labels):
            raise UsageError("options for texts were given without a vocabulary; add --vocabulary FILE")
        return None
    config = _tokenizer_config(network, names)
    vocabulary = Vocabulary.from_bytes(_with_our_names(names.vocabulary), find_rule(config))
    first, *others = network.inputs
    if others or first.kind != "ids" or first.shape != (None,):
        read = ", ".join(f"{port.name} {port.kind} {port.shape}" for port in network.inputs)
        raise ModelError(
            f"vocabulary: the network reads {read}; a network that reads texts has a single input of ids of any "
            "length, keras.Input((None,)), and an Embedding"
        )
    if task != "classification":
        raise ModelError(
            "vocabulary: the network gives no probability for each label of a text; its last layer should be a Dense "
            "with one sigmoid unit, or with a softmax over several units"
        )
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise ModelError("vocabulary: it has no words, only the three special tokens")
    if len(vocabulary) > first.size:
        raise ModelError(f"vocabulary: it has {len(vocabulary)} tokens, but the embedding has {first.size} rows")
    least = least_time(network)
    if config.max_length < least:
        raise ModelError(
            f"max-length: the network needs at least {least} ids; texts of {config.max_length} are too short for it"
        )
    return Tokenizer(config, vocabulary)


def _with_our_names(data: bytes) -> bytes:
    """Returns a user's vocabulary with the line ends and the name of the unknown token that a bundle has."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    if len(lines) > UNKNOWN_ID and lines[UNKNOWN_ID] in _ALSO_UNKNOWN:
        lines[UNKNOWN_ID] = SPECIAL_TOKENS[UNKNOWN_ID]
    return b"\n".join(lines)


def _tokenizer_config(network: Network, names: Names) -> TokenizerConfig:
    rule, lines = names.rule or "bytes", (names.vocabulary or b"").splitlines()
    return TokenizerConfig(
        max_length=names.max_length or DEFAULT_LENGTH,
        start=names.start,
        strip_breaks=names.strip_breaks,
        # A network without a mask was trained on the padding as on words, so its texts must be padded as in training.
        pad_to="batch" if network.masks_zero else "max_length",
        padding_side=names.padding_side,
        truncation_side=names.truncation_side,
        rule=rule,
        marks=rule == "unicode-14" and not _MARKS.isdisjoint(lines),
    )
