"""The evidence in an exported file, with which anyone can repeat its proof: `rnnx.evidence` in its metadata_props.

The evidence holds the network as layers, with the hash of each weight as Keras had it and the weight's place in the
file; inputs with the float64 reference's outputs, some of its states, and the bits that onnxruntime gave at export; the
recipe that makes the states visible; and the figures of the proof. Large evidence is sampled and packed
(`rnnx.proof.packed`). A second entry holds the hash of all that and of the graph, so that any alteration is found.

The structure of the network comes from this record, never from the graph; only the weights are read from the file, and
their hashes show that they are Keras's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from rnnx import reference
from rnnx.errors import LowMemoryError, ModelError, lacks_memory, one_line
from rnnx.onnx_file.messages import graph_sha256, read_tensor, stored_tensors
from rnnx.onnx_file.visible_states import StatesRecipe
from rnnx.proof.packed import pack, unpack
from rnnx.proof.report import ParityReport
from rnnx.proof.weight_places import WeightRecord, find_weight, read_weight
from rnnx.reference import LSTM, Given, Input, Network, Node
from rnnx.reference.streaming import CarriedState
from rnnx.rounding.decisions import spread
from rnnx.strict_json import from_json, read_fields, to_dict

EVIDENCE_KEY = "rnnx.evidence"
DIGEST_KEY = "rnnx.sha256"
# The version of evidence that names the cuts of its file (`rnnx.proof.cuts`).
VERSION = 2
# The text of the evidence before it is packed.
MOST_TEXT_BYTES = 1 << 22
# Evidence of large outputs is packed and sampled, to stay within this size or that of the weights.
_LEAST_BUDGET_BYTES = 256 * 1024
# Numbers of a sample: the most that fit are taken. A smaller sample is refused: it would say too little.
SAMPLE_SIZES = (512, 256, 128, 64)
FEWEST_NUMBERS = SAMPLE_SIZES[-1]
_MOST_CASES = 64  # the export writes about thirty, and each is computed again
_MOST_UNITS = 1 << 16  # in one state, and for every other size in a layer's settings
_KINDS = {kind.__name__: kind for kind in get_args(reference.Layer)}
# Keras has the gates of an LSTM as i, f, c, o, and ONNX as i, o, f, c.
_BLOCKS: dict[type, tuple[int, ...]] = {LSTM: (0, 3, 1, 2)}


@dataclass(frozen=True)
class LayerRecord:
    """A layer of the reference: the name of its class, its settings and its weights."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, Any]
    weights: dict[str, WeightRecord]


