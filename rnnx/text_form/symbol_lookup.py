"""Looks up tokens of symbols in the vocabulary by ONNX operators, as `rnnx.text_form.lookup` does for words of bytes.

A perfect hash gives the only word that a token can be, and all symbols are compared with those of that word. The file
contains the symbols of all words and the length of each. The chunks for the comparison are computed from these
constants in the graph, which onnxruntime does once, when it loads the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.text.tokenizer import UNKNOWN_ID
from rnnx.text_form.alphabet import SpelledVocabulary
from rnnx.text_form.hashing import find_perfect_hash
from rnnx.text_form.lookup import LONGEST_WORD, add_candidate, add_table, add_verdict


class Tokens(NamedTuple):
    """The names of the values that say where the token of each cell is, (batch, time) int32 each.

    Attributes:
        start: The place of its first character.
        end: The place of the next token's first character.
        initial: The symbol of its first character.
    """

    start: str
    end: str
    initial: str


def add_symbol_lookup(
    graph: GraphBuilder, packed: str, tokens: Tokens, vocabulary: SpelledVocabulary, count: int
) -> str:
    """Adds the lookup of tokens.

    Args:
        graph: The graph, to which the nodes are added.
        packed: The value (characters,) int32, the chunk of the symbols that continue a token from each character on.
        tokens: The token of each cell.
        vocabulary: The words.
        count: The number of chunks per word, without its first symbol.

    Returns:
        The value (batch, time) int32, the ids.
    """
    alphabet, spelled = vocabulary
    ids = [word_id for word_id, symbols in enumerate(spelled) if symbols]
    if not ids:
        return graph.shared(UNKNOWN_ID)
    chunks = _add_chunks(graph, packed, tokens, alphabet.per_chunk, count)
    found = find_perfect_hash(alphabet.pack([spelled[word_id] for word_id in ids], count), 1)
    found = replace(found, slots=np.array([0, *ids])[found.slots])
    candidate = add_candidate(graph, chunks, found)
    return add_verdict(graph, chunks, candidate, _add_words(graph, vocabulary, count), count + 1)


def _add_chunks(graph: GraphBuilder, packed: str, tokens: Tokens, per_chunk: int, count: int) -> str:
    """Adds the first symbol and the chunks of each token, (batch, time, 1 + count), with zeros after its end."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    axis = graph.shared([2])
    start, end, initial = (
        add("Unsqueeze", [value, axis], f"{name}_of_chunks") for name, value in tokens._asdict().items()
    )
    offsets = graph.add_constant("rnnx.text.chunk_offsets", 1 + per_chunk * np.arange(count, dtype=np.int32))
    place = add("Add", [start, offsets], "place")
    raw = add("Gather", [packed, place], "raw_chunks", axis=0)
    rest = add("Where", [add("Less", [place, end], "is_inside"), raw, graph.shared(0)], "rest_chunks")
    return add("Concat", [initial, rest], "chunks", axis=2)


def _add_words(graph: GraphBuilder, vocabulary: SpelledVocabulary, count: int) -> str:
    """Adds the first symbol and the chunks of each word by its id, (vocabulary, 1 + count)."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.vocabulary_{suffix}", **attributes)

    alphabet, spelled = vocabulary
    # The first symbol is alone in its chunk, so that all chunks are packed in the same way.
    per_chunk = alphabet.per_chunk
    column = np.concatenate([np.zeros(per_chunk, np.int32), 1 + np.arange(count * per_chunk, dtype=np.int32)])
    is_empty = (column == 0) & (np.arange(len(column)) > 0)
    symbols = np.array([symbol for word in spelled for symbol in word] + [0] * len(column))
    table = add_table(graph, symbols, "rnnx.text.vocabulary", product="high_placed")  # "placed" is below
    lengths = add_table(graph, np.array([len(word) for word in spelled]), "rnnx.text.vocabulary_lengths")
    columns = graph.add_constant("rnnx.text.vocabulary_columns", column)
    axis, zero = graph.shared([1]), graph.shared(0)
    starts = add("CumSum", [lengths, zero], "starts", exclusive=1)
    place = add("Add", [add("Unsqueeze", [starts, axis], "first"), columns], "place")
    letters = add("Gather", [table, place], "letters", axis=0)
    # The symbols after the first count from 1, as in a text.
    less = np.where(column > 0, alphabet.last_alone, 0).astype(np.int32)
    numbers = add("Sub", [letters, graph.add_constant("rnnx.text.vocabulary_less", less)], "from_1")
    shortest = np.where(is_empty, LONGEST_WORD, column).astype(np.int32)  # a word that has this column is longer
    length = add("Unsqueeze", [lengths, axis], "length")
    is_inside = add("Less", [graph.add_constant("rnnx.text.vocabulary_shortest", shortest), length], "is_inside")
    words = add("Where", [is_inside, numbers, zero], "words")
    parts = add("Reshape", [words, graph.shared([-1, 1 + count, per_chunk])], "parts")
    places = graph.add_constant("rnnx.text.places", alphabet.base ** np.arange(per_chunk, dtype=np.int32))
    return add("ReduceSum", [add("Mul", [parts, places], "placed"), graph.shared([2])], "chunks", keepdims=0)
