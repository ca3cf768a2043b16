"""Writes the rules `unicode-14` and `unicode-14-marks` as ONNX operators that compute exactly the same ids from bytes.

The rows of a batch are joined end to end, with `END_BYTE` before the first and after each. The bytes become symbols
(`rnnx.text_form.character_nodes`), and those that are not needed are removed. A character and the one before it decide
whether it continues a token. All others except separators begin one; the end of a row counts as a token, by which the
words of each row are counted. Only the words that are kept are looked up (`rnnx.text_form.symbol_lookup`).
"""

from __future__ import annotations

import numpy as np

from rnnx.bundle.config import TokenizerConfig
from rnnx.onnx_file.graph_builder import TO_THE_END, GraphBuilder
from rnnx.onnx_file.messages import INT32
from rnnx.text_form.alphabet import END_OF_ROW, Alphabet, SpelledVocabulary
from rnnx.text_form.cells import add_cells
from rnnx.text_form.character_nodes import BREAK, END_BYTE, LATER_BYTE, add_symbols
from rnnx.text_form.symbol_lookup import Tokens, add_symbol_lookup

# A byte that has to be decoded, so that there is one in every text: tract 0.21 cannot reshape a tensor without rows.
_ANY_LEAD = 0xC3


def add_unicode_tokenizer(
    graph: GraphBuilder, text: str, vocabulary: SpelledVocabulary, config: TokenizerConfig
) -> str:
    """Adds the tokenizer.

    Args:
        graph: The graph, to which the nodes are added.
        text: The value (batch, bytes) uint8, rows padded with zeros.
        vocabulary: The words, of at most `rnnx.text_form.lookup.LONGEST_WORD` bytes each, in symbols.
        config: The settings of the tokenizer.

    Returns:
        The value (batch, time) int32, the ids.
    """
    alphabet = vocabulary.alphabet
    count = alphabet.chunk_count(max(map(len, vocabulary.words)))
    ahead = max(count * alphabet.per_chunk, len(BREAK))  # how many bytes after the last one may be read
    wide = _add_wide(graph, text, ahead)
    symbols = _add_present(graph, add_symbols(graph, wide, alphabet, strip_breaks=config.strip_breaks), alphabet)
    # `here` is without the zero in front, which only comes before the first character.
    here = _add_slice(graph, symbols, "here", 1, 0)
    continues = _add_continues(graph, _add_slice(graph, symbols, "before", 0, 1), here, alphabet)
    first = graph.add("Where", [continues, graph.shared(0), here], "rnnx.text.first_symbols")
    packed = _add_packed(graph, here, continues, alphabet)
    tokens, is_word, special = _add_layout(graph, first, config)
    words = add_symbol_lookup(graph, packed, tokens, vocabulary, count)
    return graph.add("Where", [is_word, words, special], "rnnx.text.ids")


def _add_wide(graph: GraphBuilder, text: str, ahead: int) -> str:
    """Adds the bytes of all rows with `END_BYTE` around each.

    A zero is in front, and before it `_ANY_LEAD`, which `_add_present` removes. `LATER_BYTE` follows `ahead` times.
    """
    numbers = graph.add("Cast", [text], "rnnx.text.numbers", to=INT32)
    one_after = graph.add_constant("rnnx.text.one_after", np.array([0, 0, 0, 1], np.int64))
    rows = graph.add("Pad", [numbers, one_after, graph.shared(END_BYTE)], "rnnx.text.rows")
    flat = graph.add("Reshape", [rows, graph.shared([-1])], "rnnx.text.flat")
    front = graph.add_constant("rnnx.text.front", np.array([_ANY_LEAD, 0, END_BYTE], np.int32))
    later = graph.add_constant("rnnx.text.later", np.full(ahead, LATER_BYTE, np.int32))
    return graph.add("Concat", [front, flat, later], "rnnx.text.wide", axis=0)


def _add_present(graph: GraphBuilder, by_byte: str, alphabet: Alphabet) -> str:
    """Adds the symbols without those of bytes that are not there, and without a separator after a separator.

    A row that is padded with many zeros costs little in this way.
    """
    before, here = _add_slice(graph, by_byte, "byte_before", 0, 1), _add_slice(graph, by_byte, "byte_here", 1, 0)
    both = graph.add("Add", [before, here], "rnnx.text.both_bytes")
    is_needed = graph.add("Greater", [both, graph.shared(0)], "rnnx.text.is_needed")
    is_there = graph.add("Less", [here, graph.shared(alphabet.gone)], "rnnx.text.is_there")
    is_present = graph.add("And", [is_needed, is_there], "rnnx.text.is_present")
    found = graph.add("NonZero", [is_present], "rnnx.text.found_present")
    present = graph.add("Reshape", [found, graph.shared([-1])], "rnnx.text.present")
    return graph.add("Gather", [here, present], "rnnx.text.symbols", axis=0)


