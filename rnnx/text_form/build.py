"""Builds the text form of a model: one graph from raw bytes to one probability per label, or to a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.reference import INPUT_NAME, OUTPUT_NAME, Network
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.replace import Rewritten
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.text_form.lookup import LONGEST_WORD
from rnnx.text_form.storage import Storage, store
from rnnx.text_form.text_reader import TEXT_NAME, add_text_reader


@dataclass(frozen=True)
class TextForm:
    """A model that reads raw text.

    Attributes:
        rewritten: The graph. Its input is `text`, uint8 (batch, bytes), rows padded with zeros; its output is `probs`,
            float32 (batch, labels); of a model that gives a number, `values`, float32 (batch, 1).
        ids: The name of the value with the ids, int32 (batch, time).
        network: The function that the graph computes from the ids: the model's network with the stored embedding.
        storage: The type in which the embedding is stored.
        tokenizer: The tokenizer in the graph; its ids have to be the same.
        properties: Metadata of the file, by key. `ALPHABET_KEY` has the characters in which `rnnx.text.vocabulary` is
            written, if these are not bytes.
    """

    rewritten: Rewritten
    ids: str
    network: Network
    storage: Storage
    tokenizer: Tokenizer
    properties: Mapping[str, str] = field(default_factory=dict)


def can_read(vocabulary: Vocabulary) -> bool:
    """Whether a vocabulary fits into a graph. Whole words are compared there, so their length is limited."""
    return max(len(word) for word in vocabulary.tokens) <= LONGEST_WORD


def build_text_form(form: Rewritten, network: Network, tokenizer: Tokenizer, storage: Storage) -> TextForm:
    """Puts the tokenizer in front of a form, and makes two probabilities of one that two labels share.

    Args:
        form: A form from ids to probabilities, or to a number. It has no operator with lengths, so that other engines
            run it too.
        network: The function that the form computes.
        tokenizer: The model's tokenizer, with a vocabulary that `can_read` accepts.
        storage: The type in which the embedding is stored.

    Raises:
        ModelError: If the embedding cannot be stored in that type.
    """
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    graph = Graph(model.graph)
    ids, properties = add_text_reader(graph, tokenizer)
    graph.replace(INPUT_NAME, ids)
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(TEXT_NAME, TensorProto.UINT8, ["batch", "bytes"]))
    stored_network = store(graph, network, storage)
    _spell_out_labels(graph)
    graph.clean()
    extra = onnx.GraphProto()
    extra.CopyFrom(form.extra)
    Graph(extra).replace(INPUT_NAME, ids)
    rewritten = Rewritten(model, extra, form.states, cuts=form.cuts)
    return TextForm(rewritten, ids, stored_network, storage, tokenizer, properties)


def _spell_out_labels(graph: Graph) -> None:
    """Replaces the one probability of a sigmoid by two, for the first and for the second label."""
    output = graph.proto.output[0]
    labels = output.type.tensor_type.shape.dim[-1]
    if output.name != OUTPUT_NAME or labels.dim_value != 1:
        return
    labels.dim_value = 2
    second = f"{OUTPUT_NAME}_of_second"
    graph.rename(OUTPUT_NAME, second)
    first = graph.add("Sub", [graph.shared(1.0, np.float32), second], f"{OUTPUT_NAME}_of_first")
    graph.add("Concat", [first, second], OUTPUT_NAME, axis=-1)
