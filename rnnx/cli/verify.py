"""`rnnx verify`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import VOCABULARY_NAME
from rnnx.bundle.find_model import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.cli.infer import DeviceName
from rnnx.cli.memory_limit import find_memory_limit
from rnnx.cli.onnx_files import read_onnx_files
from rnnx.cli.progress_bars import show_stages
from rnnx.cli.proof_table import print_report
from rnnx.errors import ParityError

if TYPE_CHECKING:
    from rnnx.bundle.directory import Directory
    from rnnx.proof.verify import Verification


def verify(
    model: Annotated[
        str, typer.Argument(help="The name of a shipped model, the path of a bundle, or one .onnx file.")
    ] = DEFAULT_MODEL,
    device: Annotated[
        DeviceName, typer.Option(help="auto: every device of this machine that can run the file.")
    ] = DeviceName.AUTO,
    key: Annotated[
        Path | None,
        typer.Option(help="Refuse a bundle that is not signed with this public key or certificate, in PEM."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Repeat the proof of a file on this machine.

    Everything that is needed is in the file itself. In a bundle, the config, the hashes and the card are checked too.
    """
    # The reference computes many small products, for which NumPy's threads only cost time. OpenBLAS reads this when
    # NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rnnx.proof.progress import reporting_to
    from rnnx.proof.verify import verify_file
    from rnnx.proof.whole_bundle import require_figures

    files, reader, directory, is_whole = read_onnx_files(model, key)
    if directory is not None and is_whole:
        require_figures(directory)

    def prove(name: str) -> Verification:
        return verify_file(name, files[name], [device.value], reader, directory)

    with show_stages() as on_progress, reporting_to(on_progress):
        # Under a limit, the C library may have no heap for another thread, and Python 3.11 does not come back from a
        # thread that lacks the memory to handle an exception.
        found = [prove(name) for name in files] if find_memory_limit() else _in_threads(prove, files)
    if as_json:
        terminal.write_json(
            [
                {**dataclasses.asdict(checked), "passed": checked.report.passed, "verdict": _verdict(checked)}
                for checked in found
            ]
        )
    for checked in found:
        if not as_json:
            print_report(checked.report)
        if not checked.report.passed:
            raise ParityError(f"{checked.file}: {checked.report.first_problem}", checked.report)
    if not as_json:
        for checked in found:
            terminal.write(_verdict(checked))
        if directory is not None and is_whole:
            terminal.write(
                f"{directory.config.name}: {len(directory.files)} files have the hashes in config.json; its labels, "
                "tokenizer, inputs and outputs are those in the files; the figures are those that were recorded"
            )
        terminal.write(_limits(found, directory, key))
    terminal.hint(f"rnnx info {model}")


def _in_threads(prove: Callable[[str], Verification], names: Iterable[str]) -> list[Verification]:
    """Proves several files at once: NumPy and onnxruntime release Python's lock."""
    with ThreadPoolExecutor() as pool:
        # Each has a context of its own, with the callback for the progress.
        runs = [pool.submit(copy_context().run, prove, name) for name in names]
        return [run.result() for run in runs]


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
        f"{checked.report.uncertified}{checked.report.overflow}"
    )


def _limits(found: Sequence[Verification], directory: Directory | None, key: Path | None) -> str:
    """Says in a sentence what was proved, and what was not."""
    counts = {
        checked.file: f"{checked.file} ({checked.report.text_count + checked.report.trap_count})" for checked in found
    }
    fewest: dict[str, tuple[int, int, str]] = {}  # by input: unused ids, all ids, and the file that uses the most
    for checked in found:
        for ids in checked.ids:
            here = ids.unused_count, ids.size, checked.file
            fewest[ids.input] = min(fewest.get(ids.input, here), here)
    unused = [f"{count:,} of {size:,} {name} of {file}" for name, (count, size, file) in fewest.items() if count]
    of_ids = (
        f"no golden input uses {' and '.join(unused)}, so that their rows were compared by the hash of the table only; "
        if unused
        else ""
    )
    return (
        f"proved on the golden inputs of each form: {', '.join(counts.values())}; {of_ids}{_structure(found)}; "
        f"{_vocabulary(found, directory)}"
        f"{_signer(key)}"
    )


def _structure(found: Sequence[Verification]) -> str:
    """Says which nodes of the files were accounted for, and which were not."""
    unknown = [
        f"{', '.join(checked.structure.unknown_layers)} of {checked.file}"
        for checked in found
        if checked.structure and checked.structure.unknown_layers
    ]
    readers = [checked.file for checked in found if checked.structure and checked.structure.has_unknown_reader]
    notes = []
    if unknown:
        notes.append(
            "this version does not know the nodes of the layers "
            + " and ".join(unknown)
            + ", where a branch for other "
            "inputs could hide"
        )
    if readers:
        notes.append(f"the tokenizer in {', '.join(readers)} was not compared, because its bundle was not given")
    return "; ".join(notes) or "every node belongs to a layer of the network"


def _vocabulary(found: Sequence[Verification], directory: Directory | None) -> str:
    """Says that words were not compared, where a bundle has a vocabulary and none of its files knows the words."""
    if directory is None or VOCABULARY_NAME not in directory.files or any(checked.has_vocabulary for checked in found):
        return ""
    return f"the words of {VOCABULARY_NAME} that no golden text has were not compared; "


def _signer(key: Path | None) -> str:
    """Says who made the files, if that is known."""
    if key is None:
        return "verify cannot know who made a file without --key, or whether the model is good"
    return f"every file is signed with {key}; verify cannot know whether the model is good"
