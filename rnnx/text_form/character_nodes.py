"""Decodes bytes into symbols by ONNX operators, as the rules `unicode-14` and `unicode-14-marks` read them.

A table gives the symbol of each ASCII byte, which is all that most bytes need. The others are decoded one by one: the
bytes that begin a sequence of UTF-8, and each `<` if `<br />` is to be replaced. Of each, the bytes that follow are
read with it. Their classes say how many of them are one character, and the symbol of the character is written back to
the text. Bytes that are not UTF-8 have the symbol of the character of their own number.
"""

from __future__ import annotations

import numpy as np

from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.text.unicode_table import CHARACTER_COUNT
from rnnx.text_form.alphabet import END_OF_ROW, Alphabet
from rnnx.text_form.hashing import Ints
from rnnx.text_form.lookup import add_table

# What is where a byte would be: the end of a row, and what follows the last row.
END_BYTE, LATER_BYTE = 256, 257
_BYTE_COUNT = 258
BREAK = b"<br />"
_BLOCK = 32  # characters per block of the table; 16 or 64 make the files larger

# How a character is written: its own byte, two to four bytes, or a line break, which counts as U+0000.
_SINGLE_BYTE, _TWO_BYTES, _THREE_BYTES, _FOUR_BYTES, _LINE_BREAK = range(5)
# The payload of each byte is the remainder of this divisor, and its place in the character's number is this weight.
_DIVISORS = np.array([[256, 1, 1, 1], [32, 64, 1, 1], [16, 64, 64, 1], [8, 64, 64, 64], [1, 1, 1, 1]], np.int32)
_WEIGHTS = np.array([[1, 0, 0, 0], [64, 1, 0, 0], [64**2, 64, 1, 0], [64**3, 64**2, 64, 1], [0, 0, 0, 0]], np.int32)
# The bytes that a character takes, counted from its first; the `b` and `r` of a line break are taken with its `<`.
_TAKEN = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3], [0, 1, 2, 2]], np.int64)
# If `/` and `>` are tokens, all bytes of a line break are taken.
_TAKEN_WITH_MARKS = np.pad(_TAKEN, ((0, 0), (0, 2)), "edge")
_TAKEN_WITH_MARKS[_LINE_BREAK] = np.arange(len(BREAK))

# The classes of the first byte, and the most bytes of a sequence that each class begins.
_LEADS = ((0xC2, 0xE0), (0xE0, 0xE1), (0xE1, 0xF0), (0xF0, 0xF1), (0xF1, 0xF4), (0xF4, 0xF5))
_FORMS_OF_LEADS = (_TWO_BYTES, _THREE_BYTES, _THREE_BYTES, _FOUR_BYTES, _FOUR_BYTES, _FOUR_BYTES)
# The classes of the second byte that can follow: after E0 and F0 a small one is too long a form of another character,
# after F4 a large one is above U+10FFFF (Unicode 14.0.0, table 3-7, but with surrogates).
_SECONDS = ((0x80, 0x90), (0x90, 0xA0), (0xA0, 0xC0))
_SECONDS_OF_LEADS = ((1, 2, 3), (3,), (1, 2, 3), (2, 3), (1, 2, 3), (1,))
_LEAD_PLACE, _SECOND_PLACE, _THIRD_PLACE = 16, 4, 2  # the fourth byte has place 1
_CLASS_COUNT = (len(_LEADS) + 1) * _LEAD_PLACE


