"""What a bare `.keras` file does not say: what its ids and its outputs stand for, as a user names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnnx.bundle.config import TaskKind, TokenizerConfig
from rnnx.errors import ModelError, UsageError
from rnnx.reference import Network
from rnnx.reference.shapes import output_shapes
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary

DEFAULT_LENGTH = 400

TextSide = Literal["left", "right"]


@dataclass(frozen=True)
class Names:
    """What a user says of a `.keras` file.

    Attributes:
        vocabulary: One token a line, line N the token of id N - 1, the first three `<pad>`, `<start>`, `<unknown>`;
            None for a network that is not to read texts.
        labels: In the order of the outputs; None for numbers.
        max_length: The most ids of a text; 400 if None.
        padding_side: Where a text was padded when the network was trained.
        truncation_side: Which end of a long text was cut off then.
        start: Whether each text began with id 1 then.
        strip_breaks: Whether `<br />` was a space then.
    """

    vocabulary: bytes | None = None
    labels: tuple[str, ...] | None = None
    max_length: int | None = None
    padding_side: TextSide = "left"
    truncation_side: TextSide = "left"
    start: bool = True
    strip_breaks: bool = False


def read_task(network: Network) -> tuple[TaskKind, int]:
    """What the network's output is good for, and how many numbers it has at a place.

    One sigmoid, or a softmax, is a probability per label: for the whole input, or at each position. Everything else,
    several outputs among it, is values.
    """
    shapes = output_shapes(network)
    (end, shape), *others = [(network.ends[name], shape) for name, shape in shapes.items()]
    units = shape[-1] or 0
    is_probability = end.head_kind == ("sigmoid" if units == 1 else "softmax")
    if others or not is_probability or len(shape) > 2:
        return "values", units
    return ("classification" if len(shape) == 1 else "tagging"), units


def name_labels(task: TaskKind, units: int, names: Names) -> tuple[str, ...]:
    """The labels: as named, or numbers from 0.

    Raises:
        ModelError: If they are not as many as the outputs say, or the outputs are no probabilities.
    """
    if task not in ("classification", "tagging"):
        if names.labels is not None:
            raise ModelError("labels: the network gives values, not a probability for each label; leave --labels out")
        return ()
    count = max(units, 2)
    if names.labels is None:
        return tuple(str(i) for i in range(count))
    if strange := [label for label in names.labels if not label or not label.isprintable()]:
        raise ModelError(f"labels: {strange[0]!r:.60} is no printable name")
    if len(names.labels) != count or len(set(names.labels)) != count:
        outputs = "one sigmoid, so two labels" if units == 1 else f"{units} outputs"
        raise ModelError(f"labels: {', '.join(names.labels)} are {len(set(names.labels))}; the network has {outputs}")
    return names.labels


def read_tokenizer_of(network: Network, task: TaskKind, names: Names) -> Tokenizer | None:
    """The tokenizer that the named vocabulary makes; None without one.

    Raises:
        UsageError: If settings of a tokenizer are given without a vocabulary.
        ModelError: If the vocabulary is none, or does not fit the network, or that does not label whole texts.
    """
    if names.vocabulary is None:
        if names != Names(labels=names.labels):
            raise UsageError("how texts become ids is asked for, and no --vocabulary is given")
        return None
    vocabulary = Vocabulary.from_bytes(names.vocabulary.replace(b"\r\n", b"\n"))
    first, *others = network.inputs
    if others or first.kind != "ids" or first.shape != (None,):
        read = ", ".join(f"{one.name} {one.kind} {one.shape}" for one in network.inputs)
        raise ModelError(
            f"vocabulary: the network reads {read}; one that reads texts has a single input of ids of any length, "
            "keras.Input((None,)) and an Embedding"
        )
    if task != "classification":
        raise ModelError(
            "vocabulary: the network gives no probability per text; a Dense with one sigmoid, or with a "
            "softmax over several units, should come last"
        )
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise ModelError("vocabulary: there is no word in it")
    if len(vocabulary) > first.size:
        raise ModelError(f"vocabulary: {len(vocabulary)} tokens, the embedding has {first.size} rows")
    config = TokenizerConfig(
        max_length=names.max_length or DEFAULT_LENGTH,
        start=names.start,
        strip_breaks=names.strip_breaks,
        # A network without a mask learned its padding.
        pad_to="batch" if network.masks_zero else "max_length",
        padding_side=names.padding_side,
        truncation_side=names.truncation_side,
    )
    return Tokenizer(config, vocabulary)
