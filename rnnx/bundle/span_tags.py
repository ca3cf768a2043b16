"""Reads spans (names, phrases) from tags such as `B-PER`, `I-PER` and `O`, in the schemes IOB1, BIO, BIOES and BILOU.

A tag is a prefix and the label of a span: B begins a span, I is inside it, E or L ends it, S or U is a span of one
word, and O is outside. A tag without a label is allowed. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

# BIO is also called IOB2. In IOB1 a B only separates two spans of the same label.
Scheme: TypeAlias = Literal["IOB1", "BIO", "BIOES", "BILOU"]
OUTSIDE = "O"
# What a span is called whose tags have no label.
NO_LABEL = "_"

_SPAN_TAG = re.compile(r"(?s)O|[BIESLU](-.+)?")
_ONE_WORD, _LAST = ("S", "U"), ("E", "L")


class WordSpan(NamedTuple):
    """A span of words: its label, and the words `first` to `end - 1` of its sentence, counted from 0."""

    label: str
    first: int
    end: int


def are_span_tags(tags: Iterable[str]) -> bool:
    """Whether tags are those of spans: `O` and at least one other, all with one of the prefixes."""
    found = set(tags)
    return found > {OUTSIDE} and all(map(_SPAN_TAG.fullmatch, found))


def is_span_tag(tag: str) -> bool:
    """Whether a tag is `O`, or has one of the prefixes."""
    return _SPAN_TAG.fullmatch(tag) is not None


def find_spans(tags: Sequence[str]) -> list[WordSpan]:
    """Reads the spans of a sentence by the definition of conlleval, which seqeval calls its default mode.

    Every tag except `O` belongs to a span. A span ends before B, S or O, before another label, and after E or S. So a
    sequence that breaks its scheme still has one reading: `I-PER` after `O` begins a span.

    Args:
        tags: The tags of its words.

    Source: https://www.clips.uantwerpen.be/conll2002/ner/bin/conlleval.txt and `seqeval.metrics` 1.2.2.
    """
    spans: list[WordSpan] = []
    first, before = None, ("O", "")
    for i, (prefix, label) in enumerate([*map(_split, tags), ("O", NO_LABEL)]):
        is_new = before[0] in (*_LAST, *_ONE_WORD) or prefix in ("B", "O", *_ONE_WORD) or label != before[1]
        if first is not None and is_new:
            spans.append(WordSpan(before[1], first, i))
            first = None
        if first is None and prefix != OUTSIDE:
            first = i
        before = (prefix, label)
    return spans


def find_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Recognises the scheme of tags of spans; a few tags that break it do not matter.

    Args:
        sentences: The tags of each sentence.
    """
    prefixes: set[str] = set()
    begun_by_b = begun_by_i = 0
    for tags in sentences:
        for before, tag in _pairs(tags):
            prefixes.add(tag[0])
            if not _goes_on(before, tag):
                begun_by_b += tag[0] == "B"
                begun_by_i += tag[0] == "I"
    if prefixes & {"L", "U"}:
        return "BILOU"
    if prefixes & {"E", "S"}:
        return "BIOES"
    return "IOB1" if begun_by_i > begun_by_b else "BIO"


def find_breaks(tags: Sequence[str], scheme: Scheme) -> list[int]:
    """Finds the words of a sentence whose tag breaks the scheme.

    Args:
        tags: The tags of its words.
        scheme: The scheme of the file.

    Returns:
        The indices of these words: a tag that goes on with a span that was not begun, or that leaves one unfinished.
    """
    return [i for i, (before, tag) in enumerate(_pairs(tags)) if _breaks(before, tag, scheme)] + (
        [len(tags) - 1] if scheme in ("BIOES", "BILOU") and tags and tags[-1][0] in "BI" else []
    )


def _breaks(before: str, tag: str, scheme: Scheme) -> bool:
    match scheme:
        case "BIO":
            return tag[0] == "I" and not _goes_on(before, tag)
        case "IOB1":
            return tag[0] == "B" and not _goes_on(before, tag)
        case "BIOES" | "BILOU":
            is_open = before[0] in "BI"
            return is_open != (tag[0] in ("I", *_LAST)) or (is_open and before[1:] != tag[1:])


def _pairs(tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields each tag after the tag before it."""
    return zip([OUTSIDE, *tags], tags, strict=False)


def _goes_on(before: str, tag: str) -> bool:
    """Whether the word before is of a span with the same label, and does not end it."""
    return before[0] in "BI" and before[1:] == tag[1:]


def _split(tag: str) -> tuple[str, str]:
    return tag[0], tag[2:] or NO_LABEL
