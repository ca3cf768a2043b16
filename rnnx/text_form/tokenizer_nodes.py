"""Writes the tokenizer of `rnnx.text.tokenizer` as ONNX operators that compute exactly the same ids from bytes.

The rows of a batch are joined end to end, with one zero byte after each. A zero separates words as any separator does,
so padding with zeros changes nothing. A table lowers each byte and replaces separators by zeros; a word starts where a
byte that is no separator follows a separator. `<br />` is not replaced: it contains one word, `br`, which is skipped.
Only the words that are kept are looked up (`rnnx.text_form.lookup`).
"""

from __future__ import annotations

import numpy as np

from rnnx.bundle.config import TokenizerConfig
from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.onnx_file.messages import INT32
from rnnx.text.byte_rule import TO_WORDS
from rnnx.text.tokenizer import Vocabulary
from rnnx.text_form.cells import add_cells, row
from rnnx.text_form.hashing import CHUNK_BYTES, chunk_count
from rnnx.text_form.lookup import add_lookup

_BREAK = b"<br />"


def add_tokenizer(graph: GraphBuilder, text: str, vocabulary: Vocabulary, config: TokenizerConfig) -> str:
    """Adds the tokenizer.

    Args:
        graph: The graph, to which the nodes are added.
        text: The value (batch, bytes) uint8, rows padded with zeros.
        vocabulary: The words, of at most `rnnx.text_form.lookup.LONGEST_WORD` bytes each.
        config: The settings of the tokenizer: which words are kept, and on which side rows are padded.

    Returns:
        The value (batch, time) int32, the ids.
    """
    numbers = graph.add("Cast", [text], "rnnx.text.numbers", to=INT32)
    end = graph.add_constant("rnnx.text.one_behind", np.array([0, 0, 0, 1], np.int64))
    rows = graph.add("Pad", [numbers, end], "rnnx.text.rows")
    flat = graph.add("Reshape", [rows, graph.shared([-1])], "rnnx.text.flat")
    chunks = chunk_count(max(len(word) for word in vocabulary.tokens))
    ahead = chunks * CHUNK_BYTES + len(_BREAK)  # how many bytes after the last one a lookup may read
    zeros = graph.add_constant("rnnx.text.zeros", np.zeros(ahead, np.int32))
    wide = graph.add("Concat", [row(graph, 0), flat, zeros], "rnnx.text.wide", axis=0)
    table = TO_WORDS.replace(b" ", b"\0")
    letters_of_bytes = graph.add_constant("rnnx.text.letters_of_bytes", np.frombuffer(table, np.uint8).astype(np.int32))
    letters = graph.add("Gather", [letters_of_bytes, wide], "rnnx.text.letters", axis=0)
    is_start = _add_is_start(graph, wide, letters, ahead, strip_breaks=config.strip_breaks)
    start, is_word, special = _add_layout(graph, rows, is_start, config)
    # `letters` has a zero in front, so place i of the text is at i + 1 in it; `add_lookup` takes that into account.
    words = add_lookup(graph, _add_packed(graph, letters, "rnnx.text.packed"), start, vocabulary, chunks)
    return graph.add("Where", [is_word, words, special], "rnnx.text.ids")


def _add_is_start(graph: GraphBuilder, wide: str, letters: str, ahead: int, *, strip_breaks: bool) -> str:
    """Adds, for each byte of the flat text, whether a word starts there; bool."""
    zero = graph.shared(0)
    before = _add_slice(graph, letters, "rnnx.text.before", 0, ahead + 1)
    here = _add_slice(graph, letters, "rnnx.text.here", 1, ahead)
    is_parted = graph.add("Equal", [before, zero], "rnnx.text.is_parted")
    is_letter = graph.add("Greater", [here, zero], "rnnx.text.is_letter")
    is_start = graph.add("And", [is_parted, is_letter], "rnnx.text.is_start")
    if not strip_breaks:
        return is_start
    # `<br />` is compared in two halves of three bytes. Its `<` is the byte before the start of the word `br`.
    triples = _add_packed(graph, wide, "rnnx.text.triples")
    halves = []
    for name, offset, half in (("opening", 0, _BREAK[:3]), ("closing", 3, _BREAK[3:])):
        triple = _add_slice(graph, triples, f"rnnx.text.{name}", offset, ahead - 1 - offset)
        packed = graph.shared(int.from_bytes(half, "little"))
        halves.append(graph.add("Equal", [triple, packed], f"rnnx.text.is_{name}"))
    is_break = graph.add("And", halves, "rnnx.text.is_break")
    is_no_break = graph.add("Not", [is_break], "rnnx.text.is_no_break")
    return graph.add("And", [is_start, is_no_break], "rnnx.text.is_word_start")


def _add_packed(graph: GraphBuilder, values: str, name: str) -> str:
    """Adds each byte and the two after it as one number below 2^24; the result is two shorter than the values."""
    parts = []
    for i in range(CHUNK_BYTES):
        part = _add_slice(graph, values, f"{name}_{i}", i, CHUNK_BYTES - 1 - i)
        parts.append(graph.add("Mul", [part, graph.shared(256**i)], f"{name}_{i}_placed") if i else part)
    return graph.add("Add", [graph.add("Add", parts[:2], f"{name}_01"), parts[2]], name)


def _add_slice(graph: GraphBuilder, values: str, name: str, start: int, cut: int) -> str:
    """Adds values[start : len - cut]."""
    end = -cut if cut else 2**31 - 1  # the end; tract accepts no larger number
    return graph.add("Slice", [values, graph.shared([start]), graph.shared([end]), graph.shared([0])], name)


def _add_layout(graph: GraphBuilder, rows: str, is_start: str, config: TokenizerConfig) -> tuple[str, str, str]:
    """Adds the layout of the batch of ids: which word is in which cell.

    Returns:
        Three values (batch, time): the place where the cell's word starts in the flat text (arbitrary for a cell
        without a word), whether the cell has a word, and the id of a cell without one.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    by_row = add("Reshape", [is_start, add("Shape", [rows], "rows_shape")], "is_start_by_row")
    counts = add("ReduceSum", [add("Cast", [by_row], "starts", to=INT32), graph.shared([1])], "counts", keepdims=1)
    cells = add_cells(graph, counts, config)
    # The place of each row's first kept word in the list of all words, which has a dummy in front.
    ends = add("CumSum", [counts, graph.shared(0)], "ends")
    first = add("Sub", [ends, cells.kept if config.truncation_side == "left" else counts], "first")
    index = add("Add", [add("Add", [first, cells.rank], "index"), graph.shared(1)], "index_behind_dummy")
    found = add("Cast", [add("NonZero", [is_start], "found_int64")], "found", to=INT32)
    starts = add("Concat", [row(graph, 0), add("Reshape", [found, graph.shared([-1])], "found_row")], "list", axis=0)
    cell = add("Where", [cells.is_word, index, graph.shared(0)], "cell")
    return add("Gather", [starts, cell], "start", axis=0), cells.is_word, cells.special
