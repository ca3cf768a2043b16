"""Adds the tokenizer of a model to a graph, by the rule that its config names.

Everything that it adds follows from the config and the vocabulary. So `rnnx verify` can build it again, without the
onnx package, and compare it with the nodes in a file.
"""

from __future__ import annotations

from typing import assert_never

from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text_form.alphabet import spell_vocabulary
from rnnx.text_form.tokenizer_nodes import add_tokenizer
from rnnx.text_form.unicode_nodes import add_unicode_tokenizer

TEXT_NAME = "text"
ALPHABET_KEY = "rnnx.alphabet"


def add_text_reader(graph: GraphBuilder, tokenizer: Tokenizer) -> tuple[str, dict[str, str]]:
    """Adds the tokenizer, which reads the value `TEXT_NAME`: uint8 (batch, bytes), rows padded with zeros.

    Args:
        graph: The graph, to which the nodes are added.
        tokenizer: The tokenizer.

    Returns:
        The value (batch, time) int32 with the ids, and the metadata of the file: `ALPHABET_KEY` has the characters in
        which `rnnx.text.vocabulary` is written, if these are not bytes.
    """
    config, vocabulary = tokenizer.config, tokenizer.vocabulary
    match config.rule:
        case "bytes":
            return add_tokenizer(graph, TEXT_NAME, vocabulary, config), {}
        case "unicode-14" | "unicode-14-marks":
            spelled = spell_vocabulary(vocabulary, config)
            return add_unicode_tokenizer(graph, TEXT_NAME, spelled, config), {ALPHABET_KEY: spelled.alphabet.letters}
        case _:
            assert_never(config.rule)
