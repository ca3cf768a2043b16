"""Compares other ways to write the loop of `model.batch.onnx`, none of which is used, with the one that is.

Each cell is the time of the form as it is, a Scan of one Gemm and one Tanh over all x_t, divided by that of another way
to write it: above 1, that way is faster. The ways take turns, warm, in one thread; the smallest of many times. Run it
again with a new onnxruntime.

    python -m bench.speed.scan_variants [--rounds 200]
"""

from __future__ import annotations

from bench.machine import restrict

restrict(threads=1)  # before NumPy is imported

# ruff: noqa: E402
import argparse
from functools import partial

import numpy as np
import onnxruntime as ort
from onnx import numpy_helper, parser

from bench.speed.measure import require_right, time_alone
from bench.speed.peers import Run
from bench.subjects import Floats
from rnnx.text.tokenizer import Ids

_LENGTH = 400  # a multiple of the steps of each variant
_WORDS = 10_000
_BATCHES = (8, 32, 128)
_UNITS = (32, 64, 128)

# The types are those of one step: the state, x_t and the ids of the rows.
_FORM = "x = Gather(table, order)\nlast = Scan <num_scan_inputs = 1, body = {step}> (initial, x)"
_STEP = "step (float[B, H] h, float[B, H] x_t) => (float[B, H] new) {total = Gemm(h, u, x_t)\nnew = Tanh(total)}"
_LOOKUP = (
    "last = Scan <num_scan_inputs = 1, body = step (float[B, H] h, int32[B] id) => (float[B, H] new) "
    "{x_t = Gather(table, id)\ntotal = Gemm(h, u, x_t)\nnew = Tanh(total)}> (initial, order)"
)
_NESTED = (
    "sizes = Constant <value = int64[2] {{-1, {steps}}}> ()\nparts_shape = Concat <axis = 0> (sizes, batch)\n"
    "parts = Reshape(order, parts_shape)\n"
    "last = Scan <num_scan_inputs = 1, body = part (float[B, H] h_0, int32[{steps}, B] id) => (float[B, H] h_end) "
    "{{x = Gather(table, id)\nh_end = Scan <num_scan_inputs = 1, body = {step}> (h_0, x)}}> (initial, parts)"
)


def main(rounds: int) -> None:
    """Measures all sizes and prints a Markdown table."""
    ways = {
        "as it is": _FORM.format(step=_STEP),
        **{f"{steps} steps an iteration": _several_steps(steps) for steps in (2, 4, 10)},
        "lookup in the body": _LOOKUP,
        **{f"a Scan in a Scan, {steps} steps": _NESTED.format(steps=steps, step=_STEP) for steps in (10, 50)},
    }
    cells: dict[str, list[str]] = {name: [] for name in list(ways)[1:]}
    for units in _UNITS:
        rng = np.random.default_rng(0)
        table = rng.normal(scale=0.3, size=(_WORDS, units)).astype(np.float32)
        kernel = np.linalg.qr(rng.normal(size=(units, units)))[0].astype(np.float32)
        runs = {name: _open(text, table, kernel) for name, text in ways.items()}
        for batch in _BATCHES:
            ids = rng.integers(_WORDS, size=(batch, _LENGTH), dtype=np.int32)
            expected = runs["as it is"](ids)
            for run in runs.values():
                require_right(expected.astype(np.float64), run(ids))
            times = time_alone(runs, ids, rounds)
            for name, row in cells.items():
                row.append(f"{times['as it is'] / times[name]:.2f}")
    print(f"| {_LENGTH} steps | {' | '.join(f'H{units} B{batch}' for units in _UNITS for batch in _BATCHES)} |")
    print(f"|---|{'---:|' * len(_UNITS) * len(_BATCHES)}")
    for name, row in cells.items():
        print(f"| {name} | {' | '.join(row)} |")


def _several_steps(steps: int) -> str:
    """Writes a Scan whose iteration runs several steps, each with an input of its own."""
    parts = range(steps)
    lookups = "".join(
        f"from_{i} = Constant <value = int64[1] {{{i}}}> ()\nrows_{i} = Slice(order, from_{i}, end, zero, stride)\n"
        f"x_{i} = Gather(table, rows_{i})\n"
        for i in parts
    )
    inputs = ", ".join(f"float[B, H] x_t_{i}" for i in parts)
    states = ["h", *(f"new_{i}" for i in parts)]
    body = "\n".join(f"total_{i} = Gemm({states[i]}, u, x_t_{i})\n{states[i + 1]} = Tanh(total_{i})" for i in parts)
    return (
        f"end = Constant <value = int64[1] {{{_LENGTH}}}> ()\nzero = Constant <value = int64[1] {{0}}> ()\n"
        f"stride = Constant <value = int64[1] {{{steps}}}> ()\n{lookups}"
        f"last = Scan <num_scan_inputs = {steps}, body = step (float[B, H] h, {inputs}) => "
        f"(float[B, H] {states[-1]}) {{{body}}}> (initial, {', '.join(f'x_{i}' for i in parts)})"
    )


def _open(text: str, table: Floats, kernel: Floats) -> Run:
    """Opens a graph of ids (batch, time) to the last state (batch, units)."""
    units = len(kernel)
    head = (
        "order = Transpose <perm = [1, 0]> (ids)\nshape = Shape(order)\none = Constant <value = int64[1] {1}> ()\n"
        "batch = Gather(shape, one)\n"
        f"units = Constant <value = int64[1] {{{units}}}> ()\n"
        "state_shape = Concat <axis = 0> (batch, units)\ninitial = ConstantOfShape(state_shape)"
    )
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]>\n'
        f"form (int32[rows, time] ids) => (float[rows, {units}] last) {{\n{head}\n{text.replace('H]', f'{units}]')}\n}}"
    )
    model.graph.initializer.extend([numpy_helper.from_array(table, "table"), numpy_helper.from_array(kernel, "u")])
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return partial(_run, session)


def _run(session: ort.InferenceSession, ids: Ids) -> Floats:
    last: Floats = session.run(None, {"ids": ids})[0]
    return last


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Compares other ways to write the loop of model.batch.onnx.")
    arguments.add_argument("--rounds", type=int, default=200, help="how often each call is timed")
    main(arguments.parse_args().rounds)
