"""The evidence in the metadata of an exported file: `rnnx.evidence` in its metadata_props, as JSON.

Large evidence is packed (`rnnx.proof.packed`). A second entry holds the hash of all metadata and of the graph, so that
any alteration is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rnnx.errors import ModelError
from rnnx.onnx_file.messages import graph_sha256, read_tensor, stored_tensors
from rnnx.proof.evidence import CUTS_VERSION, MADE_VERSION, MOST_UNITS, Evidence
from rnnx.proof.made_inputs import MOST_MADE
from rnnx.proof.packed import pack, unpack
from rnnx.strict_json import from_json, to_dict

EVIDENCE_KEY = "rnnx.evidence"
DIGEST_KEY = "rnnx.sha256"
# The text of the evidence before it is packed.
MOST_TEXT_BYTES = 1 << 22
# Evidence of large outputs is packed and sampled, to stay within this size or that of the weights.
_LEAST_BUDGET_BYTES = 256 * 1024
_MOST_CASES = 64  # the export writes about thirty, and each is computed again


def with_evidence(properties: Mapping[str, str], evidence: Evidence, model: Any) -> dict[str, str]:
    """Returns the metadata of a file with the evidence and the digest; the evidence is packed if it is large."""
    text = _to_text(evidence)
    stored = text if len(text) <= evidence_budget(model) else pack(text)
    whole = {**properties, EVIDENCE_KEY: stored}
    return {**whole, DIGEST_KEY: evidence_digest(whole, model)}


def evidence_budget(model: Any) -> int:
    """How large the evidence in a file should be at most, in bytes: 256 kB, or the size of the weights if larger."""
    weights = sum(read_tensor(tensor).nbytes for tensor in stored_tensors(model))
    return min(max(_LEAST_BUDGET_BYTES, weights), MOST_TEXT_BYTES)


def fits_budget(evidence: Evidence, model: Any) -> bool:
    """Whether the evidence can be stored within its budget, and read back."""
    text, budget = _to_text(evidence), evidence_budget(model)
    return len(text) <= budget or (len(text) <= MOST_TEXT_BYTES and len(pack(text)) <= budget)


def _to_text(evidence: Evidence) -> str:
    """Formats evidence on one line, without the fields that only samples have where there is none.

    Evidence of version 1 is written as it was when there was no other: without its version, and without cuts.
    """
    document = to_dict(evidence)
    if evidence.version == 1 and evidence.states.cuts is None:
        del document["version"], document["states"]["cuts"]
    document["figures"] = evidence.figures.document()
    for case in document["cases"]:
        for records in (case["inputs"], case["answers"], case["runtime_answers"]):
            for record in records.values():
                for field in ("sha256", "seed"):
                    if record[field] is None:
                        del record[field]
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def read_evidence(properties: Mapping[str, str], model: Any) -> Evidence:
    """Reads the evidence of a file and makes sure that nothing in it was altered since the export.

    Raises:
        ModelError: If the evidence is missing or broken, or the file was altered after its export.
    """
    text = properties.get(EVIDENCE_KEY, "")
    if not text:
        raise ModelError("the file carries no evidence of rnnx, so there is nothing to verify; rnnx export writes it")
    if len(text) > MOST_TEXT_BYTES:
        raise ModelError(f"the evidence in the file is larger than {MOST_TEXT_BYTES} bytes")
    if properties.get(DIGEST_KEY) != evidence_digest(properties, model):
        raise ModelError("the file was altered after its export: its digest does not match; get or export it again")
    try:
        evidence = from_json(Evidence, unpack(text, MOST_TEXT_BYTES))
    except ValueError as error:
        raise ModelError(f"the evidence in the file is broken: {error}") from error
    if evidence.version > MADE_VERSION:
        raise ModelError(f"the evidence in the file has version {evidence.version}: upgrade rnnx to verify the file")
    if (evidence.version >= CUTS_VERSION) != (evidence.states.cuts is not None):
        raise ModelError(f"the evidence in the file is broken: version {evidence.version} does not fit its cuts")
    made_count = sum(case.made_count for case in evidence.cases)
    if made_count and evidence.version < MADE_VERSION:
        raise ModelError(f"the evidence in the file is broken: version {evidence.version} does not fit its inputs")
    if made_count > MOST_MADE:
        raise ModelError(f"the inputs in the evidence have {made_count:,} numbers, and {MOST_MADE:,} are the most")
    if len(evidence.cases) > _MOST_CASES:
        raise ModelError(f"the evidence in the file has {len(evidence.cases)} cases, and {_MOST_CASES} are the most")
    for state in evidence.carried:
        if state.layer not in evidence.states.names or not 0 < state.units <= MOST_UNITS:
            raise ModelError(f"the evidence in the file names a state {state.input!r:.80} that makes no sense")
    return evidence


def evidence_digest(properties: Mapping[str, str], model: Any) -> str:
    """Returns the hash that `DIGEST_KEY` holds: of all other metadata and of the graph."""
    digest = hashlib.sha256(graph_sha256(model).encode())
    for key in sorted(properties.keys() - {DIGEST_KEY}):
        for part in (key.encode(), properties[key].encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
