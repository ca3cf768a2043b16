"""Golden vectors: inputs with the answers of the float64 reference, and the files that contain them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from rnnx.bundle.config import tool_versions
from rnnx.bundle.directory import TESTDATA_NAME
from rnnx.export.golden_room import choices_of_golden
from rnnx.export.probes import GoldenInputs
from rnnx.onnx_file.admission import admit
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.compare import count_numbers
from rnnx.proof.evidence import CUTS_VERSION, MADE_VERSION, SAMPLE_SIZES, ArrayRecord, Evidence, GoldenCase, StateRecord
from rnnx.proof.evidence_metadata import evidence_budget, fits_budget, with_evidence
from rnnx.proof.recorded_reference import golden_states, record_network
from rnnx.proof.report import ParityReport
from rnnx.reference import NamedArrays, Network
from rnnx.reference.streaming import zero_states
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.followed_numbers import spread
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch, to_text
from rnnx.text_form.build import TextForm

# The most numbers of a batch in the test data, 4 MB of float32, unless it is a single row.
_MOST_STACKED = 1 << 20
# The steps whose states the evidence records, for as many of the golden inputs as there are steps here.
_STEPS = (0, 1, 4)
# A state of more units is sampled.
_MOST_UNITS = 1 << 12
# Of one golden input, without the batch: the answers of the float64 reference, and those of the file in onnxruntime.
Results: TypeAlias = tuple[NamedArrays, NamedArrays]


def data_sets(network: Network, inputs: GoldenInputs) -> dict[str, bytes]:
    """Makes test data sets for `model.onnx` in ONNX's own format: inputs, and the outputs that are expected for them.

    Args:
        network: The reference.
        inputs: The golden inputs.

    Returns:
        The content of each file by its name, such as `testdata/test_data_set_0/input_0.pb`. There are three sets: the
        first golden input, the last, and a batch of those that have the shapes of the longest one: all, or as many as
        `_MOST_STACKED` allows.
    """
    rows = [given for _, given in inputs.values()]
    longest = longest_row(inputs)
    alike = [row for row in rows if all(row[name].shape == values.shape for name, values in longest.items())]
    alike = alike[: max(1, _MOST_STACKED // count_numbers(longest))]
    stacked = {name: np.concatenate([row[name] for row in alike]) for name in longest}
    files = {}
    for i, given in enumerate([rows[0], rows[-1], stacked]):
        folder = f"{TESTDATA_NAME}/test_data_set_{i}"
        answers = {name: values.astype(np.float32) for name, values in network.answers(given).items()}
        for kind, arrays in (("input", given), ("output", answers)):
            for k, (name, values) in enumerate(arrays.items()):
                files[f"{folder}/{kind}_{k}.pb"] = numpy_helper.from_array(values, name).SerializeToString()
    return files


def longest_row(inputs: GoldenInputs) -> NamedArrays:
    """Returns the longest of the golden inputs, a batch of one."""
    return max((given for _, given in inputs.values()), key=count_numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class GoldenVectors:
    """Golden inputs with the answers of the reference, which all forms of a model share.

    Attributes:
        inputs: The golden inputs by name.
        answers: The answers of the float64 reference, without the batch, by the name of the input.
        seeds: The seeds of the inputs that are made from one (`rnnx.proof.made_inputs`), by name.
    """

    inputs: GoldenInputs
    answers: Mapping[str, NamedArrays]
    seeds: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @staticmethod
    def of(network: Network, inputs: GoldenInputs, seeds: Mapping[str, int] | None = None) -> GoldenVectors:
        """Runs golden inputs through the reference, one by one."""
        return GoldenVectors(
            inputs,
            {
                name: {key: values[0] for key, values in network.answers(given).items()}
                for name, (_, given) in inputs.items()
            },
            seeds or {},
        )


def finish(
    form: Rewritten, network: Network, golden: GoldenVectors, report: ParityReport, properties: Mapping[str, str]
) -> bytes:
    """Writes the metadata and the evidence into a form.

    Args:
        form: A form that was proved.
        network: The reference of that form.
        golden: The golden inputs, with the answers of that reference.
        report: The proof.
        properties: The other metadata, by key.

    Returns:
        The bytes of the file as it is published.

    Raises:
        ModelError: If one of the Keras weights is not stored in the file.
    """
    return _finish(form, network, golden, report, properties, None)


def finish_text(form: TextForm, inputs: GoldenInputs, report: ParityReport, properties: Mapping[str, str]) -> bytes:
    """Writes the metadata and the evidence into a text form; see `finish`.

    Only golden inputs that come from a text are recorded.
    """
    texts = {name: row for name, row in inputs.items() if row[0] is not None}
    golden = GoldenVectors.of(form.network, texts)
    return _finish(form.rewritten, form.network, golden, report, {**properties, **form.properties}, form.ids)


def _finish(
    form: Rewritten,
    network: Network,
    golden: GoldenVectors,
    report: ParityReport,
    properties: Mapping[str, str],
    ids_value: str | None,
) -> bytes:
    """Runs the golden inputs through a form, and returns the file with evidence and metadata.

    Args:
        form: A form that was proved.
        network: The reference of that form.
        golden: The golden inputs, with the answers of that reference.
        report: The proof.
        properties: The other metadata, by key.
        ids_value: The name of the value that has the ids in a text form; None for other forms.
    """
    model = admit(form.model.SerializeToString())
    session = Session(model, device="cpu")

    def run(text: bytes | None, given: NamedArrays) -> NamedArrays:
        batch = given if ids_value is None else {"text": to_batch([text or b""])}
        answers = session.run_by_name({**batch, **zero_states(form.carried, 1)})
        return {name: answers[name][0] for name in network.ends}

    parsed = parse_model(model)
    inputs = golden.inputs
    results = {name: (golden.answers[name], run(text, given)) for name, (text, given) in inputs.items()}
    evidence = Evidence(
        network.inputs,
        record_network(network, parsed),
        dict(network.outputs),
        form.recipe(),
        ids_value,
        (),
        dataclasses.replace(report, drift=()),  # the curves are for people, in the bundle
        tool_versions("numpy", "onnxruntime"),
        form.carried,
        1 if form.cuts is None else MADE_VERSION if golden.seeds else CUTS_VERSION,
    )
    budget = evidence_budget(parsed)
    ways = (
        (chosen, most)
        for chosen in choices_of_golden(inputs, golden.seeds, budget)
        for most in _sample_sizes({name: results[name] for name in chosen}, budget)
    )
    for chosen, most in ways:
        evidence = dataclasses.replace(evidence, cases=_golden_cases(network, chosen, golden.seeds, results, most))
        if fits_budget(evidence, parsed):
            break
    finished = onnx.ModelProto.FromString(model)
    onnx.helper.set_model_props(finished, with_evidence(properties, evidence, parsed))
    data: bytes = finished.SerializeToString(deterministic=True)
    return data


def _sample_sizes(results: Mapping[str, Results], budget_bytes: int) -> tuple[int | None, ...]:
    """The sample sizes to try, the largest first; None records all numbers, unless that is too large in any case."""
    number_count = sum(values.size for pair in results.values() for named in pair for values in named.values())
    # A number takes four characters at least, such as `0.0,`.
    return (None, *SAMPLE_SIZES) if 4 * number_count <= budget_bytes else SAMPLE_SIZES


def _golden_cases(
    network: Network,
    inputs: GoldenInputs,
    seeds: Mapping[str, int],
    results: Mapping[str, Results],
    most: int | None,
) -> tuple[GoldenCase, ...]:
    """Records the golden vectors, with at most `most` numbers of each output."""

    def record(arrays: NamedArrays) -> dict[str, ArrayRecord]:
        return {key: ArrayRecord.of(values, most) for key, values in arrays.items()}

    return tuple(
        GoldenCase(
            name,
            None if text is None else to_text(text),
            {key: _record_input(values[0], seeds.get(name)) for key, values in given.items()},
            record(results[name][0]),
            record(results[name][1]),
            tuple(map(_sampled, golden_states(network, given, _STEPS))) if i < len(_STEPS) else (),
        )
        for i, (name, (text, given)) in enumerate(inputs.items())
    )


def _sampled(state: StateRecord) -> StateRecord:
    """Takes a sample of a state of many units, such as that of an image."""
    if len(state.values) <= _MOST_UNITS:
        return state
    places = spread(len(state.values), SAMPLE_SIZES[0])
    return dataclasses.replace(state, values=tuple(state.values[i] for i in places))


def _record_input(values: npt.NDArray[Any], seed: int | None) -> ArrayRecord:
    return ArrayRecord.of(values) if seed is None else ArrayRecord.made(values, seed)
