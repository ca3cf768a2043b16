"""Proves a text form: its ids equal those of the tokenizer, and its answers are within the rounding bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from rnnx.export.finite import finite_rows
from rnnx.export.probes_of_texts import make_text_batches
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.compare_file import Candidate, Comparison, compare_file
from rnnx.proof.progress import track
from rnnx.rounding.decisions import decide_distinct_rows
from rnnx.runtime.session import devices_for
from rnnx.text.tokenizer import Tokenizer
from rnnx.text_form.build import TextForm


def prove_text_form(name: str, form: TextForm, texts: Sequence[bytes]) -> tuple[list[Comparison], int]:
    """Compares a text form with `rnnx.text.tokenizer` and with the reference, on each device where it can run.

    Texts on which the network overflows float32 are left out.

    Args:
        name: The name of the file, for the report.
        form: The text form. Its ids must equal those of its tokenizer.
        texts: Real texts; traps are added.

    Returns:
        A comparison per device, and how many texts were left out.
    """
    tokenizer = form.tokenizer
    batches, left_out = [], 0
    for by_name in make_text_batches(texts, tokenizer):
        batch = _batch(tokenizer, by_name)
        is_finite = finite_rows(form.network, batch.given)
        left_out += int((~is_finite).sum())
        if not is_finite.all():
            batch = _batch(tokenizer, dict(compress(by_name.items(), is_finite)))
        batches += [batch] if is_finite.any() else []
    stage = f"bounding the rounding errors of {name}"
    decisions = decide_distinct_rows(form.network, (form.network.named(batch.given) for batch in track(batches, stage)))
    candidate = Candidate(name, form.rewritten.model.SerializeToString(), form.rewritten.recipe(), form.ids)
    devices = devices_for(candidate.model)
    return [compare_file(candidate, device, form.network, batches, decisions) for device in devices], left_out


def _batch(tokenizer: Tokenizer, texts: Mapping[str, bytes]) -> ProbeBatch:
    """Makes a batch of texts by name, padded to the longest one."""
    ids = [tokenizer.encode(text).ids for text in texts.values()]
    return ProbeBatch(tokenizer.pad(ids), tuple(texts), tuple(texts.values()))
