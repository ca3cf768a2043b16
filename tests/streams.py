"""Builds networks that can be streamed, and helps tests to stream them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import read_directory
from rnnx.infer.stream import Stream, open_stream
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.reference import Network
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary

if TYPE_CHECKING:
    from rnnx.train.recipes import TextRecipe

NAME = "model.stream.onnx"


def open_path(path: Path) -> Stream:
    """Opens a stream of a bundle."""
    return open_stream(read_directory(path), device="cpu")


def reference_of(path: Path) -> Network:
    """Reads the reference from the streaming file alone."""
    model = parse_model((path / NAME).read_bytes())
    return read_reference(read_evidence(read_properties(model), model), model)


def pieces_of(whole: Any, size: int) -> Iterator[Any]:
    """Yields a sequence in pieces of the given size; the last piece may be shorter."""
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def make_tokenizer() -> Tokenizer:
    """Makes a tokenizer for every script, with the twelve ids of the network `ids`."""
    words = ["電", "影", "film", "好", "ด", "é", "w5", "!", "s"]
    config = TokenizerConfig(1000, True, True, "batch", "left", "left", rule="unicode-14", marks=True)
    return Tokenizer(config, Vocabulary((*SPECIAL_TOKENS, *(word.encode() for word in words)), find_rule(config)))


def forward_recipe() -> TextRecipe:
    """Returns a recipe for a classifier that reads forward and masks its padding; short texts, few epochs."""
    from keras import Input, Sequential, layers

    from tests.texts import tiny_recipe

    def build(vocabulary_size: int, outputs: int, activation: str) -> Any:
        return Sequential(
            [
                Input((None,), dtype="int32", name="ids"),
                layers.Embedding(vocabulary_size, 8, mask_zero=True),
                layers.SimpleRNN(8),
                layers.Dense(outputs, activation=activation),
            ]
        )

    recipe = tiny_recipe("article")
    tokenizer = dataclasses.replace(recipe.tokenizer, pad_to="batch")
    return dataclasses.replace(recipe, name="forward", tokenizer=tokenizer, build=build)


def bare_networks() -> dict[str, Any]:
    """Builds a tagger of ids, a network that puts out all states of a layer, and a regression with two gated cells."""
    from keras import Input, Sequential, layers

    ids = Input((None,), dtype="int32", name="ids")
    networks = {
        "ids": Sequential(
            [
                ids,
                layers.Embedding(12, 5, mask_zero=True),
                layers.SimpleRNN(4, return_sequences=True),
                layers.Dense(3, "softmax"),
            ]
        ),
        "states": Sequential(
            [ids, layers.Embedding(50, 8, mask_zero=True), layers.SimpleRNN(8, return_sequences=True, name="rnn")]
        ),
        "sensor": Sequential(
            [
                Input((None, 3), name="x"),
                layers.LSTM(4, return_sequences=True, name="memory"),
                layers.GRU(4, name="upper"),
                layers.Dense(2),
            ]
        ),
    }
    rng = np.random.default_rng(2)
    for model in networks.values():
        model.set_weights([0.7 * rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    # With this kernel the state forgets: an error in it shrinks with every step.
    cell = networks["states"].get_layer("rnn").cell
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    cell.recurrent_kernel.assign(0.9 * rotation)
    return networks