@dataclass(frozen=True)
class StateRecord:
    """A state of the reference: layer, step in the order of computation, one number per unit."""

    layer: str
    step: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class ArrayRecord:
    """An array, or a sample of it.

    Attributes:
        shape: Of the whole array.
        values: Its numbers row by row; of a sample, those at the places that `spread` chooses, the first and the last
            number among them.
        sha256: Of a sample, the hash of all numbers of the array, little-endian, row by row; None if `values` has all.
    """

    shape: tuple[int, ...]
    values: tuple[float, ...]
    sha256: str | None = None

    @classmethod
    def of(cls, array: npt.NDArray[Any], most: int | None = None) -> ArrayRecord:
        """Records an array.

        Args:
            array: What is recorded.
            most: Of a larger array, so many numbers are recorded, and the hash of all; None records all numbers.
        """
        if most is not None and array.size > most:
            sample = array.reshape(-1)[spread(array.size, most)].astype(np.float64)
            return cls(array.shape, tuple(sample.tolist()), _bits_sha256(array))
        return cls(array.shape, tuple(array.astype(np.float64).flatten().tolist()))

    def read(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Returns the array, if all numbers were recorded.

        Raises:
            ModelError: If the numbers do not fit the shape.
        """
        if min(self.shape, default=1) < 0 or len(self.values) != int(np.prod(self.shape, dtype=object)):
            raise ModelError(f"the evidence in the file: {len(self.values)} numbers do not fit {self.shape!r:.60}")
        return np.array(self.values, dtype).reshape(self.shape)

    def pair(self, actual: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Returns the recorded numbers, and those of `actual` at the same places, both in the type of `actual`.

        Raises:
            ModelError: If `actual` has another shape, or the sample is so small that it says nothing.
        """
        if self.sha256 is None:
            return self.read(actual.dtype), actual
        if self.shape != actual.shape:
            raise ModelError(f"the evidence in the file: {self.shape!r:.60} was recorded, and {actual.shape} came out")
        if not min(actual.size, FEWEST_NUMBERS) <= len(self.values) <= actual.size:
            raise ModelError(f"the evidence in the file: {len(self.values)} numbers are no sample of {actual.shape}")
        return np.array(self.values, actual.dtype), actual.reshape(-1)[spread(actual.size, len(self.values))]

    def has_bits_of(self, actual: npt.NDArray[Any]) -> bool:
        """Whether every number of `actual` has the very bits that were recorded."""
        recorded, at_places = self.pair(actual)
        if recorded.tobytes() != at_places.tobytes():
            return False
        return self.sha256 is None or self.sha256 == _bits_sha256(actual)


@dataclass(frozen=True)
class GoldenCase:
    """An input with its outputs (a golden vector).

    Attributes:
        name: Such as `text 3` or `empty`.
        text: The text, or the words of a sentence, one a line; its bytes as UTF-8 with surrogate escapes; None for
            made-up ids.
        inputs: By name, without the batch; padding included.
        answers: The reference's outputs in float64, by name, without the batch.
        runtime_answers: The same by this file in onnxruntime on the exporting machine's CPU, float32.
        states: Some states of the reference.
    """

    name: str
    text: str | None
    inputs: dict[str, ArrayRecord]
    answers: dict[str, ArrayRecord]
    runtime_answers: dict[str, ArrayRecord]
    states: tuple[StateRecord, ...]

    def given(self, network: Network) -> dict[str, npt.NDArray[Any]]:
        """The inputs as a batch of one.

        Raises:
            ModelError: If they are not the inputs of the network.
        """
        dtypes = {each.name: each.dtype for each in network.inputs}
        if dtypes.keys() != self.inputs.keys():
            raise ModelError(f"{self.name!r:.60}: the golden vector is one of other inputs")
        return {name: self.inputs[name].read(dtype)[None] for name, dtype in dtypes.items()}


@dataclass(frozen=True)
class Evidence:
    """The whole record.

    Attributes:
        inputs: The inputs of the network.
        layers: In the order of the computation.
        outputs: Output name to the layer that gives it; empty for one output, the last layer's.
        states: How the states become outputs.
        ids: For a file that reads text, the name of the value in the graph that holds the ids; None for other files.
        cases: The golden vectors.
        figures: The proof at export.
        tools: Names and versions of the packages that computed `GoldenCase.runtime_answers`.
        carried: For a streaming file, the states that it takes in and puts out.
        version: `VERSION` for a file that names its cuts in `states`. 1 for a file that was exported before there were
            cuts: it has no such field, and is verified without them.
    """

    inputs: tuple[Input, ...]
    layers: tuple[LayerRecord, ...]
    outputs: dict[str, str]
    states: StatesRecipe
    ids: str | None
    cases: tuple[GoldenCase, ...]
    figures: ParityReport
    tools: dict[str, str]
    carried: tuple[CarriedState, ...] = ()
    version: int = 1


# NumPy's message for an array of a gibibyte or more. Evidence that fits its file never needs one.
_HUGE = re.compile(r"allocate [\d.]+ [GTPE]iB")


@contextmanager
def refusing_misfits(name: str) -> Iterator[None]:
    """Turns the errors of evidence that does not fit its file into a ModelError of one line.

    Args:
        name: Of the file, for the message.

    Raises:
        ModelError: For every error that arrays of wrong shapes and unknown names cause.
        LowMemoryError: If an array of an ordinary size does not fit into the memory.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        if lacks_memory(error) and not _HUGE.search(str(error)):
            raise LowMemoryError(f"check {name}") from error
        raise ModelError(
            f"{name}: its evidence does not fit it ({type(error).__name__}: {one_line(error, 200)})"
        ) from error


def record_network(network: Network, model: Any) -> tuple[LayerRecord, ...]:
    """Describes a network and finds each of its weights in a file, bit for bit.

    Args:
        network: The reference.
        model: From `rnnx.onnx_file.messages.parse_model`.

    Raises:
        ModelError: If a weight is not in the file.
    """
    tensors = {tensor.name: read_tensor(tensor) for tensor in stored_tensors(model)}
    records = []
    for node in network.nodes:
        fields = {field.name: getattr(node.layer, field.name) for field in dataclasses.fields(node.layer)}
        weights = {}
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                # A Scan has the gates in Keras's order (`rnnx.rewrites.step_scan`).
                orders = dict.fromkeys((_BLOCKS.get(type(node.layer), ()), ()))
                found = next(filter(None, (find_weight(value, tensors, order) for order in orders)), None)
                if found is None:
                    raise ModelError(f"layer {node.name}: its {name} is not in the file")
                weights[name] = found
        settings = {name: value for name, value in fields.items() if name not in weights}
        records.append(LayerRecord(node.name, type(node.layer).__name__, node.inputs, settings, weights))
    return tuple(records)


def read_reference(evidence: Evidence, model: Any) -> Network:
    """Builds the reference from the record and the file's weights.

    Raises:
        ModelError: If a weight differs from the recorded hash, or the record is not a valid network.
    """
    tensors = {tensor.name: tensor for tensor in stored_tensors(model)}
    nodes = []
    known = {each.name for each in evidence.inputs}
    for layer in evidence.layers:
        if layer.kind not in _KINDS or not known.issuperset(layer.inputs):
            raise ModelError(f"layer {layer.name!r:.60}: {layer.kind!r:.60} of {layer.inputs!r:.80} is not known")
        if layer.name in known:  # each is computed, so that copies of one could take any time
            raise ModelError(f"layer {layer.name!r:.60}: the evidence in the file describes it twice")
        weights = {name: read_weight(layer.name, name, record, tensors) for name, record in layer.weights.items()}
        kind = _KINDS[layer.kind]
        try:
            nodes.append(Node(layer.name, kind(**_read_settings(kind, layer), **weights), layer.inputs))
        except (TypeError, ValueError) as error:
            raise ModelError(f"layer {layer.name!r:.60}: {error}") from error
        known.add(layer.name)
        if issubclass(kind, reference.Recurrent):
            known.add(reference.last_state_of(layer.name))
        if issubclass(kind, LSTM):
            known.add(reference.cell_state_of(layer.name))
    if not nodes or not evidence.inputs or not known.issuperset(evidence.outputs.values()):
        raise ModelError("the evidence in the file describes no network")
    return Network(nodes, evidence.inputs, evidence.outputs)


def _read_settings(kind: type, layer: LayerRecord) -> dict[str, Any]:
    """Reads the settings of a layer, without its weights.

    Raises:
        ValueError: If a setting does not fit the layer, or is too large.
    """
    arrays = {name for name, hint in get_type_hints(kind).items() if "ndarray" in str(hint)}
    if strange := sorted(layer.weights.keys() - arrays):
        raise ValueError(f"{strange[0]!r:.60} is no weight of a {layer.kind}")
    settings = read_fields(kind, layer.settings, "settings")
    for name, value in settings.items():
        sizes = value if isinstance(value, tuple) else (value,)
        if any(abs(size) > _MOST_UNITS for size in sizes if isinstance(size, int)):
            raise ValueError(f"{name} is {value!r:.60}; {_MOST_UNITS} is the most")
    return settings


def golden_states(network: Network, given: Given, steps: Sequence[int]) -> tuple[StateRecord, ...]:
    """Records the reference's states of one row at a few steps.

    Args:
        network: The reference.
        given: The inputs, a batch of one.
        steps: The steps; those after the end of the row are left out.
    """
    if not steps:
        return ()
    recurrent = [i for i, node in enumerate(network.nodes) if isinstance(node.layer, reference.Recurrent)]
    has_first = any(len(network.nodes[i].inputs) > 1 for i in recurrent)
    # The last recurrence and all after it need not run, unless a layer reads the last state of another.
    needed = network if has_first else dataclasses.replace(network, nodes=network.nodes[: max(recurrent, default=0)])
    tensors = needed.forward(given)
    records = []
    for node in network.nodes:
        if isinstance(node.layer, reference.Recurrent):
            x, *first = (tensors[name] for name in node.inputs)
            states = node.layer.states(_begin(node.layer.in_order(x), steps), [state.values for state in first])[0]
            for step in sorted({step for step in steps if step < len(states)}):
                records.append(StateRecord(node.name, step, tuple(states[step].tolist())))
    return tuple(records)


def _begin(x: reference.Tensor, steps: Sequence[int]) -> reference.Tensor:
    """Returns the positions up to the last of some steps."""
    end = max(steps) + 1
    return reference.Tensor(x.values[:, :end], None if x.mask is None else x.mask[:, :end])


def with_evidence(properties: Mapping[str, str], evidence: Evidence, model: Any) -> dict[str, str]:
    """Returns the metadata of a file with the evidence and the digest; the evidence is packed if it is large."""
    text = _to_text(evidence)
    stored = text if len(text) <= evidence_budget(model) else pack(text)
    whole = {**properties, EVIDENCE_KEY: stored}
    return {**whole, DIGEST_KEY: _digest(whole, model)}


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
                if record["sha256"] is None:
                    del record["sha256"]
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def _bits_sha256(array: npt.NDArray[Any]) -> str:
    little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(little_endian.tobytes()).hexdigest()


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
    if properties.get(DIGEST_KEY) != _digest(properties, model):
        raise ModelError("the file was altered after its export: its digest does not match; get or export it again")
    try:
        evidence = from_json(Evidence, unpack(text, MOST_TEXT_BYTES))
    except ValueError as error:
        raise ModelError(f"the evidence in the file is broken: {error}") from error
    if evidence.version > VERSION:
        raise ModelError(f"the evidence in the file has version {evidence.version}: upgrade rnnx to verify the file")
    if (evidence.version == VERSION) != (evidence.states.cuts is not None):
        raise ModelError(f"the evidence in the file is broken: version {evidence.version} does not fit its cuts")
    if len(evidence.cases) > _MOST_CASES:
        raise ModelError(f"the evidence in the file has {len(evidence.cases)} cases, and {_MOST_CASES} are the most")
    for state in evidence.carried:
        if state.layer not in evidence.states.names or not 0 < state.units <= _MOST_UNITS:
            raise ModelError(f"the evidence in the file names a state {state.input!r:.80} that makes no sense")
    return evidence


def _digest(properties: Mapping[str, str], model: Any) -> str:
    digest = hashlib.sha256(graph_sha256(model).encode())
    for key in sorted(properties.keys() - {DIGEST_KEY}):
        for part in (key.encode(), properties[key].encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
