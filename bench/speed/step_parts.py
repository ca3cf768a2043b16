"""Measures what bounds a step of `model.batch.onnx`: the loop itself, the product with U, and tanh.

Each part is measured in onnxruntime, by the same file with another body of its Scan. One that only copies x_t gives the
loop, with the lookup of x_t. What a body of Gemm or of Tanh alone takes beyond that is the product, or tanh. Where JAX
is installed, its whole step is measured in the same rounds. Every figure is the smallest of many, in one thread: what
the machine can do at best.

    python -m bench.speed.step_parts [--rounds 200]
"""

from __future__ import annotations

from bench.machine import restrict

restrict(threads=1)  # before NumPy is imported

# ruff: noqa: E402
import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx
from onnx import helper

from bench.speed.measure import require_right, time_alone
from bench.speed.peers import SYSTEMS, Run
from bench.subjects import Floats, Subject, random_subject
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Ids

_LENGTH = 500
_BATCHES = (8, 32, 128)
_UNITS = (32, 64, 128)
_JAX = "JAX lax.scan"


def main(rounds: int) -> None:
    """Measures all sizes and prints a Markdown table."""
    print("| H | B | a step, us | the loop | h U | tanh | the loop over the step | h U over it | JAX, a step |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for units in _UNITS:
        subject = random_subject(units, seed=0)
        for batch in _BATCHES:
            ids = subject.ids(batch, _LENGTH, np.random.default_rng(0))
            runs = _runs(subject, batch)
            require_right(subject.network.predict(ids), runs["step"](ids))
            times = {name: s / _LENGTH * 1e6 for name, s in time_alone(runs, ids, rounds).items()}
            step, loop = times["step"], times["loop"]
            product, tanh = times["product"] - loop, times["tanh"] - loop
            parts = " | ".join(f"{us:.2f}" for us in (step, loop, product, tanh))
            jax = f"{times[_JAX]:.2f}" if _JAX in times else "-"
            print(f"| {units} | {batch} | {parts} | {loop / step:.0%} | {product / step:.0%} | {jax} |", flush=True)


def _runs(subject: Subject, batch: int) -> dict[str, Run]:
    """Opens the file, its variants and JAX."""
    bodies = {"step": ["Gemm", "Tanh"], "loop": [], "product": ["Gemm"], "tanh": ["Tanh"]}
    sessions = {
        name: Session(_with_body(subject.forms["model.batch.onnx"], operators), device="cpu")
        for name, operators in bodies.items()
    }
    runs: dict[str, Run] = {name: partial(_run, session) for name, session in sessions.items()}
    [jax] = [system for system in SYSTEMS if system.name == _JAX]
    return runs if jax.is_missing else runs | {_JAX: jax.open(subject, 1)(batch, _LENGTH)}


def _with_body(model: bytes, operators: Sequence[str]) -> bytes:
    """Leaves only these operators in the body of the Scan, or a copy of x_t if there are none."""
    proto = onnx.load_from_string(model)
    [scan] = [node for node in proto.graph.node if node.op_type == "Scan"]
    [body] = [attribute.g for attribute in scan.attribute if attribute.name == "body"]
    kept = [node for node in body.node if node.op_type in operators]
    assert [node.op_type for node in body.node] == ["Gemm", "Tanh"]  # noqa: S101  # how the form is written
    if not kept:
        kept = [helper.make_node("Identity", [body.input[1].name], [""])]
    elif operators == ["Tanh"]:
        kept[0].input[0] = body.input[1].name
    kept[-1].output[0] = body.output[0].name
    del body.node[:]
    body.node.extend(kept)
    data: bytes = proto.SerializeToString()
    return data


def _run(session: Session, ids: Ids) -> Floats:
    return session.run(ids)[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures the parts of a step of model.batch.onnx.")
    parser.add_argument("--rounds", type=int, default=200, help="how often each call is timed")
    main(parser.parse_args().rounds)