def add_symbols(graph: GraphBuilder, wide: str, alphabet: Alphabet, *, strip_breaks: bool) -> str:
    """Adds the symbol of each byte.

    Args:
        graph: The graph, to which the nodes are added.
        wide: The value (bytes,) int32; it ends in at least five times `LATER_BYTE`.
        alphabet: The symbols.
        strip_breaks: Whether `<br />` is replaced by a separator.

    Returns:
        The value (bytes,) int32. The bytes after the first of a character have the symbol `alphabet.gone`.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    first = add("Gather", [_add_byte_table(graph, alphabet, strip_breaks), wide], "symbols_of_bytes", axis=0)
    is_undecoded = add("Equal", [first, graph.shared(alphabet.undecoded)], "is_undecoded")
    place = add("Transpose", [add("NonZero", [is_undecoded], "undecoded_row")], "undecoded", perm=[1, 0])
    reach = len(BREAK) if strip_breaks else _WEIGHTS.shape[1]
    offsets = graph.add_constant("rnnx.text.window_offsets", np.arange(reach, dtype=np.int64))
    window = add("Gather", [wide, add("Add", [place, offsets], "window_places")], "window", axis=0)
    form = _add_form(graph, window, reach, strip_breaks=strip_breaks)
    if strip_breaks:
        window = graph.slice(window, "rnnx.text.sequence", {1: (0, _WEIGHTS.shape[1])})
    symbol = _add_symbol_of_code(graph, _add_code(graph, window, form), alphabet)
    takes_marks = strip_breaks and alphabet.symbols[BREAK[-1]] > 0
    taken_of_forms = graph.add_constant("rnnx.text.taken_of_forms", _TAKEN_WITH_MARKS if takes_marks else _TAKEN)
    taken = add("Gather", [taken_of_forms, form], "taken", axis=0)
    is_first = add("Equal", [taken, graph.shared(0, np.int64)], "is_first_byte")
    written = add("Where", [is_first, symbol, graph.shared(alphabet.gone)], "written")
    to_places = add("Reshape", [add("Add", [place, taken], "taken_places"), graph.shared([-1])], "written_places")
    # A place may be written more than once, each time with the same symbol.
    flat = add("Reshape", [written, graph.shared([-1])], "written_row")
    return add("ScatterElements", [first, to_places, flat], "symbols_by_byte", axis=0)


def _add_byte_table(graph: GraphBuilder, alphabet: Alphabet, strip_breaks: bool) -> str:
    """Adds the symbols of all bytes, of `END_BYTE` and of `LATER_BYTE`, (258,)."""
    symbols = np.append(alphabet.symbols[:END_BYTE], [END_OF_ROW, alphabet.last_single])
    symbols[_LEADS[0][0] : _LEADS[-1][1]] = alphabet.undecoded
    if strip_breaks:
        symbols[BREAK[0]] = alphabet.undecoded
    return add_table(graph, symbols, "rnnx.text.byte_symbols")


def _add_form(graph: GraphBuilder, window: str, reach: int, *, strip_breaks: bool) -> str:
    """Adds how the character at the beginning of each row of the window is written, (characters,).

    The classes of the bytes are added up. Each byte that is that of a line break adds `_CLASS_COUNT`, so that only a
    whole one has the largest sum. Fewer such bytes change nothing.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    classes = np.zeros((reach, _BYTE_COUNT), np.int64)
    for number, (start, end) in enumerate(_LEADS, 1):
        classes[0, start:end] = number * _LEAD_PLACE
    for number, (start, end) in enumerate(_SECONDS, 1):
        classes[1, start:end] = number * _SECOND_PLACE
    classes[2, _SECONDS[0][0] : _SECONDS[-1][1]] = _THIRD_PLACE
    classes[3, _SECONDS[0][0] : _SECONDS[-1][1]] = 1
    forms = _forms_of_classes()
    if strip_breaks:
        classes[range(reach), list(BREAK)] += _CLASS_COUNT
        forms = np.append(np.tile(forms, reach), _LINE_BREAK)
    table = add_table(graph, classes.reshape(-1), "rnnx.text.classes_of_bytes")
    columns = graph.add_constant("rnnx.text.class_columns", _BYTE_COUNT * np.arange(reach, dtype=np.int32))
    found = add("Gather", [table, add("Add", [window, columns], "class_places")], "classes", axis=0)
    total = add("ReduceSum", [found, graph.shared([1])], "class_sum", keepdims=0)
    return add("Gather", [add_table(graph, forms, "rnnx.text.forms_of_classes"), total], "form", axis=0)


def _forms_of_classes() -> Ints:
    """Returns the form of each sum of classes, (_CLASS_COUNT,)."""
    forms = np.full(_CLASS_COUNT, _SINGLE_BYTE, np.int64)
    for number, (form, seconds) in enumerate(zip(_FORMS_OF_LEADS, _SECONDS_OF_LEADS, strict=True), 1):
        for second in seconds:
            start = number * _LEAD_PLACE + second * _SECOND_PLACE
            for rest in range(_SECOND_PLACE):
                is_whole = form == _TWO_BYTES or (rest & _THIRD_PLACE and (form == _THREE_BYTES or rest & 1))
                forms[start + rest] = form if is_whole else _SINGLE_BYTE
    return forms


def _add_code(graph: GraphBuilder, sequence: str, form: str) -> str:
    """Adds the number of the character at the beginning of each row of the sequence, (characters, 1)."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    tables = [graph.add_constant("rnnx.text.divisors_of_forms", _DIVISORS)]
    tables.append(graph.add_constant("rnnx.text.weights_of_forms", _WEIGHTS))
    divisor, weight = (add("Gather", [tables[i], form], ("divisors", "weights")[i], axis=0) for i in range(2))
    placed = add("Mul", [add("Mod", [sequence, divisor], "payloads"), weight], "placed_payloads")
    return add("ReduceSum", [placed, graph.shared([1])], "code", keepdims=1)


def _add_symbol_of_code(graph: GraphBuilder, code: str, alphabet: Alphabet) -> str:
    """Adds the symbol of each character, from a table of blocks of which equal ones are stored once."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    # One more block, for the characters after the table.
    symbols = np.append(alphabet.symbols, np.zeros(_BLOCK, np.int64)).reshape(-1, _BLOCK)
    blocks, block_of_code = np.unique(symbols, axis=0, return_inverse=True)
    stored = add_table(graph, block_of_code.reshape(-1), "rnnx.text.blocks")
    starts = add("Mul", [stored, graph.shared(_BLOCK)], "block_starts")
    table = add_table(graph, blocks.reshape(-1), "rnnx.text.block_symbols")
    size = graph.shared(_BLOCK)
    capped = add("Min", [code, graph.shared(CHARACTER_COUNT)], "capped_code")
    start = add("Gather", [starts, add("Div", [capped, size], "block")], "block_start", axis=0)
    return add(
        "Gather", [table, add("Add", [start, add("Mod", [capped, size], "in_block")], "in_table")], "symbol", axis=0
    )
