"""The networks to measure, in every form that a system may need, and the ids that they read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf2onnx
from keras import layers

from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.export.convert import OPSET
from rnnx.export.source import open_source
from rnnx.keras_models.read_network import read_network
from rnnx.reference import Dense, Embedding, Network, SimpleRNN
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import Ids, Tokenizer

VOCABULARY_SIZE, FEATURES = 10_000, 32
# The forms that read ids. The text form reads bytes and tokenizes too, so it cannot be compared with these.
FORM_NAMES = ("model.onnx", "model.batch.onnx")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PlainWeights:
    """The weights of an Embedding, a SimpleRNN that returns its last state, and a Dense layer with a sigmoid.

    The systems that are written by hand (JAX, PyTorch, NumPy) compute with these.

    Attributes:
        table: The embedding, `(vocabulary, features)`.
        folded: `table @ kernel + bias`, `(vocabulary, units)`, computed in float64 and rounded once.
        kernel: `(features, units)`.
        recurrent_kernel: `(units, units)`.
        bias: `(units,)`.
        dense_kernel: `(units, outputs)`.
        dense_bias: `(outputs,)`.
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
        name: The network's name in headings and file names.
        model: The Keras model.
        network: The reference in float64.
        forms: The content of rnnx's own forms, by file name.
        plain: The weights for the systems that are written by hand; None if these cannot express the network.
        vocabulary_size: Ids run from 0 to `vocabulary_size - 1`.
        tokenizer: Says on which side rows are padded; None for random weights.
        rows: The ids of real texts, from which batches are drawn. Without them, ids are drawn from the whole
            vocabulary, the rare words as often as the common ones.
    """

    name: str
    model: keras.Model
    network: Network
    forms: Mapping[str, bytes]
    plain: PlainWeights | None
    vocabulary_size: int
    tokenizer: TokenizerConfig | None = None
    rows: Sequence[Ids] = ()

    def default_graph(self) -> bytes:
        """Converts the model with tf2onnx alone, without rnnx. A recurrence becomes a Loop in the graph.

        tf2onnx's `from_keras` fails on a Keras 3 Sequential (tf2onnx #2319).
        """
        signature = [tf.TensorSpec((None, None), tf.int32, name="ids")]
        with tf.device("/CPU:0"):
            function = tf.function(lambda ids: self.model(ids, training=False), input_signature=signature)
            proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
        graph: bytes = proto.SerializeToString()
        return graph

    def ids(self, batch: int, time: int, rng: np.random.Generator) -> Ids:
        """Draws a batch of ids, `(batch, time)`.

        The rows of a bundle have random lengths and are padded as the bundle pads them; the first row is `time` long.
        """
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
        """Draws real texts, the first one of at least `time` ids, and truncates or pads each of them to `time`."""
        long = [row for row in self.rows if len(row) >= time]
        if not long:
            raise SystemExit(f"--texts: no text in the file has {time} ids")
        chosen = [long[rng.integers(len(long))]]
        chosen += [self.rows[index] for index in rng.integers(len(self.rows), size=batch - 1)]
        drawn = np.zeros((batch, time), np.int32)
        for row, ids in zip(drawn, chosen, strict=True):
            kept = ids[-time:] if tokenizer.truncation_side == "left" else ids[:time]
            row[slice(time - len(kept), None) if tokenizer.padding_side == "left" else slice(len(kept))] = kept
        return drawn


def limit_tensorflow(threads: int) -> None:
    """Sets TensorFlow's number of threads, which is possible only before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def random_subject(units: int, seed: int) -> Subject:
    """Builds the article's network with a recurrence of any size and the weights that Keras draws."""
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
    """Makes a subject of any Keras model that reads ids below `VOCABULARY_SIZE`."""
    from rnnx.export.forms import build_forms

    network = read_network(model)
    forms = build_forms(model, network)
    return Subject(
        name=name,
        model=model,
        network=network,
        forms={form: forms[form].model.SerializeToString() for form in FORM_NAMES if form in forms},
        plain=_plain_weights(network),
        vocabulary_size=VOCABULARY_SIZE,
    )


def bundle_subject(name: str, texts: Path | None = None) -> Subject:
    """Makes a subject of a bundle: its Keras model, and its `.onnx` files as they are.

    Args:
        name: The name of a shipped model, or a bundle's path.
        texts: A file with one text per line, from which rows are drawn.

    Raises:
        rnnx.errors.ModelError: If there is no such bundle, or it is broken, altered or without a tokenizer.
    """
    source = open_source(name)
    directory = read_directory(find_directory(name))
    rows: list[Ids] = []
    if texts is not None:
        tokenizer = read_id_encoder(directory)
        assert isinstance(tokenizer, Tokenizer)  # noqa: S101  # a bundle without a tokenizer reads no texts
        rows = [tokenizer.encode(line).ids for line in texts.read_bytes().splitlines()]
    return Subject(
        name=directory.config.name,
        model=source.model,
        network=source.network,
        forms={form: directory.files[form] for form in FORM_NAMES if form in directory.files},
        plain=_plain_weights(source.network),
        vocabulary_size=source.config.vocabulary_size,
        tokenizer=source.config.tokenizer,
        rows=rows,
    )


def fresh_subject(name: str) -> Subject:
    """Makes a subject of a bundle's network, with the forms that would be exported now.

    Raises:
        rnnx.errors.ModelError: As for `bundle_subject`.
    """
    from rnnx.export.forms import build_forms

    subject = bundle_subject(name)
    forms = build_forms(subject.model, subject.network)
    fresh = {form: forms[form].model.SerializeToString() for form in FORM_NAMES if form in forms}
    return dataclasses.replace(subject, forms=fresh)


def _plain_weights(network: Network) -> PlainWeights | None:
    """Returns the weights if the network is an Embedding, a SimpleRNN and a Dense with a sigmoid; otherwise None."""
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