def _add_continues(graph: GraphBuilder, before: str, here: str, alphabet: Alphabet) -> str:
    """Adds whether each character continues the token of the one before: WORD and WORD, or SINGLE or JOIN and JOIN."""

    def add(op_type: str, inputs: list[str], suffix: str) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}")

    last_alone, last_word = graph.shared(alphabet.last_alone), graph.shared(alphabet.last_word)
    least, largest = add("Min", [before, here], "least_of_two"), add("Max", [before, here], "largest_of_two")
    is_in_token = add("Greater", [least, last_alone], "are_in_tokens")
    is_word = add("Less", [largest, graph.shared(alphabet.last_word + 1)], "are_no_joins")
    continues_word = add("And", [is_in_token, is_word], "continues_word")
    is_after_single = add("Greater", [least, last_word], "are_no_words")
    is_join = add("Less", [here, graph.shared(alphabet.last_join + 1)], "is_no_single")
    continues_single = add("And", [is_after_single, is_join], "continues_single")
    return add("Or", [continues_word, continues_single], "continues")


def _add_packed(graph: GraphBuilder, here: str, continues: str, alphabet: Alphabet) -> str:
    """Adds, for each character, the chunk of the symbols from there to the end of the token, if it continues one.

    A chunk that begins at a character that continues no token is not used, except where it begins after the end.
    """

    def add(op_type: str, inputs: list[str], suffix: str) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}")

    zero, base = graph.shared(0), graph.shared(alphabet.base)
    less = add("Sub", [here, graph.shared(alphabet.last_alone)], "symbols_from_1")
    rest = packed = add("Where", [continues, less, zero], "continuing_symbols")
    for i in range(1, alphabet.per_chunk):
        if i > 1:
            # A token may begin without a separator before it; the symbols after its beginning are not of this token.
            going_on = _add_slice(graph, continues, f"continues_{i}", 0, i - 1)
            packed = add("Where", [going_on, packed, zero], f"packed_{i}_in_token")
        after = add("Mul", [_add_slice(graph, packed, f"after_{i}", 1, 0), base], f"after_{i}_placed")
        packed = add("Add", [_add_slice(graph, rest, f"from_{i}", 0, i), after], f"packed_{i}")
    return packed


def _add_slice(graph: GraphBuilder, values: str, name: str, start: int, cut: int) -> str:
    """Adds values[start : len - cut]."""
    return graph.slice(values, f"rnnx.text.{name}", {0: (start, -cut if cut else TO_THE_END)})


def _add_layout(graph: GraphBuilder, first: str, config: TokenizerConfig) -> tuple[Tokens, str, str]:
    """Adds the layout of the batch of ids: which token is in which cell.

    Args:
        graph: The graph, to which the nodes are added.
        first: The value (characters,), the symbol of each character that begins a token, else 0.
        config: The settings of the tokenizer.

    Returns:
        The token of each cell (arbitrary for a cell without one), whether the cell has one, and the id of a cell
        without one.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    found = add("Cast", [add("NonZero", [first], "found_int64")], "found", to=INT32)
    starts = add("Reshape", [found, graph.shared([-1])], "starts")
    initials = add("Gather", [first, starts], "initials", axis=0)
    # The places of the ends of rows in the list of all tokens; the first of them comes before the first row.
    is_end = add("Equal", [initials, graph.shared(END_OF_ROW)], "is_end")
    end_places = add("Cast", [add("NonZero", [is_end], "ends_int64")], "ends_row", to=INT32)
    all_ends = add("Reshape", [end_places, graph.shared([-1, 1])], "all_ends")
    ends = _add_slice(graph, all_ends, "ends", 1, 0)
    distances = add("Sub", [ends, _add_slice(graph, all_ends, "ends_before", 0, 1)], "ends_apart")
    counts = add("Sub", [distances, graph.shared(1)], "counts")
    cells = add_cells(graph, counts, config)
    first_place = add("Sub", [ends, cells.kept if config.truncation_side == "left" else counts], "first_place")
    index = add("Add", [first_place, cells.rank], "index")
    # Place 0 is that of an end. There are at least two of them if there is a row, so every cell has a next place.
    cell = add("Where", [cells.is_word, index, graph.shared(0)], "cell")
    next_cell = add("Add", [cell, graph.shared(1)], "next_cell")
    start, end, initial = (
        add("Gather", [values, place], name, axis=0)
        for values, place, name in ((starts, cell, "start"), (starts, next_cell, "end"), (initials, cell, "initial"))
    )
    return Tokens(start, end, initial), cells.is_word, cells.special
