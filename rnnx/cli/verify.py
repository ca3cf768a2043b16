"""`rnnx verify`."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.cli.infer import DeviceName
from rnnx.cli.onnx_files import read_onnx_files
from rnnx.errors import ParityError

if TYPE_CHECKING:
    from rnnx.proof.verify import Verification


def verify(
    model: Annotated[
        str, typer.Argument(help="The name of a shipped model, the path of a bundle, or one .onnx file.")
    ] = DEFAULT_MODEL,
    device: Annotated[DeviceName, typer.Option(help="auto: wherever it can run here.")] = DeviceName.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Prove a file again on this machine, from the evidence inside it."""
    # Hundreds of small products: NumPy's threads would only wait for each other. Read when NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rnnx.proof.verify import verify_file

    files, reader = read_onnx_files(model)
    with ThreadPoolExecutor() as pool:  # NumPy and onnxruntime let go of Python's lock
        found = list(pool.map(lambda name: verify_file(name, files[name], [device.value], reader), files))
    if as_json:
        terminal.write_json(
            [{**dataclasses.asdict(one), "passed": one.report.passed, "verdict": _say(one)} for one in found]
        )
    for one in found:
        if not as_json:
            terminal.print_report(one.report)
        if not one.report.passed:
            raise ParityError(f"{one.file}: {one.report.first_problem}", one.report)
    if not as_json:
        for one in found:
            terminal.write(_say(one))
    terminal.hint(f"rnnx info {model}")


def _say(one: Verification) -> str:
    """The verdict in words and figures."""
    if not one.report.passed:
        return f"{one.file}: WRONG: {one.report.first_problem}"
    worst = max(one.report.runtimes, key=lambda runtime: runtime.worst.ratio or 0.0)
    bits = "; ".join(
        f"{runtime.rpartition(', ')[2]}: "
        + ("the same bits as at the export" if same == "same" else f"other bits, {one.max_bits_diff[runtime]:.1g} off")
        for runtime, same in one.bits.items()
    )
    return (
        f"{one.file}: verified: the largest difference of a step from the float64 reference is "
        f"{worst.worst.ratio:.3f} of the float32 rounding bound (layer {worst.worst.layer}); {bits}"
    )
