"""Proves a text form: its ids are those of `rnnx.text`, all of them, and what follows is within the rounding bound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.export.text_probes import make_text_batches, to_batch
from rnnx.infer.session import Device, Session
from rnnx.parity import Outputs, ProbeBatch, compare_runtime
from rnnx.propagation import decide
from rnnx.reference import Array, Dense
from rnnx.report import RuntimeReport
from rnnx.rounding import UNIT_ROUNDOFF
from rnnx.text import Ids, Tokenizer
from rnnx.text_form.build import TextForm


def prove_text_form(
    name: str, form: TextForm, tokenizer: Tokenizer, texts: Sequence[bytes]
) -> tuple[list[RuntimeReport], list[str]]:
    """Compares a text form with `rnnx.text` and with the reference, on each device that is there.

    Args:
        name: The file's, for the report.
        form: What would ship.
        tokenizer: What it has to agree with.
        texts: Real texts; traps are added.

    Returns:
        One report per device, and what is wrong with ids and outputs; states are not compared behind other ids.
    """
    shipped, with_states = form.rewritten.model.SerializeToString(), form.with_states()
    devices: list[Device] = ["cpu"] if Session(shipped).device == "cpu" else ["cpu", "cuda"]
    batches = make_text_batches(texts, tokenizer)
    probes = [ProbeBatch(tokenizer.pad(_encode(tokenizer, batch)), tuple(batch)) for batch in batches]
    decisions = [decide(form.network, probe.ids) for probe in probes]
    reports, problems = [], []
    for device in devices:
        session, stateful = Session(shipped, device=device), Session(with_states, device=device)
        runtime = f"{name}, {session.provider}"
        results = [_run(stateful, batch) for batch in batches]
        found = [
            problem
            for batch, probe, result, decision in zip(batches, probes, results, decisions, strict=True)
            for problem in (
                *_id_problems(probe, result[form.ids]),
                *_output_problems(session, batch, result["probs"]),
                *_label_problems(batch, decision.probs, result["probs"]),
            )
        ]
        problems += [f"{runtime}: {problem}" for problem in found]
        if not found:
            outputs = [_outputs(form, result) for result in results]
            reports.append(compare_runtime(runtime, form.network, probes, outputs, decisions))
    return reports, problems


def _encode(tokenizer: Tokenizer, batch: Mapping[str, bytes]) -> list[Ids]:
    return [tokenizer.encode(text).ids for text in batch.values()]


def _run(session: Session, batch: Mapping[str, bytes]) -> dict[str, npt.NDArray[Any]]:
    return dict(zip(session.output_names, session.run(to_batch(list(batch.values()))), strict=True))


def _id_problems(probe: ProbeBatch, actual: Ids) -> list[str]:
    if actual.dtype != np.int32 or actual.shape != probe.ids.shape:
        return [f"ids should be int32 {probe.ids.shape}, not {actual.dtype} {actual.shape}, on {probe.names[0]!r}"]
    rows = np.flatnonzero((probe.ids != actual).any(axis=1))
    return [f"ids differ from those of rnnx.text on {probe.names[row]!r}" for row in rows]


def _output_problems(session: Session, batch: Mapping[str, bytes], probs: npt.NDArray[np.float32]) -> list[str]:
    """The ids and states came from a copy that puts them out; and more padding may change nothing, bit for bit."""
    text = to_batch(list(batch.values()))
    problems = []
    for what, same in (("its copy with states", text), ("more padding", np.pad(text, ((0, 0), (0, 7))))):
        if not np.array_equal(probs, session.run(same)[0], equal_nan=True):
            problems.append(f"the file and {what} differ on the batch of {next(iter(batch))!r}")
    return problems


def _label_problems(batch: Mapping[str, bytes], expected: Array, probs: npt.NDArray[np.float32]) -> list[str]:
    """A sigmoid's one probability has to come with the first label's, one subtraction away."""
    if expected.shape[-1] != 1:
        return []
    if probs.shape == (len(expected), 2) and np.array_equal(np.float32(1) - probs[:, 1], probs[:, 0], equal_nan=True):
        return []
    return [f"the probabilities are not p and 1 - p on the batch of {next(iter(batch))!r}"]


def _outputs(form: TextForm, result: Mapping[str, npt.NDArray[Any]]) -> Outputs:
    """The network's own output, as the reference has it, and the states."""
    head = form.network.nodes[-1].layer
    is_sigmoid = isinstance(head, Dense) and head.activation == "sigmoid"
    probs = result["probs"][:, 1:] if is_sigmoid else result["probs"]
    states = {layer: result[name].transpose(1, 0, 2) for layer, name in form.rewritten.states.items()}
    return Outputs(probs, states)


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
        text = row["text"].encode("utf-8", "surrogateescape")
        decision = decide(form.network, tokenizer.pad([tokenizer.encode(text).ids]))
        row["bytes"] = text.hex()
        row["text_probs"] = per_label(decision.probs)[0].tolist()
        row["tolerance"] = float(decision.probs_bounds.max()) + UNIT_ROUNDOFF  # of the subtraction from 1
    return (json.dumps(rows, indent=1, allow_nan=False) + "\n").encode()


def per_label(probs: Array) -> Array:
    """One probability per label: (batch, 1) of a sigmoid becomes (batch, 2)."""
    return np.hstack([1 - probs, probs]) if probs.shape[-1] == 1 else probs
