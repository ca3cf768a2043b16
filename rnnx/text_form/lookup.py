"""Looks up words in the vocabulary by ONNX operators: from the places where words start to their ids.

A perfect hash (`rnnx.text_form.hashing`) gives the only word that it can be, and the whole word is compared with that.
The file contains the vocabulary as text, one word per line, and the length of each word. The packed words for the
comparison are computed from these constants in the graph, which onnxruntime does once, when it loads the file.
"""

from __future__ import annotations

import numpy as np

from rnnx.onnx_file.graph_builder import GraphBuilder
from rnnx.onnx_file.messages import INT32
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, Vocabulary
from rnnx.text_form.hashing import CHUNK_BYTES, HashSum, Ints, PerfectHash, find_perfect_hash, pack_words

_BYTE = 256  # the number of values of a byte
LONGEST_WORD = 255  # bytes; the table of packed words is as wide as the longest word


def add_lookup(graph: GraphBuilder, packed: str, start: str, vocabulary: Vocabulary, count: int) -> str:
    """Adds the lookup of words.

    Args:
        graph: The graph, to which the nodes are added.
        packed: The value (bytes,) int32; number i packs the three bytes from i - 1 on, with separators as zeros.
        start: The value (batch, time) int32, the place where each word starts.
        vocabulary: The words.
        count: The number of chunks per word.

    Returns:
        The value (batch, time) int32, the ids.
    """
    chunks = _add_chunks(graph, packed, start, count)
    words = list(vocabulary.tokens[len(SPECIAL_TOKENS) :])
    if not words:
        return graph.shared(UNKNOWN_ID)
    found = find_perfect_hash(pack_words(words, count), len(SPECIAL_TOKENS))
    candidate = add_candidate(graph, chunks, found)
    return add_verdict(graph, chunks, candidate, _add_words(graph, vocabulary, count), count)


def add_candidate(graph: GraphBuilder, chunks: str, found: PerfectHash) -> str:
    """Adds the id of the only word that each row of chunks can be, (batch, time); 0 for an empty slot."""
    shifts = add_table(graph, found.shifts, "rnnx.text.shifts")
    slots = add_table(graph, found.slots, "rnnx.text.slots")
    group = _add_hash(graph, chunks, found.to_shift, "rnnx.text.group")
    shift = graph.add("Gather", [shifts, group], "rnnx.text.shift", axis=0)
    hashed = _add_hash(graph, chunks, found.to_slot, "rnnx.text.hash")
    size = graph.shared(found.to_slot.size)
    slot = graph.add("Mod", [graph.add("Add", [hashed, shift], "rnnx.text.shifted"), size], "rnnx.text.slot")
    return graph.add("Gather", [slots, slot], "rnnx.text.candidate", axis=0)


def add_verdict(graph: GraphBuilder, chunks: str, candidate: str, table: str, count: int) -> str:
    """Adds the ids (batch, time): the candidate where the whole word is equal, else that of an unknown word.

    Args:
        graph: The graph, to which the nodes are added.
        chunks: The value (batch, time, count).
        candidate: The value (batch, time), from `add_candidate`.
        table: The value (vocabulary, count), the chunks of each word by its id.
        count: The number of chunks per word.
    """
    expected = graph.add("Gather", [table, candidate], "rnnx.text.candidate_chunks", axis=0)
    same = graph.add("Cast", [graph.add("Equal", [expected, chunks], "rnnx.text.is_same")], "rnnx.text.same", to=INT32)
    same_count = graph.add("ReduceSum", [same, graph.shared([-1])], "rnnx.text.same_count", keepdims=0)
    is_known = graph.add("Equal", [same_count, graph.shared(count)], "rnnx.text.is_known")
    return graph.add("Where", [is_known, candidate, graph.shared(UNKNOWN_ID)], "rnnx.text.words")


