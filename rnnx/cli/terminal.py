"""Writes to a terminal or a pipe: tables and JSON to stdout; errors, progress and hints to stderr."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rnnx.cli import directions
from rnnx.cli.interrupts import interruption
from rnnx.errors import RnnxError, lacks_memory

if TYPE_CHECKING:
    from rich.progress import TaskID

    from rnnx.proof.progress import OnProgress
    from rnnx.proof.report import ParityReport

# The layout of a table needs all of its rows; with more rows than this, a reader would wait for the first one.
TABLE_ROWS = 200
_PROGRESS_DELAY_S = 1.0
# A message may quote the content of a file, which may be long; the middle of a longer message is left out.
_MOST_CHARACTERS, _LAST_CHARACTERS = 1000, 200
# Not printable for Python, but harmless: the spaces of other scripts, and two joiners, which Persian, Hindi and emoji
# need.
_KEPT = frozenset(
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u200c\u200d"
)


def prepare() -> None:
    """Makes stdout and stderr accept any text: a file name that is not UTF-8 is escaped and raises no error."""
    # Otherwise the next file that is opened would get the number of a closed stream, and what libraries write to that.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # A stream that was closed before the start (`>&-`) is None.
    if sys.stdout is None or sys.stdout.closed:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    if sys.stderr is None or sys.stderr.closed:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # see above
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class StdoutError(Exception):
    """Stdout cannot be written: the disk is full, or the reader has closed the pipe.

    It is not an OSError, because typer handles those itself.

    Attributes:
        is_broken_pipe: Whether the reader has closed the pipe.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout: {error.strerror or error}")
        self.is_broken_pipe = isinstance(error, BrokenPipeError)


def put(data: str | bytes) -> None:
    """Writes to stdout, unchanged.

    Raises:
        StdoutError: If stdout cannot be written.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
    except OSError as error:
        raise StdoutError(error) from error


def flush() -> None:
    """Flushes stdout.

    Raises:
        StdoutError: As for `put`.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        raise StdoutError(error) from error


def give_up_stdout() -> None:
    """Discards what stdout still holds. Python would try to write it at its end, and print another error."""
    _give_up(sys.stdout)


def _give_up(stream: TextIO) -> None:
    with (
        suppress(OSError),
        Path(os.devnull).open("wb") as nowhere,
    ):  # a stream without a descriptor
        os.dup2(nowhere.fileno(), stream.fileno())


def printable(text: str) -> str:
    """Escapes all characters that could control a terminal or break a line, and lone surrogates."""
    if text.isprintable():  # nearly always; the loop below would take a tenth of the time of `rnnx infer --lines`
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def readable(text: str) -> str:
    """Escapes as `printable` does, for a person: without the spaces and joiners of other scripts, which do no harm."""
    return "".join(c if c in _KEPT else printable(c) for c in text) if not text.isprintable() else text


def write(text: str) -> None:
    """Prints lines of data, with control characters escaped."""
    put("\n".join(printable(line) for line in text.split("\n")) + "\n")


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Prints a JSON document; if `indent` is None, on one line and at once."""
    put(json.dumps(value, indent=indent, allow_nan=False) + "\n")
    if indent is None:
        flush()


def write_json_list(values: Iterable[Any]) -> None:
    """Prints a JSON document that is a list, each item as soon as it comes."""
    is_empty = True
    for value in values:
        text = json.dumps(value, indent=2, allow_nan=False).replace("\n", "\n  ")
        put(f"{'[' if is_empty else ','}\n  {text}")
        is_empty = False
    put("[]\n" if is_empty else "\n]\n")


def write_row(cells: Sequence[object]) -> None:
    """Prints one tab-separated line at once, with control characters escaped."""
    put("\t".join(printable(str(cell)) for cell in cells) + "\n")
    flush()


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, to_stderr: bool = False) -> None:
    """Prints a table to a terminal, or tab-separated lines without headings to a pipe."""
    stream = sys.stderr if to_stderr else sys.stdout
    if not stream.isatty():
        text = "".join("\t".join(row) + "\n" for row in _printable_cells(rows))
        if to_stderr:
            _tell(text)
        else:
            put(text)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(
            directions.isolate(readable(column)), justify="right" if is_number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(directions.cell(readable(str(cell))) for cell in row), style=None)
    Console(file=stream, markup=False, emoji=False, highlight=False).print(table)


def _printable_cells(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Returns each cell as `printable` writes it."""
    texts = [list(map(str, row)) for row in rows]
    # One check of all cells takes less time than one of each cell.
    if "".join(map("".join, texts)).isprintable():
        return texts
    return [list(map(printable, row)) for row in texts]


