"""The golden vectors of a text classifier: texts with their ids, labels and probabilities."""
# ruff: noqa: RUF001  # texts in other scripts are what is tested

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rnnx.bundle.config import TextRuleName
from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.export.finite import finite_rows
from rnnx.export.probes import GoldenInputs, own_texts
from rnnx.primitives.float32 import UNIT_ROUNDOFF
from rnnx.reference import OUTPUT_NAME, Network
from rnnx.rounding.decisions import decide
from rnnx.text.tokenizer import Ids, Tokenizer, to_text
from rnnx.text_form.build import TextForm

# In this order: an empty text; an unknown word; line breaks; tags that only resemble a line break; invalid UTF-8; every
# byte; capitals; a text that is longer than the model reads.
_TRAP_TEXTS = (
    b"",
    b"qqqqzzzz",
    b"<br /><br />",
    b"<BR />br<br/>good<br />bad<br  />br <br /",
    b"don't \xff\xfe stop",
    bytes(range(256)),
    b"GREAT Film",
    b"the film is great " * 150,
)
# For the rules that read characters, in this order: scripts without spaces, with marks; scripts with capitals and
# vowel signs; other forms of letters and emoji; sequences of UTF-8 that are cut, too long or no character.
_UNICODE_TEXTS = (
    "这部电影很好看，ｇｏｏｄ！この映画はよかったです。หนังเรื่องนี้ดีมาก".encode(),
    "Очень ПЛОХОЙ фильм, ΩΡΑΙΟΣ κόσμος, الكِتَابُ جَمِيلٌ, Ärger über die GROẞE Straße, 영화가 좋다".encode(),
    "don’t DONʼT wonder\xadful Ｇｒｅａｔ 👍🏽😀 ☃\ufe0f ١٢".encode(),
    b"a\xe4\xb8a a\xf0\x9f\x98a a\xc0\xa7a a\xed\xa0\x80a a\xf4\x90\x80\x80a don\x92t caf\xe9 \xe4<br />a\xc3",
)


def golden_texts(rule: TextRuleName) -> list[bytes]:
    """Returns rnnx's own texts and traps. A user's texts are never used, because golden vectors are published."""
    return [*own_texts(), *_TRAP_TEXTS, *(_UNICODE_TEXTS if rule != "bytes" else ())]


def golden_text_inputs(network: Network, tokenizer: Tokenizer) -> GoldenInputs:
    """Returns the golden texts as inputs by name."""
    return {
        f"golden text {i + 1}": (text, network.named(tokenizer.pad([tokenizer.encode(text).ids])))
        for i, text in enumerate(golden_texts(tokenizer.config.rule))
    }


def golden_text_rows(
    network: Network, tokenizer: Tokenizer, labels: Sequence[str], text_form: TextForm | None
) -> list[dict[str, object]]:
    """Makes the rows of `golden.json`: each text with its ids, label and probabilities, to test any implementation.

    Args:
        network: The reference.
        tokenizer: The model's tokenizer.
        labels: The labels by label id.
        text_form: The text form if there is one; its answers are added.
    """
    rows: list[dict[str, object]] = []
    for text, ids, padded in _finite_texts(network, tokenizer):
        probs = network.predict(padded)
        (row,) = per_label(probs)
        label_id = int(choose_label_ids(row))
        rows.append(
            {
                "text": to_text(text),
                "ids": ids.tolist(),
                "label": labels[label_id],
                "probability": float(row[label_id]),
                "probs": probs[0].tolist(),
                **({} if text_form is None else _text_answer(text_form, text, padded)),
            }
        )
    return rows


def golden_rating_rows(network: Network, tokenizer: Tokenizer, text_form: TextForm | None) -> list[dict[str, object]]:
    """Makes the rows of `golden.json` of a model that gives a text a number; arguments as for `golden_text_rows`."""
    rows: list[dict[str, object]] = []
    for text, ids, padded in _finite_texts(network, tokenizer):
        ((value,),) = network.predict(padded)
        answer = {} if text_form is None else _text_answer(text_form, text, padded)
        rows.append({"text": to_text(text), "ids": ids.tolist(), "value": float(value), **answer})
    return rows


def _finite_texts(network: Network, tokenizer: Tokenizer) -> Iterator[tuple[bytes, Ids, Ids]]:
    """Yields each golden text on which a network does not overflow float32, its ids, and these as a batch."""
    for text in golden_texts(tokenizer.config.rule):
        ids = tokenizer.encode(text).ids
        padded = tokenizer.pad([ids])
        if finite_rows(network, padded).all():
            yield text, ids, padded


def _text_answer(form: TextForm, text: bytes, ids: Ids) -> dict[str, object]:
    """Computes what a text form answers, with its own reference: that one has the embedding as the file stores it.

    Returns:
        `bytes`, the text in hexadecimal, since JSON strings cannot contain invalid UTF-8; `text_probs`, a probability
        for each label, or `text_values`, the number; and `tolerance`, the largest rounding error of any of them.
    """
    ((name, decision),) = decide(form.network, ids).items()
    has_labels = name == OUTPUT_NAME
    answer = per_label(decision.values) if has_labels else decision.values
    subtraction = UNIT_ROUNDOFF if has_labels else 0.0  # from 1
    return {
        "bytes": text.hex(),
        f"text_{name}": answer[0].tolist(),
        # Where the network amplifies rounding without a bound, every number is allowed. JSON has no infinity.
        "tolerance": min(float(decision.bounds.max()) + subtraction, sys.float_info.max),
    }
