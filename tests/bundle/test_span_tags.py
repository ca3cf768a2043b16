from __future__ import annotations

import pytest

from rnnx.bundle.span_tags import Scheme, WordSpan, are_span_tags, find_breaks, find_scheme, find_spans


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", [WordSpan("PER", 0, 2), WordSpan("LOC", 3, 4)]),
        ("B-PER B-PER", [WordSpan("PER", 0, 1), WordSpan("PER", 1, 2)]),
        ("I-PER I-PER B-PER", [WordSpan("PER", 0, 2), WordSpan("PER", 2, 3)]),  # IOB1
        ("B-PER E-PER S-LOC S-LOC", [WordSpan("PER", 0, 2), WordSpan("LOC", 2, 3), WordSpan("LOC", 3, 4)]),
        ("B-PER I-PER L-PER U-LOC", [WordSpan("PER", 0, 3), WordSpan("LOC", 3, 4)]),
        ("O I-PER I-LOC", [WordSpan("PER", 1, 2), WordSpan("LOC", 2, 3)]),  # breaks BIO, and is read all the same
        ("E-PER I-PER", [WordSpan("PER", 0, 1), WordSpan("PER", 1, 2)]),
        ("B I O B", [WordSpan("_", 0, 2), WordSpan("_", 3, 4)]),
        ("B-a-b I-a-b", [WordSpan("a-b", 0, 2)]),
    ],
)
def test_spans_are_read_by_the_definition_of_conlleval(tags: str, spans: list[WordSpan]) -> None:
    assert find_spans(tags.split()) == spans


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("O B-PER I-PER", True), ("B I O", True), ("O", False), ("", False), ("NOUN O", False), ("B-PER _", False)],
)
def test_tags_of_spans_are_recognised(tags: str, expected: bool) -> None:
    assert are_span_tags(tags.split()) is expected


@pytest.mark.parametrize(
    ("tags", "scheme", "breaks"),
    [
        ("B-PER I-PER O B-PER B-LOC", "BIO", []),
        ("B-PER O I-PER B-LOC I-PER", "BIO", [2, 4]),
        ("I-PER I-PER B-PER O I-LOC", "IOB1", []),
        ("I-PER O B-PER I-LOC I-PER", "IOB1", [2]),
        ("B-PER E-PER S-LOC O", "BIOES", []),
        ("B-PER O E-PER S-LOC B-PER", "BIOES", [1, 2, 4]),
        ("B-PER I-PER L-PER U-LOC", "BILOU", []),
        ("B-PER L-LOC", "BILOU", [1]),
    ],
)
def test_a_scheme_is_recognised_and_its_breaks_are_found(tags: str, scheme: Scheme, breaks: list[int]) -> None:
    assert find_scheme([tags.split()]) == scheme
    assert find_breaks(tags.split(), scheme) == breaks
