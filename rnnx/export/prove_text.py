"""Proves a text form: its ids equal those of the tokenizer, and its answers are within the rounding bound."""

from __future__ import annotations

from collections.abc import Sequence

from rnnx.export.probes_of_texts import make_text_batches
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.compare_file import Candidate, Comparison, compare_file
from rnnx.proof.progress import track
from rnnx.rounding.decisions import decide_distinct_rows
from rnnx.runtime.session import devices_for
from rnnx.text_form.build import TextForm


def prove_text_form(name: str, form: TextForm, texts: Sequence[bytes]) -> list[Comparison]:
    """Compares a text form with `rnnx.text.tokenizer` and with the reference, on each device where it can run.

    Args:
        name: The name of the file, for the report.
        form: The text form. Its ids must equal those of its tokenizer.
        texts: Real texts; traps are added.

    Returns:
        A comparison per device.
    """
    tokenizer = form.tokenizer
    batches = [
        ProbeBatch(
            tokenizer.pad([tokenizer.encode(text).ids for text in batch.values()]), tuple(batch), tuple(batch.values())
        )
        for batch in make_text_batches(texts, tokenizer)
    ]
    stage = f"bounding the rounding errors of {name}"
    decisions = decide_distinct_rows(form.network, (form.network.named(batch.given) for batch in track(batches, stage)))
    candidate = Candidate(name, form.rewritten.model.SerializeToString(), form.rewritten.recipe(), form.ids)
    devices = devices_for(candidate.model)
    return [compare_file(candidate, device, form.network, batches, decisions) for device in devices]
