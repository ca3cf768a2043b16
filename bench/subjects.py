"""What is measured: a network in all the shapes in which a system may want it, and the ids that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import find_directory, read_directory
from rnnx.export.convert import convert
from rnnx.export.source import open_source
from rnnx.keras_models.read_network import read_network
from rnnx.reference import Dense, Embedding, Network, SimpleRNN
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import Ids, Tokenizer

VOCABULARY_SIZE, FEATURES = 10_000, 32
# Those that read ids; the text form reads bytes and tokenizes too, so it is no peer of these.
FORM_NAMES = ("model.onnx", "model.batch.onnx")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PlainWeights:
    """The weights of an Embedding, a SimpleRNN's last state and a sigmoid, for the systems written by hand.

    Attributes:
        table: (vocabulary, features).
        folded: (vocabulary, units): table @ kernel + bias, folded in float64 and rounded once.
        kernel: (features, units).
        recurrent_kernel: (units, units).
        bias: (units,).
        dense_kernel: (units, outputs).
        dense_bias: (outputs,).
    """

    table: Floats
    folded: Floats
    kernel: Floats
    recurrent_kernel: Floats
    bias: Floats
    dense_kernel: Floats
    dense_bias: Floats


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to measure.

    Attributes:
        name: For headings and file names.
        model: In Keras.
        network: Its reference in float64.
        forms: File name to content of rnnx's own forms.
        default_graph: What tf2onnx makes of the model.
        plain: None if the network is more than the systems written by hand can do.
        vocabulary_size: Ids run from 0 to one below it.
        tokenizer: None for random weights; else says where its rows are padded.
        rows: The ids of real texts, to draw from; without them, ids are drawn from the whole vocabulary, the rare words
            as often as the common ones.
    """

    name: str
    model: keras.Model
    network: Network
    forms: Mapping[str, bytes]
    default_graph: bytes
    plain: PlainWeights | None
    vocabulary_size: int
    tokenizer: TokenizerConfig | None = None
    rows: Sequence[Ids] = ()

    def ids(self, batch: int, time: int, rng: np.random.Generator) -> Ids:
        """Draws a batch; a bundle's rows have random lengths, the first one `time`, and are padded as it pads."""
        if self.tokenizer is not None and self.rows:
            return self._draw(self.tokenizer, batch, time, rng)
        rows = rng.integers(1, self.vocabulary_size, (batch, time), dtype=np.int32)
        if self.tokenizer is None:
            return rows
        lengths = rng.integers(1, time + 1, (batch, 1))
        lengths[0] = time
        positions = np.arange(time)
        if self.tokenizer.padding_side == "left":
            positions = positions[::-1]
        return np.where(positions < lengths, rows, np.int32(0))

    def _draw(self, tokenizer: TokenizerConfig, batch: int, time: int, rng: np.random.Generator) -> Ids:
        """Draws real texts, the first one of at least `time` ids; all cut to that, and padded."""
        long = [row for row in self.rows if len(row) >= time]
        if not long:
            raise SystemExit(f"--texts: no text of {time} ids in it")
        chosen = [long[rng.integers(len(long))], *(self.rows[i] for i in rng.integers(len(self.rows), size=batch - 1))]
        drawn = np.zeros((batch, time), np.int32)
        for row, ids in zip(drawn, chosen, strict=True):
            kept = ids[-time:] if tokenizer.truncation_side == "left" else ids[:time]
            row[slice(time - len(kept), None) if tokenizer.padding_side == "left" else slice(len(kept))] = kept
        return drawn


def limit_tensorflow(threads: int) -> None:
    """Sets TensorFlow's threads, which is possible only before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def random_subject(units: int, seed: int) -> Subject:
    """The article's network with a recurrence of any size, its weights as Keras draws them."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="ids"),
            layers.Embedding(VOCABULARY_SIZE, FEATURES),
            layers.SimpleRNN(units),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model_subject(f"H{units}", model)


def model_subject(name: str, model: keras.Model) -> Subject:
    """Any network that reads ids below `VOCABULARY_SIZE`."""
    from rnnx.export.forms import build_forms

    network = read_network(model)
    forms = build_forms(model, network)
    return Subject(
        name=name,
        model=model,
        network=network,
        forms={name: forms[name].model.SerializeToString() for name in FORM_NAMES if name in forms},
        default_graph=convert(model, network).SerializeToString(),
        plain=_plain_weights(network),
        vocabulary_size=VOCABULARY_SIZE,
    )


def bundle_subject(name: str, texts: Path | None = None) -> Subject:
    """A bundle, by the name of a shipped one or by path: its files as they lie there, beside its Keras model.

    Args:
        name: The name or path.
        texts: A file of texts to draw rows from, one a line.

    Raises:
        rnnx.errors.ModelError: If there is none, or it is broken, altered or without a tokenizer.
    """
    source = open_source(name)
    directory = read_directory(find_directory(name))
    rows: list[Ids] = []
    if texts is not None:
        tokenizer = read_id_encoder(directory)
        assert isinstance(tokenizer, Tokenizer)  # noqa: S101  # a bundle without one reads no texts
        rows = [tokenizer.encode(line).ids for line in texts.read_bytes().splitlines()]
    return Subject(
        name=directory.config.name,
        model=source.model,
        network=source.network,
        forms={name: directory.files[name] for name in FORM_NAMES if name in directory.files},
        default_graph=convert(source.model, source.network).SerializeToString(),
        plain=_plain_weights(source.network),
        vocabulary_size=source.config.vocabulary_size,
        tokenizer=source.config.tokenizer,
        rows=rows,
    )


def fresh_subject(name: str) -> Subject:
    """A bundle's network with the forms that would be exported now.

    Raises:
        rnnx.errors.ModelError: As for `bundle_subject`.
    """
    from rnnx.export.forms import build_forms

    subject = bundle_subject(name)
    forms = build_forms(subject.model, subject.network)
    fresh = {name: forms[name].model.SerializeToString() for name in FORM_NAMES if name in forms}
    return dataclasses.replace(subject, forms=fresh)


def _plain_weights(network: Network) -> PlainWeights | None:
    kinds = [node.layer for node in network.nodes]
    match kinds:
        case [Embedding(mask_zero=False) as embedding, SimpleRNN() as rnn, Dense(activation="sigmoid") as dense]:
            if rnn.activation != "tanh" or rnn.return_sequences or rnn.go_backwards:
                return None
        case _:
            return None
    return PlainWeights(
        table=embedding.table.astype(np.float32),
        folded=(embedding.table @ rnn.kernel + rnn.bias).astype(np.float32),
        kernel=rnn.kernel.astype(np.float32),
        recurrent_kernel=rnn.recurrent_kernel.astype(np.float32),
        bias=rnn.bias.astype(np.float32),
        dense_kernel=dense.kernel.astype(np.float32),
        dense_bias=dense.bias.astype(np.float32),
    )
