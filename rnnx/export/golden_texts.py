"""The golden vectors of a text classifier: texts, their ids, labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.export.probes import GoldenInputs, own_texts
from rnnx.reference import OUTPUT_NAME, Network
from rnnx.rounding.decisions import decide
from rnnx.rounding.float32 import UNIT_ROUNDOFF
from rnnx.text.tokenizer import Ids, Tokenizer, to_text
from rnnx.text_form.build import TextForm

# Nothing; a word that no vocabulary has; breaks, and what is none; no UTF-8; every byte; capitals; more than is read.
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


def golden_texts() -> list[bytes]:
    """Rnnx's own texts (a user's texts stay with the user), and traps."""
    return [*own_texts(), *_TRAP_TEXTS]


def golden_text_inputs(network: Network, tokenizer: Tokenizer) -> GoldenInputs:
    """The golden texts as inputs."""
    return {
        f"golden text {i + 1}": (text, network.named(tokenizer.pad([tokenizer.encode(text).ids])))
        for i, text in enumerate(golden_texts())
    }


def golden_text_rows(
    network: Network, tokenizer: Tokenizer, labels: Sequence[str], text_form: TextForm | None
) -> list[dict[str, object]]:
    """What `golden.json` holds of each text: its ids, label and probabilities, for any language.

    Args:
        network: The reference.
        tokenizer: The model's own.
        labels: By label id.
        text_form: The text form, if there is one; its own answers are added.
    """
    rows: list[dict[str, object]] = []
    for text in golden_texts():
        ids = tokenizer.encode(text).ids
        padded = tokenizer.pad([ids])
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


def _text_answer(form: TextForm, text: bytes, ids: Ids) -> dict[str, object]:
    """What a text form gives for a text: by its own reference, with the embedding as it is stored.

    Returns:
        `bytes`, the text in hex (JSON has no place for what is no UTF-8), `text_probs`, one per label, and
        `tolerance`, what rounding can do to each of these at most.
    """
    decision = decide(form.network, ids)[OUTPUT_NAME]
    return {
        "bytes": text.hex(),
        "text_probs": per_label(decision.values)[0].tolist(),
        "tolerance": float(decision.bounds.max()) + UNIT_ROUNDOFF,  # of the subtraction from 1
    }
