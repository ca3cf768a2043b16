"""How sharp the proof is: random networks exported for real, the right files and wrong ones, and what each check says.

    python bench/proof.py [--networks 500] [--seed 0] [--save]

Every network is a Keras model of 1 to 4 recurrent layers, converted by tf2onnx and rewritten as an export does it. The
right files have to pass; each mutant has to fail in the layer, and where it is bound to a step, at the step, that was
changed. A mutant that the float64 reference itself says to move no state by more than rounding can is counted apart.
Beside it: what tolerances in common use say of the same files. Exit code 1 if the proof is wrong anywhere.
"""

from __future__ import annotations

from machine import restrict, today, versions

restrict(threads=1)  # before any framework: hundreds of small products

# ruff: noqa: E402
import argparse
import dataclasses
import json
import sys
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
import numpy.typing as npt
import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.export.convert import convert
from rnnx.export.from_keras import read_network
from rnnx.infer.session import Session
from rnnx.parity import Outputs, ProbeBatch, compare_runtime
from rnnx.propagation import Decisions, decide
from rnnx.reference import Array, Network, SimpleRNN, Tensor
from rnnx.report import LayerReport, RuntimeReport
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Recurrence
from rnnx.rewrites.replace import Rewritten, Written, replace_loops
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from rnnx.rounding import step_bound
from rnnx.states import with_states

RESULTS = Path(__file__).parent / "results"
VOCABULARY_SIZE = 60
# The largest of the right exports is far below; a mutant this near to the bound may be hidden by real rounding.
_HIDDEN_BELOW = 1.1

Rng = np.random.Generator
F = TypeVar("F", np.float32, np.float64)
# Absolute and relative, as in optimum (1e-3 to 1e-5), tf2onnx's tests (1e-4), numpy.testing and many a script (1e-2).
TOLERANCES: dict[str, tuple[float, float]] = {
    "absolute 1e-3": (1e-3, 0.0),
    "absolute 1e-4": (1e-4, 0.0),
    "relative 1e-2": (0.0, 1e-2),
}


@dataclass(frozen=True)
class Mutant:
    """A way to be wrong.

    Attributes:
        name: For the table.
        change: Changes what the layer's recurrence is, in the graph; None where it is done to the finished graph.
        mutate_layer: The same in the reference: layer, its input in order, the initial state.
        needs: Whether it applies.
    """

    name: str
    change: Callable[[Graph, Recurrence, Case], Recurrence]
    mutate_layer: Callable[[SimpleRNN, Tensor, Case], tuple[SimpleRNN, Tensor, float]]
    needs: Callable[[SimpleRNN, Tensor, Case], bool] = lambda layer, x, case: True


@dataclass(frozen=True, eq=False)
class Case:
    """A network with its input, and where mutants strike.

    Attributes:
        model: In Keras.
        network: Its reference.
        batch: What is run.
        decisions: What the reference says.
        layer: The recurrence to change.
        unit: Of it.
        step: Of it, at least 1 if there are two.
    """

    model: keras.Model
    network: Network
    batch: ProbeBatch
    decisions: Decisions
    layer: str
    unit: int
    step: int