def _add_chunks(graph: GraphBuilder, packed: str, start: str, count: int) -> str:
    """Adds the chunks of each word, (batch, time, count), with zeros after its end."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.{suffix}", **attributes)

    offsets = graph.add_constant("rnnx.text.chunk_offsets", 1 + CHUNK_BYTES * np.arange(count, dtype=np.int32))
    place = add("Add", [add("Unsqueeze", [start, graph.shared([2])], "start_of_chunks"), offsets], "place")
    raw = add("Gather", [packed, place], "raw_chunks", axis=0)
    # A word ends at its first zero byte: the rest of that chunk and all later chunks are set to zero.
    zero = graph.shared(0)
    first, first_two = (add("Mod", [raw, graph.shared(256**i)], f"first_{i}") for i in (1, 2))
    cut = add("Where", [add("Equal", [first, first_two], "ends_at_1"), first, raw], "cut_at_1")
    chunks = add("Where", [add("Equal", [first, zero], "ends_at_0"), zero, cut], "cut_at_0")
    ends = add("Cast", [add("Less", [chunks, graph.shared(256**2)], "is_last")], "ends_here", to=INT32)
    ended = add("CumSum", [ends, graph.shared(2)], "ended", exclusive=1)
    return add("Where", [add("Equal", [ended, zero], "goes_on"), chunks, zero], "chunks")


def _add_hash(graph: GraphBuilder, chunks: str, hash_sum: HashSum, name: str) -> str:
    """Adds the hash of each word, (batch, time)."""
    residues = graph.add("Mod", [chunks, graph.shared(hash_sum.prime)], f"{name}_residues")
    coefficients = graph.add_constant(f"{name}_coefficients", hash_sum.coefficients.astype(np.int32))
    products = graph.add("Mul", [residues, coefficients], f"{name}_products")
    total = graph.add("ReduceSum", [products, graph.shared([-1])], f"{name}_sum", keepdims=0)
    return graph.add("Mod", [total, graph.shared(hash_sum.size)], name)


def _add_words(graph: GraphBuilder, vocabulary: Vocabulary, count: int) -> str:
    """Adds the packed words by id, (vocabulary, count), computed from the vocabulary's text."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"rnnx.text.vocabulary_{suffix}", **attributes)

    width = count * CHUNK_BYTES
    text = vocabulary.to_bytes() + b"\0" * width
    text_numbers = add(
        "Cast", [graph.add_constant("rnnx.text.vocabulary", np.frombuffer(text, np.uint8))], "numbers", to=INT32
    )
    lengths = add_table(graph, np.array([len(token) for token in vocabulary.tokens]), "rnnx.text.vocabulary_lengths")
    lines = add("Add", [lengths, graph.shared(1)], "lines")
    starts = add("CumSum", [lines, graph.shared(0)], "starts", exclusive=1)
    column = graph.add_constant("rnnx.text.vocabulary_column", np.arange(width, dtype=np.int32))
    axis = graph.shared([1])
    place = add("Add", [add("Unsqueeze", [starts, axis], "first"), column], "place")
    letters = add("Gather", [text_numbers, place], "letters", axis=0)
    is_inside = add("Less", [column, add("Unsqueeze", [lengths, axis], "length")], "is_inside")
    words = add("Where", [is_inside, letters, graph.shared(0)], "words")
    triples = add("Reshape", [words, graph.shared([-1, count, CHUNK_BYTES])], "triples")
    places = graph.add_constant("rnnx.text.places", 256 ** np.arange(CHUNK_BYTES, dtype=np.int32))
    return add("ReduceSum", [add("Mul", [triples, places], "placed"), graph.shared([2])], "chunks", keepdims=0)


def add_table(graph: GraphBuilder, values: Ints, name: str, *, product: str = "placed") -> str:
    """Adds a table of integers, stored in as few bytes as can hold them.

    Integers of 16 bits are stored as two tensors of 8 bits, because the WebGPU build of onnxruntime-web (1.30) has no
    Cast from uint16. `GraphBuilder.has_uint16` builds what earlier files have.

    Args:
        graph: The graph, to which the nodes are added.
        values: The numbers, one after the other.
        name: The name of the table.
        product: The suffix of the value of the high bytes, multiplied by 256; no other value may have this name.
    """
    is_of_16_bits = _BYTE <= values.max() < _BYTE**2
    if graph.has_uint16 or not is_of_16_bits:
        stored = np.uint16 if is_of_16_bits else np.uint8 if values.max() < _BYTE else np.int32
        return graph.add("Cast", [graph.add_constant(f"{name}_stored", values.astype(stored))], name, to=INT32)
    of_high, of_low = (
        graph.add(
            "Cast", [graph.add_constant(f"{name}_stored_{part}", array.astype(np.uint8))], f"{name}_{part}", to=INT32
        )
        for part, array in zip(("high", "low"), np.divmod(values, _BYTE), strict=True)
    )
    return graph.add("Add", [graph.add("Mul", [of_high, graph.shared(_BYTE)], f"{name}_{product}"), of_low], name)
