"""The command line: parses, calls one function, prints, and alone chooses the exit code.

Stages are imported inside the commands, so that `rnnx infer` never loads what `rnnx train` needs.
"""

from __future__ import annotations

import os
import sys

import typer

from rnnx import __version__
from rnnx.cli import diff, doctor, embed, evaluate, explain, export, infer, info, terminal, train, verify
from rnnx.errors import DeviceError, ModelError, ParityError, RnnxError, UntrustedDataError, UsageError

OK, FAILED, USAGE, PARITY, UNTRUSTED, DEVICE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_EXIT_CODES: dict[type[RnnxError], int] = {
    UsageError: USAGE,
    ParityError: PARITY,
    ModelError: UNTRUSTED,
    UntrustedDataError: UNTRUSTED,
    DeviceError: DEVICE,
}
# typer's own usage errors; the class moved between its versions, its place above BadParameter did not.
_PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="rnnx",
    help="Train a Keras SimpleRNN on text, export it to ONNX with a proof, run it anywhere.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
for command in (
    train.train,
    export.export,
    infer.infer,
    explain.explain,
    verify.verify,
    diff.diff,
    evaluate.evaluate,
    info.info,
    embed.embed,
    doctor.doctor,
):
    app.command()(command)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        terminal.write(f"rnnx {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Train a Keras SimpleRNN on text, export it to ONNX with a proof, run it anywhere."""


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command; every expected failure becomes one line on stderr and an exit code."""
    terminal.prepare()
    try:
        # typer answers Ctrl-C itself, with the exit code and without a word.
        code = app(arguments or ["--help"], standalone_mode=False, prog_name="rnnx")
        sys.stdout.flush()
        if code == INTERRUPTED:
            terminal.error("interrupted")
    except _PARSER_ERROR as error:
        terminal.error(f"{error.format_message()} (rnnx {' '.join(arguments[:1])} --help)")  # type: ignore[attr-defined]
        return USAGE
    except RnnxError as error:
        if isinstance(error, ParityError):
            terminal.print_report(error.report, to_stderr=True)
        terminal.error(str(error))
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        terminal.error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`); what Python would still flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        terminal.error(f"{where}{error.strerror or error}")
        return FAILED
    return code if isinstance(code, int) else OK