def write_tables(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows as several tables of at most `TABLE_ROWS` rows each; no table for no rows."""
    for start in range(0, len(rows), TABLE_ROWS):
        write_table(columns, rows[start : start + TABLE_ROWS])


def error(message: str) -> None:
    """Prints an error as one line."""
    _say("error", message, "31")


def warning(message: str) -> None:
    """Prints a warning as one line."""
    _say("warning", message, "33")


def note(message: str) -> None:
    """Prints one line about the work in progress."""
    _tell(f"{_shorten(printable(message))}\n")


def hint(command: str) -> None:
    """Prints the next useful command, if a person reads both streams."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        note(f"next: {command}")


def _say(kind: str, message: str, colour: str) -> None:
    label = f"\x1b[{colour}m{kind}:\x1b[0m" if has_colour(sys.stderr) else f"{kind}:"
    _tell(f"{label} {_shorten(printable(message))}\n")


def _tell(text: str) -> None:
    """Writes to stderr; if that fails, the work goes on."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def _shorten(message: str) -> str:
    if len(message) <= _MOST_CHARACTERS:
        return message
    return f"{message[: _MOST_CHARACTERS - _LAST_CHARACTERS]} ... {message[-_LAST_CHARACTERS:]}"


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours, and the user has not turned them off (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(
    description: str, *, has_time_left: bool = True, is_wanted: bool = True
) -> Iterator[Callable[[int, str, int | None], None]]:
    """Shows a progress bar on stderr after the first second, if stderr is a terminal.

    Args:
        description: The text before the bar.
        has_time_left: Whether to show the remaining time, estimated from the last pieces.
        is_wanted: Whether to show a bar at all.

    Yields:
        A function that takes how much is done, a few words to show after the bar, and the total (None if unknown).
        It raises a KeyboardInterrupt that a library has caught since the last call.
    """
    # On a terminal that cannot move its cursor, rich draws no bar, but prints an empty line at the end.
    if not is_wanted or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, words, total: interruption.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TimeRemainingColumn()] if has_time_left else []
    bar = Progress(
        *columns,
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
        # Otherwise rich would send the output for a pipe or a file to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    )
    task = bar.add_task(description, total=None, words="")
    started, is_shown = time.monotonic(), False

    def update(done: int, words: str, total: int | None) -> None:
        nonlocal is_shown
        interruption.check()
        if not is_shown and time.monotonic() - started > _PROGRESS_DELAY_S:
            bar.start()
            is_shown = True
        bar.update(task, completed=done, words=words, total=total)

    try:
        yield update
    finally:
        bar.stop()


@contextmanager
def stages() -> Iterator[OnProgress]:
    """Shows a bar on stderr for each stage that is running, once they have taken a second; on a terminal only.

    A stage without parts gets a bar that moves without a length. A bar goes when its stage is done.

    Yields:
        A callback for `rnnx.proof.progress.reporting_to`, which may be called from several threads. It raises the
        KeyboardInterrupt that a library has swallowed since.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda stage, done, total: interruption.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # it may name a file
        BarColumn(),
        TextColumn("{task.fields[parts]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # as in `progress`
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        interruption.check()
        if stage not in tasks:
            tasks[stage] = bars.add_task(printable(stage), total=total if total > 1 else None, parts="")
        if done < total:
            bars.update(tasks[stage], completed=done, parts=f"{done}/{total}" if total > 1 else "")
        else:
            bars.remove_task(tasks.pop(stage))

    # A stage may have no part that is done within a second, so the bars start by the clock.
    start = threading.Timer(_PROGRESS_DELAY_S, bars.start)
    start.daemon = True
    start.start()
    try:
        yield update
    finally:
        start.cancel()
        start.join()
        bars.stop()


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Hides the log that TensorFlow writes directly to file descriptor 2; `sys.stderr` still works.

    After an unexpected exception, the log is printed.
    """
    import tempfile
    import warnings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.simplefilter("ignore")  # Keras prints warnings of several lines that users cannot act on
    sys.stderr.flush()
    python_stderr, terminal_fd = sys.stderr, os.dup(2)
    with tempfile.TemporaryFile() as log, os.fdopen(os.dup(2), "w", errors="backslashreplace") as stream:
        sys.stderr = stream
        os.dup2(log.fileno(), 2)
        is_expected = False
        try:
            yield
            is_expected = True
        except (RnnxError, OSError, KeyboardInterrupt):
            is_expected = True
            raise
        except Exception as error:
            is_expected = lacks_memory(error)
            raise
        finally:
            stream.flush()
            os.dup2(terminal_fd, 2)
            os.close(terminal_fd)
            sys.stderr = python_stderr
            if not is_expected:
                log.seek(0)
                os.write(2, log.read())


def print_report(report: ParityReport, *, to_stderr: bool = False) -> None:
    """Prints a proof: for each runtime and layer the largest difference, as a share of its bound, and its place."""
    rows = [
        (
            runtime.runtime,
            layer.layer,
            "not finite" if layer.ratio is None else f"{layer.ratio:.3g}",
            f"{layer.probe}{'' if layer.step is None else f', step {layer.step}'}, unit {layer.unit}",
            "-" if runtime.max_abs_diff is None else f"{runtime.max_abs_diff:.2g}",
            "ok" if layer.passed and not runtime.problems else "FAILED",
        )
        for runtime in report.runtimes
        for layer in runtime.layers
    ]
    write_table(
        ("Runtime", "Layer", "Difference / bound", "Largest at", "End to end", "Verdict"), rows, to_stderr=to_stderr
    )
    if report.precision:
        note(report.precision.summary)
    for runtime in report.runtimes:
        for problem in runtime.problems[:3]:
            warning(f"{runtime.runtime}: {problem}")
    for problem in report.problems[:3]:
        warning(problem)
