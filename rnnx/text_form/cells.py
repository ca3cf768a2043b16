"""Writes the layout of a batch of ids as ONNX operators: which word of a text is in which cell of its row.

Truncation, padding and the start id are here; both tokenizers in the graph use it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnx.bundle.config import TokenizerConfig
from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.onnx_file.messages import INT32
from rnnx.text.tokenizer import PAD_ID


class Cells(NamedTuple):
    """The names of the values that say what is in each cell of a batch of ids.

    Attributes:
        kept: (batch, 1) int32, the number of words that are kept of each row.
        rank: (batch, time) int32, the place of the cell's word among the kept words of its row.
        is_word: (batch, time) bool, whether the cell has a word.
        special: The id of a cell without a word, (batch, time) int32 or a scalar.
    """

    kept: str
    rank: str
    is_word: str
    special: str


def add_cells(graph: GraphBuilder, counts: str, config: TokenizerConfig) -> Cells:
    """Adds the layout of the batch of ids.

    Args:
        graph: The graph, to which the nodes are added.
        counts: The value (batch, 1) int32, the number of words of each row.
        config: The settings of the tokenizer.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    kept, length = _add_lengths(graph, counts, config)
    time = _add_time(graph, length, config)
    column = add("Range", [graph.shared(0), time, graph.shared(1)], "column")
    if config.padding_side == "left":
        rank = add("Add", [add("Sub", [column, time], "column_from_end"), kept], "rank")
    else:
        rank = add("Sub", [column, add("Sub", [length, kept], "first_column")], "rank")
    is_after_start = add("Greater", [rank, graph.shared(-1)], "is_behind_start")
    is_word = add("And", [is_after_start, add("Less", [rank, kept], "is_before_end")], "is_word")
    special = graph.shared(PAD_ID)
    if config.start:
        is_before = add("Cast", [add("Equal", [rank, graph.shared(-1)], "is_before_words")], "before_words", to=INT32)
        special = add("Mul", [is_before, add("Sub", [length, kept], "start_count")], "special")  # 1 is the start's id
    return Cells(kept, rank, is_word, special)


def _add_lengths(graph: GraphBuilder, counts: str, config: TokenizerConfig) -> tuple[str, str]:
    """Adds the number of words that are kept of each row, and the number of ids with the start's; (batch, 1) each."""
    most = graph.shared(config.max_length)
    if not config.start:
        kept = graph.add("Min", [counts, most], "rnnx.text.kept")
        return kept, kept
    # Truncation on the left removes the start before it removes a word.
    room = most if config.truncation_side == "left" else graph.shared(config.max_length - 1)
    kept = graph.add("Min", [counts, room], "rnnx.text.kept")
    with_start = graph.add("Add", [kept, graph.shared(1)], "rnnx.text.kept_and_start")
    return kept, graph.add("Min", [with_start, most], "rnnx.text.length")


def _add_time(graph: GraphBuilder, length: str, config: TokenizerConfig) -> str:
    """Adds the number of columns of the batch of ids, a scalar of at least 1."""
    if config.pad_to == "max_length":
        return graph.shared(config.max_length)
    lengths = graph.add("Reshape", [length, graph.shared([-1])], "rnnx.text.lengths")
    at_least_one = graph.add("Concat", [lengths, row(graph, 1)], "rnnx.text.lengths_and_1", axis=0)
    return graph.add("ReduceMax", [at_least_one], "rnnx.text.time", keepdims=0)


def row(graph: GraphBuilder, value: int) -> str:
    """Returns a vector of one int32, and adds it at its first use."""
    name = f"rnnx.text.row_of_{value}"
    return name if graph.constant(name) is not None else graph.add_constant(name, np.array([value], np.int32))