def draw_model(rng: Rng) -> keras.Model:
    """A random network, from contractive to chaotic."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    mask_zero = bool(rng.integers(2))
    x = layers.Embedding(VOCABULARY_SIZE, int(rng.integers(1, 65)), mask_zero=mask_zero)(ids)
    count = int(rng.integers(1, 5))
    pooling = rng.choice(["last", "mean", "max"])
    for i in range(count):
        is_last = i == count - 1
        rnn = layers.SimpleRNN(
            int(rng.integers(1, 97)),
            activation=str(rng.choice(["tanh", "tanh", "relu", "sigmoid"])),
            use_bias=bool(rng.random() < 0.9),
            return_sequences=not is_last or pooling != "last",
            go_backwards=bool(rng.random() < 0.2) and is_last,
        )
        both = rng.random() < 0.35
        x = layers.Bidirectional(rnn)(x) if both and not rnn.go_backwards else rnn(x)
    if pooling != "last":
        x = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[str(pooling)]()(x)
    classes = int(rng.integers(1, 6))
    model = keras.Model(ids, layers.Dense(classes, activation="sigmoid" if classes == 1 else "softmax")(x))
    for layer in model.layers:
        layer.set_weights([_draw_weight(layer, weight, rng) for weight in layer.get_weights()])
    return model


def _draw_weight(layer: keras.Layer, weight: npt.NDArray[np.float32], rng: Rng) -> npt.NDArray[np.float32]:
    if weight.ndim == 1:
        return rng.normal(0, 0.3, weight.shape).astype(np.float32)
    if isinstance(layer, layers.Embedding):
        return rng.normal(0, 0.5, weight.shape).astype(np.float32)
    rnn = layer.forward_layer if isinstance(layer, layers.Bidirectional) else layer
    # From forgetting within a few steps to chaos; relu, which saturates nowhere, must not grow without end.
    most = 1.0 if getattr(rnn, "activation", None) is keras.activations.relu else 4.0
    gain = np.exp(rng.uniform(np.log(0.2), np.log(most)))
    drawn = rng.normal(0, 1, weight.shape)
    if weight.shape[0] == weight.shape[1]:
        drawn /= max(float(np.linalg.norm(drawn, 2)), 1e-9)
    else:
        drawn /= np.sqrt(weight.shape[0])
    scaled: npt.NDArray[np.float32] = (gain * drawn).astype(np.float32)
    return scaled


def draw_case(rng: Rng) -> Case:
    """A network and an input of 1 to 2,000 positions, some rows padded in front."""
    model = draw_model(rng)
    network = read_network(model)
    time = int(np.exp(rng.uniform(0, np.log(2000))).round())
    rows = int(rng.integers(1, 4))
    ids = rng.integers(1, VOCABULARY_SIZE, (rows, time), dtype=np.int32)
    for row in ids[1:]:
        row[: rng.integers(0, time)] = 0
    name = str(rng.choice(list(network.recurrent_nodes)))
    layer = network.recurrent_nodes[name]
    return Case(
        model,
        network,
        ProbeBatch(ids, tuple(f"row {i}" for i in range(rows))),
        decide(network, ids),
        name,
        int(rng.integers(len(layer.bias))),
        int(rng.integers(1, time)) if time > 1 else 0,
    )


def _off_bias(bias: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = bias.copy()
    changed[case.unit] += np.float32(1e-4)
    return changed


def _off_entry(kernel: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = kernel.copy()
    changed[0, case.unit] += np.float32(1e-3)
    return changed


def _half(values: npt.NDArray[F]) -> npt.NDArray[F]:
    half: npt.NDArray[F] = values.astype(np.float16).astype(values.dtype)
    return half


def _turned(graph: Graph, r: Recurrence) -> Recurrence:
    bounds = [graph.shared([-1]), graph.shared([-(2**31 - 1)]), graph.shared([0]), graph.shared([-1])]
    x = graph.add("Slice", [r.x, *bounds], f"{r.name}.turned")
    mask = None if r.mask is None else graph.add("Slice", [r.mask, *bounds], f"{r.name}.turned_mask")
    return dataclasses.replace(r, x=x, mask=mask, embedded=None)


def _shifted(graph: Graph, r: Recurrence, case: Case) -> Recurrence:
    steps = graph.add_constant(f"{r.name}.steps", _shifted_steps(case))
    return dataclasses.replace(r, x=graph.add("Gather", [r.x, steps], f"{r.name}.shifted", axis=0), embedded=None)


def _shifted_steps(case: Case) -> npt.NDArray[np.int64]:
    steps = np.arange(case.batch.ids.shape[1])
    steps[case.step] -= 1
    return steps


_INITIAL = 0.01
MUTANTS = [
    Mutant(
        "a bias off by 1e-4",
        lambda graph, r, case: dataclasses.replace(r, bias=_off_bias(r.bias, case)),
        lambda layer, x, case: (dataclasses.replace(layer, bias=_off_bias(layer.bias, case)), x, 0.0),
    ),
    Mutant(
        "one entry of U off by 1e-3",
        lambda graph, r, case: dataclasses.replace(r, recurrent_kernel=_off_entry(r.recurrent_kernel, case)),
        lambda layer, x, case: (
            dataclasses.replace(layer, recurrent_kernel=_off_entry(layer.recurrent_kernel, case)),
            x,
            0.0,
        ),
    ),
    Mutant(
        "weights in float16",
        lambda graph, r, case: dataclasses.replace(
            r, kernel=_half(r.kernel), recurrent_kernel=_half(r.recurrent_kernel), bias=_half(r.bias)
        ),
        lambda layer, x, case: (
            dataclasses.replace(
                layer,
                kernel=_half(layer.kernel),
                recurrent_kernel=_half(layer.recurrent_kernel),
                bias=_half(layer.bias),
            ),
            x,
            0.0,
        ),
    ),
    Mutant(
        "a transposed kernel",
        lambda graph, r, case: dataclasses.replace(r, recurrent_kernel=r.recurrent_kernel.T.copy()),
        lambda layer, x, case: (dataclasses.replace(layer, recurrent_kernel=layer.recurrent_kernel.T.copy()), x, 0.0),
        needs=lambda layer, x, case: len(layer.bias) > 1,
    ),
    Mutant(
        "a swapped direction",
        lambda graph, r, case: _turned(graph, r),
        lambda layer, x, case: (layer, Tensor(x.values[:, ::-1], None if x.mask is None else x.mask[:, ::-1]), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
    Mutant(
        "a wrong initial state",
        lambda graph, r, case: r,
        lambda layer, x, case: (layer, x, _INITIAL),
    ),
    Mutant(
        "a mask ignored",
        lambda graph, r, case: dataclasses.replace(r, mask=None),
        lambda layer, x, case: (layer, Tensor(x.values), 0.0),
        needs=lambda layer, x, case: x.mask is not None and not x.mask.all(),
    ),
    Mutant(
        "one step's input shifted",
        _shifted,
        lambda layer, x, case: (layer, Tensor(x.values[:, _shifted_steps(case)], x.mask), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
]


def build_mutant(converted: onnx.ModelProto, case: Case, mutant: Mutant) -> Rewritten:
    """Writes the file with one recurrence changed."""

    def write(graph: Graph, recurrences: Sequence[Recurrence]) -> Sequence[Written]:
        return write_rnn(graph, [mutant.change(graph, r, case) if r.name == case.layer else r for r in recurrences])

    form = replace_loops(converted, write)
    if mutant.name == "a wrong initial state":
        node = next(node for node in form.model.graph.node if node.name == case.layer)
        units = len(case.network.recurrent_nodes[case.layer].bias)
        initial = np.full((1, len(case.batch.ids), units), _INITIAL, np.float32)
        form.model.graph.initializer.append(numpy_helper.from_array(initial, "wrong_initial"))
        node.input.extend([""] * (5 - len(node.input)) + ["wrong_initial"])
    return form


def run(form: Rewritten, case: Case) -> Outputs:
    """Runs a file with its states."""
    session = Session(with_states(form.model.SerializeToString(), form.recipe()), device="cpu")
    outputs = dict(zip(session.output_names, session.run(case.batch.ids), strict=True))
    return Outputs(outputs["probs"], {name: outputs[v].transpose(1, 0, 2) for name, v in form.states.items()})


def prove(name: str, outputs: Outputs, case: Case) -> RuntimeReport:
    """What the proof says."""
    return compare_runtime(name, case.network, [case.batch], [outputs], [case.decisions])


def effect(case: Case, mutant: Mutant, outputs: Outputs) -> tuple[float, set[tuple[int, int]]]:
    """What the mutant does to a step, in float64, over what rounding can do to it.

    Returns:
        The largest ratio; and the rows and steps where the mutant moves a state by more than rounding can.
    """
    layer = case.network.recurrent_nodes[case.layer]
    tensors = case.network.forward(case.batch.ids, {k: v.astype(np.float64) for k, v in outputs.states.items()})
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(tensors[node.inputs[0]])
    states = outputs.states[case.layer].astype(np.float64)
    right = _steps(layer, x, states, 0.0)
    bound = step_bound(layer, x.values, _before(states, 0.0), np.zeros_like(x.values))
    wrong = _steps(*mutant.mutate_layer(layer, x, case)[:2], states, mutant.mutate_layer(layer, x, case)[2])
    moved = np.abs(right - wrong)
    if x.mask is not None:
        bound = np.where(x.mask[:, :, None], bound, 0.0)
    ratio = np.divide(moved, bound, out=np.where(moved == 0, 0.0, 1e300), where=bound > 0)
    return float(ratio.max()), {(int(row), int(step)) for row, step, _ in np.argwhere(ratio > 1)}


def _before(states: Array, initial: float, mask: npt.NDArray[np.bool_] | None = None) -> Array:
    """The states before each step; the initial one before the first step that counts."""
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    if initial:
        first = np.zeros(len(states), int) if mask is None else mask.argmax(axis=1)
        before[np.arange(len(states)), first] = initial
    return before


def _steps(layer: SimpleRNN, x: Tensor, states: Array, initial: float) -> Array:
    before = _before(states, initial, x.mask)
    expected = layer.step(x.values, before)
    return expected if x.mask is None else np.where(x.mask[:, :, None], expected, before)


def failing(report: RuntimeReport) -> Iterator[LayerReport]:
    """The recurrent layers that failed."""
    return (layer for layer in report.layers if not layer.passed and layer.layer not in ("probs", "end to end"))


@dataclass
class Count:
    """How often what was said of one kind of mutant."""

    made: int = 0
    caught: int = 0
    missed: int = 0
    misplaced: int = 0
    apart: int = 0
    let_pass: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))


def passes(expected: Array, actual: npt.NDArray[np.float32], tolerance: tuple[float, float]) -> bool:
    """What a comparison of the outputs alone would say."""
    absolute, relative = tolerance
    return bool(np.allclose(actual, expected, rtol=relative, atol=absolute))


def count_mutants(case: Case, converted: onnx.ModelProto, counts: dict[str, Count], say: Callable[[str], None]) -> None:
    """Makes every mutant of a case and asks the proof."""
    layer = case.network.recurrent_nodes[case.layer]
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(case.network.forward(case.batch.ids)[node.inputs[0]])
    for mutant in MUTANTS:
        if not mutant.needs(layer, x, case):
            continue
        outputs = run(build_mutant(converted, case, mutant), case)
        report = prove(mutant.name, outputs, case)
        size, where = effect(case, mutant, outputs)
        count = counts[mutant.name]
        failed = list(failing(report))
        if not failed and size <= _HIDDEN_BELOW:
            count.apart += 1
            continue
        count.made += 1
        for tolerance, values in TOLERANCES.items():
            count.let_pass[tolerance] += passes(case.decisions.probs, outputs.probs, values)
        if not failed:
            count.missed += 1
            say(f"missed: {mutant.name} in {case.layer}, effect {size:.3g}")
        elif failed[0].layer != case.layer or not _is_place(failed[0], case, where):
            count.misplaced += 1
            say(f"misplaced: {mutant.name} in {case.layer}: {failed}")
        else:
            count.caught += 1


def _is_place(found: LayerReport, case: Case, where: set[tuple[int, int]]) -> bool:
    return found.step is not None and (case.batch.names.index(found.probe), found.step) in where


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help="write bench/results/proof.{md,json}")
    options = parser.parse_args()
    started = clock.monotonic()
    counts = {mutant.name: Count() for mutant in MUTANTS}
    ratios: dict[str, list[float]] = {"model.onnx": [], "model.batch.onnx": []}
    whole: list[float] = []
    refused_right = dict.fromkeys(TOLERANCES, 0)
    problems: list[str] = []
    for i in range(options.networks):
        keras.backend.clear_session()
        case = draw_case(np.random.default_rng([options.seed, i]))

        def say(problem: str, number: int = i) -> None:
            problems.append(f"network {number}: {problem}")
            print(problems[-1], file=sys.stderr, flush=True)

        converted = remove_negative_ids(convert(case.model, case.network))
        for name, write in (("model.onnx", write_rnn), ("model.batch.onnx", write_scan)):
            outputs = run(replace_loops(converted, write), case)
            report = prove(name, outputs, case)
            ratios[name].append(report.worst.ratio or 1e300)
            whole.append(report.layers[-1].ratio or 0.0)
            if not report.passed:
                say(f"refused: {name}: {report.worst}, {report.problems}")
            if name == "model.onnx":
                for tolerance, values in TOLERANCES.items():
                    refused_right[tolerance] += not passes(case.decisions.probs, outputs.probs, values)
        count_mutants(case, converted, counts, say)
        if i % 25 == 24:
            print(f"{i + 1} networks, {clock.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    text = _table(options.networks, options.seed, counts, ratios, whole, refused_right)
    print(text)
    if options.save:
        record = {
            "date": today(),
            "versions": versions(("onnxruntime", "tf2onnx", "keras", "tensorflow", "numpy")),
            "networks": options.networks,
            "seed": options.seed,
            "largest_ratio": {name: max(values) for name, values in ratios.items()},
            "largest_ratio_end_to_end": max(whole),
            "mutants": {name: dataclasses.asdict(count) for name, count in counts.items()},
            "right_refused": refused_right,
            "problems": problems,
        }
        (RESULTS / "proof.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "proof.md").write_text(text + "\n", encoding="utf-8")
    return 1 if problems else 0


def _table(
    networks: int,
    seed: int,
    counts: dict[str, Count],
    ratios: dict[str, list[float]],
    whole: list[float],
    refused: dict[str, int],
) -> str:
    head = " | ".join(f"let pass by {name}" for name in TOLERANCES)
    rows = []
    for name, count in counts.items():
        shares = " | ".join(f"{count.let_pass[t] / max(count.made, 1):.0%}" for t in TOLERANCES)
        rows.append(
            f"| {name} | {count.made} | {count.caught} | {count.missed + count.misplaced} | {count.apart} | {shares} |"
        )
    total = sum(count.made for count in counts.values())
    passed = {t: sum(count.let_pass[t] for count in counts.values()) for t in TOLERANCES}
    caught = sum(count.caught for count in counts.values())
    rows.append(
        f"| all | {total} | {caught} | {total - caught} | {sum(c.apart for c in counts.values())} | "
        + " | ".join(f"{passed[t] / max(total, 1):.0%}" for t in TOLERANCES)
        + " |"
    )
    largest = ", ".join(f"{name} {max(values):.3f}" for name, values in ratios.items())
    wrongly = ", ".join(f"{name}: {count}" for name, count in refused.items())
    return (
        f"`python bench/proof.py --networks {networks} --seed {seed}`: {networks} random networks.\n\n"
        f"Right exports, the largest ratio of difference to bound: {largest}; end to end {max(whole):.3f}. "
        f"Of the {networks} right `model.onnx`, tolerances on the output would have refused: {wrongly}.\n\n"
        f"| wrong in | files | caught in their place | missed or misplaced | within rounding | {head} |\n"
        f"|---|---:|---:|---:|---:|{'---:|' * len(TOLERANCES)}\n" + "\n".join(rows)
    )


if __name__ == "__main__":
    sys.exit(main())
