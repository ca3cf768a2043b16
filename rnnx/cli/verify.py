"""`rnnx verify`."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
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
    device: Annotated[
        DeviceName, typer.Option(help="auto: every device of this machine that can run the file.")
    ] = DeviceName.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Repeat the proof of a file on this machine.

    Everything that is needed is in the file itself.
    """
    # The reference computes many small products, for which NumPy's threads only cost time. OpenBLAS reads this when
    # NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rnnx.proof.progress import reporting_to
    from rnnx.proof.verify import verify_file

    files, reader = read_onnx_files(model)

    def prove(name: str) -> Verification:
        return verify_file(name, files[name], [device.value], reader)

    with terminal.stages() as on_progress, reporting_to(on_progress), ThreadPoolExecutor() as pool:
        # In threads, because NumPy and onnxruntime release Python's lock; each in a context of its own, which has the
        # callback for the progress.
        runs = [pool.submit(copy_context().run, prove, name) for name in files]
        found = [run.result() for run in runs]
    if as_json:
        terminal.write_json(
            [
                {**dataclasses.asdict(checked), "passed": checked.report.passed, "verdict": _verdict(checked)}
                for checked in found
            ]
        )
    for checked in found:
        if not as_json:
            terminal.print_report(checked.report)
        if not checked.report.passed:
            raise ParityError(f"{checked.file}: {checked.report.first_problem}", checked.report)
    if not as_json:
        for checked in found:
            terminal.write(_verdict(checked))
    terminal.hint(f"rnnx info {model}")


def _verdict(checked: Verification) -> str:
    """Returns the result for one file as a sentence with its figures."""
    if not checked.report.passed:
        return f"{checked.file}: WRONG: {checked.report.first_problem}"
    worst = max(checked.report.runtimes, key=lambda runtime: runtime.worst.ratio or 0.0)
    bits = "; ".join(
        f"{runtime.rpartition(', ')[2]}: "
        + (
            "the same bits as at the export"
            if same == "same"
            else f"not the same bits as at the export, largest difference {checked.max_bits_diff[runtime]:.1g}"
        )
        for runtime, same in checked.bits.items()
    )
    return (
        f"{checked.file}: verified: the largest difference of a step from the float64 reference is "
        f"{worst.worst.ratio:.3f} of the float32 rounding bound (layer {worst.worst.layer}); {bits}"
        f"{checked.report.uncertified}"
    )
