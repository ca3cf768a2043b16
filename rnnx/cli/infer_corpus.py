"""`rnnx infer --text-column` into a folder: the answers to a corpus in shards, on this machine or on a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rnnx.cli import terminal
from rnnx.cli.progress_bars import show_progress
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.datasets import TableForm
    from rnnx.engines.jobs import Engine, Plan
    from rnnx.runtime.session import Device

_SHOWN = 5


class EngineName(StrEnum):
    """The choices of `--engine`."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True)
class CorpusOptions:
    """What the user asked for.

    Attributes:
        model: The name of a shipped model, or the path of a bundle.
        text_column: The column of the texts.
        out: The folder of the answers.
        threshold: As in `Predictor.predict`.
        device: As for `rnnx.load`.
        batch_size: As for `rnnx.load`.
        threads: As for `rnnx.load`, in each process; None means 1.
    """

    model: str
    text_column: str
    out: str
    threshold: float
    device: Device
    batch_size: int | None
    threads: int | None


def is_corpus(out: str | None, *, has_engine: bool) -> bool:
    """Says whether the answers go into a folder: `--out` names one, or has no ending of a file.

    Raises:
        UsageError: If an engine is asked for, and they do not.
    """
    is_folder = out is not None and ("://" in out or not Path(out).suffix or Path(out).is_dir())
    if has_engine and not is_folder:
        raise UsageError("--engine and --workers write many files: give --out a folder")
    return is_folder


def infer_corpus(
    options: CorpusOptions, files: Sequence[str], form: TableForm, engine: EngineName, workers: int | None
) -> int:
    """Answers the rows of many tables.

    Args:
        options: The model, the column and the folder.
        files: Files, folders and patterns.
        form: How the tables are written.
        engine: Who runs the tasks.
        workers: How many processes run at once; None means one for each core.

    Returns:
        The exit code: 1 if a row or a file has no answer.
    """
    from rnnx.engines import ArrowPredictor
    from rnnx.engines.corpus_files import absolute
    from rnnx.engines.jobs import open_job
    from rnnx.engines.shards import Job
    from rnnx.files.places import require_folder_place

    if "://" not in options.out:
        require_folder_place(Path(options.out))
    predictor = ArrowPredictor(
        options.model,
        options.text_column,
        threshold=options.threshold,
        device=options.device,
        batch_size=options.batch_size,
        threads=options.threads or 1,
    )
    run, job = _choose_engine(engine), Job(predictor, absolute(options.out), form)
    with open_job(job, files) as plan:
        report = _Report(plan)
        started = time.monotonic()
        with show_progress("answering") as update, closing(run(job, plan.missing, workers)) as outcomes:
            for outcome in outcomes:
                report.add(outcome.rows, outcome.failed, outcome.problem, outcome.warning)
                rate = report.rows / max(time.monotonic() - started, 1e-9)
                update(report.rows, f"{rate:,.0f} rows/s", plan.missing_rows)
        report.show(time.monotonic() - started)
    return 1 if report.failed or report.problems else 0


def _choose_engine(engine: EngineName) -> Engine:
    if engine is EngineName.RAY:
        from rnnx.engines.ray_tasks import run_on_ray

        return run_on_ray
    from rnnx.engines.local_pool import run_locally

    return run_locally


class _Report:
    """Counts what was done, and says it at the end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.rows = self.failed = self.shards = 0
        self.problems = list(plan.problems)

    def add(self, rows: int, failed: int, problem: str | None, warning: str | None) -> None:
        self.rows += rows
        self.failed += failed
        self.shards += problem is None
        if problem is not None:
            self.problems.append(problem)
        if warning is not None:
            terminal.warning(warning)

    def show(self, seconds: float) -> None:
        for problem in self.problems[:_SHOWN]:
            terminal.error(problem)
        if len(self.problems) > _SHOWN:
            terminal.error(f"{len(self.problems) - _SHOWN:,} more files or parts of files have no answers")
        if self.failed:
            rows = "row has" if self.failed == 1 else "rows have"
            terminal.error(f"{self.failed:,} {rows} no answer; the column error says why")
        there = len(self._plan.tasks) - len(self._plan.missing)
        kept = f"; {there:,} shards were there" if there else ""
        rate = f", {self.rows / seconds:,.0f} rows/s" if self.rows else ""
        terminal.note(f"computed {self.rows:,} rows in {self.shards:,} shards ({seconds:.1f} s{rate}){kept}")
