"""Proves a text form: its ids are those of the tokenizer, and what follows is within the rounding bound."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rnnx.bundle.labels import per_label
from rnnx.export.probes_of_texts import make_text_batches
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.compare_file import Candidate, Comparison, compare_file
from rnnx.reference import OUTPUT_NAME
from rnnx.rounding.decisions import decide
from rnnx.rounding.step_bound import UNIT_ROUNDOFF
from rnnx.runtime.session import devices_for
from rnnx.strict_json import to_json_bytes
from rnnx.text.tokenizer import Tokenizer, to_bytes
from rnnx.text_form.build import TextForm


def prove_text_form(name: str, form: TextForm, tokenizer: Tokenizer, texts: Sequence[bytes]) -> list[Comparison]:
    """Compares a text form with `rnnx.text.tokenizer` and with the reference, on each device where it can run.

    Args:
        name: The file's, for the report.
        form: What would ship.
        tokenizer: What it has to agree with.
        texts: Real texts; traps are added.

    Returns:
        One per device.
    """
    batches = [
        ProbeBatch(
            tokenizer.pad([tokenizer.encode(text).ids for text in batch.values()]), tuple(batch), tuple(batch.values())
        )
        for batch in make_text_batches(texts, tokenizer)
    ]
    decisions = [decide(form.network, batch.given) for batch in batches]
    candidate = Candidate(name, form.rewritten.model.SerializeToString(), form.rewritten.recipe(), form.ids)
    devices = devices_for(candidate.model)
    return [compare_file(candidate, device, form.network, batches, decisions) for device in devices]


def add_text_answers(golden: bytes, form: TextForm, tokenizer: Tokenizer) -> bytes:
    """Adds to each golden vector what the text form gives for it: by its own reference, with the stored embedding.

    Args:
        golden: The content of `golden.json`, each row with a `text`.
        form: The text form.
        tokenizer: The model's own.

    Returns:
        The same with three more keys a row: `bytes`, the text in hex (JSON has no place for what is no UTF-8),
        `text_probs`, one per label, and `tolerance`, what rounding can do to each of these at most.
    """
    rows = json.loads(golden)
    for row in rows:
        text = to_bytes(row["text"])
        decision = decide(form.network, tokenizer.pad([tokenizer.encode(text).ids]))[OUTPUT_NAME]
        row["bytes"] = text.hex()
        row["text_probs"] = per_label(decision.values)[0].tolist()
        row["tolerance"] = float(decision.bounds.max()) + UNIT_ROUNDOFF  # of the subtraction from 1
    return to_json_bytes(rows)
