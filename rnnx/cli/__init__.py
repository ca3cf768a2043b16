"""The command line: parses arguments, calls one function, prints its result, and chooses the exit code.

Commands import what they need inside the function, so that `rnnx infer` never loads what `rnnx train` needs. Only this
room imports typer and rich, and only this file chooses exit codes.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from rnnx._version import __version__
from rnnx.cli import terminal
from rnnx.cli.examples import epilog
from rnnx.cli.grouped_help import GroupedCommand
from rnnx.cli.interrupts import interruption
from rnnx.cli.memory_limit import exit_process, find_memory_limit, guard_memory, reserve_blas
from rnnx.cli.mistakes import describe, require_command
from rnnx.errors import (
    DeviceError,
    LowMemoryError,
    MissingExtraError,
    ModelError,
    ParityError,
    RnnxError,
    UntrustedDataError,
    UsageError,
    lacks_memory,
)

OK, FAILED, USAGE, PARITY, UNTRUSTED, DEVICE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
BROKEN_PIPE = 141  # the exit code that a shell reports for a program ended by SIGPIPE

_OBJECTS_PER_COLLECTION = 10_000

_EXIT_CODES: dict[type[RnnxError], int] = {
    UsageError: USAGE,
    ParityError: PARITY,
    ModelError: UNTRUSTED,
    UntrustedDataError: UNTRUSTED,
    DeviceError: DEVICE,
}
# The base class of all errors of typer's parser. typer does not export it, but defines it in the same module as
# BadParameter: in click up to typer 0.25, and in typer's own copy of click since then.
_PARSER_ERROR: type[Exception] = import_module(typer.BadParameter.__module__).ClickException

# Each command is the function of this name in the module of this name.
COMMANDS = ("train", "export", "infer", "explain", "verify", "diff", "evaluate", "info", "embed", "doctor")


def make_app(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """Makes the command line of some commands.

    Args:
        names: The commands; their modules are imported.
    """
    app = typer.Typer(
        name="rnnx",
        help="Train recurrent Keras models on text or numbers, export them to ONNX with a proof, run them anywhere.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        app.command(cls=GroupedCommand, epilog=epilog(name))(getattr(import_module(f"rnnx.cli.{name}"), name))
    app.callback()(_root)
    return app


def _print_version(is_asked: bool) -> None:
    if is_asked:
        terminal.write(f"rnnx {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Train recurrent Keras models on text or numbers, export them to ONNX with a proof, run them anywhere."""


def main() -> None:
    """Runs the command line and exits with its code."""
    # Imports and answers make many objects, and hardly any that only refer to each other. Python would look for those
    # whenever it has 700 more objects.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    guard_memory()
    try:
        interruption.install()
        code = run(sys.argv[1:])
        interruption.end()
    except KeyboardInterrupt:  # before or after the command itself
        interruption.end()
        terminal.error("interrupted")
        code = INTERRUPTED
    exit_process(code, is_interrupted=interruption.has_come)


def run(arguments: list[str]) -> int:
    """Runs one command; every expected failure becomes one line on stderr and an exit code.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code.
    """
    terminal.prepare()
    try:
        code = _run(arguments)
        terminal.flush()
    except terminal.StdoutError as error:
        terminal.give_up_stdout()
        if error.is_broken_pipe:  # the reader has closed the pipe, as `| head` does; that is no error
            return BROKEN_PIPE
        terminal.error(str(error))
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        terminal.error(f"{where}{error.strerror or error}")
        return FAILED
    return code


def _run(arguments: list[str]) -> int:
    try:
        code = _call(arguments)
    except _PARSER_ERROR as error:
        terminal.error(describe(error, arguments[0] if arguments[:1] and arguments[0] in COMMANDS else ""))
        return USAGE
    except RnnxError as error:
        if isinstance(error, ParityError):
            from rnnx.cli.proof_table import print_report  # needed when a proof fails

            print_report(error.report, to_stderr=True)
        terminal.error(str(error))
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), FAILED)
    if code == INTERRUPTED:
        terminal.error("interrupted")
    return code


def _call(arguments: list[str]) -> int:
    # If a limit of memory keeps OpenBLAS from starting its threads, it sends the process a SIGINT, as if somebody had
    # pressed Ctrl-C. NumPy reads this when it is imported. Only a training gains from more threads.
    if arguments[:1] != ["train"] or find_memory_limit() is not None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if any("\0" in argument for argument in arguments):  # only a caller in Python can give one
        raise UsageError("an argument has a zero byte, which no name may have; take it out")
    try:
        is_command = bool(arguments) and not arguments[0].startswith("-")
        if is_command:
            require_command(arguments[0], COMMANDS)
        if arguments[:1] == ["train"]:
            reserve_blas()
        # typer builds all commands that it has, which takes longer than a short run; so it gets only the one to be run.
        app = make_app(arguments[:1] if is_command else COMMANDS)
        # typer handles Ctrl-C itself: it raises Abort, and prints nothing.
        code = app(arguments or ["--help"], standalone_mode=False, prog_name="rnnx")
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (_PARSER_ERROR, RnnxError, OSError, terminal.StdoutError) as error:
        if interruption.has_come and isinstance(error, MissingExtraError):
            return INTERRUPTED
        # Under a limit, a library that reads or converts a model may be what lacked memory, and not the model.
        if find_memory_limit() is not None and not isinstance(error, LowMemoryError) and lacks_memory(error):
            raise LowMemoryError from error
        raise
    # Ctrl-C inside a library may surface as any exception: extension modules turn it into errors of their own, and no
    # list of them exists. The same is true of a lack of memory. Every other exception goes on.
    except Exception as error:
        if interruption.has_come:
            return INTERRUPTED
        if lacks_memory(error):
            raise LowMemoryError from error
        raise
    return code if isinstance(code, int) else OK
