"""A job: the answers to a corpus, in shards. The same job again computes what is missing.

An engine is a function that takes a job and its tasks, and yields their outcomes in any order. When it is closed, it
ends its workers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rnnx.engines.corpus_files import (
    FileSize,
    absolute,
    file_size,
    find_files,
    is_remote,
    list_names,
    make_folder,
    remove_temporary,
)
from rnnx.engines.manifest import make_manifest, read_manifest, require_same_job, write_manifest
from rnnx.engines.shards import Job, Outcome
from rnnx.engines.spans import CorpusTask, plan_tasks
from rnnx.errors import DataError, UsageError
from rnnx.files.locks import lock_folder

Engine: TypeAlias = Callable[[Job, Sequence[CorpusTask], int | None], Generator[Outcome, None, None]]


@dataclass(frozen=True)
class Plan:
    """What a job has to do.

    Attributes:
        tasks: All tasks.
        missing: Those without a shard.
        problems: Why files have no tasks.
    """

    tasks: Sequence[CorpusTask]
    missing: Sequence[CorpusTask]
    problems: Sequence[str]

    @property
    def missing_rows(self) -> int | None:
        """How many rows are missing; None if that is not known yet."""
        counts = [task.rows for task in self.missing]
        return None if None in counts else sum(count or 0 for count in counts)


@contextmanager
def open_job(job: Job, patterns: Sequence[str]) -> Iterator[Plan]:
    """Begins a job or continues it; while the block runs, no other process may do so.

    Args:
        job: The job.
        patterns: Files, folders and patterns.

    Yields:
        What there is to do.

    Raises:
        UsageError: If no file is found, or the folder of the answers holds anything else, or another process is
            writing to it.
    """
    out = absolute(job.out)
    old = read_manifest(out)
    files = [path for path in find_files(patterns) if not path.startswith(f"{out}/")]
    tasks, sizes, problems = _plan_files(job, files)
    manifest = make_manifest(job, sizes)
    if old is not None:
        manifest = require_same_job(out, old, manifest)
    make_folder(out)
    with _locked(out):
        remove_temporary(out)
        if manifest != old:
            write_manifest(out, manifest)
        done = list_names(out)
        try:
            yield Plan(tasks, [task for task in tasks if task.shard_name not in done], problems)
        finally:
            remove_temporary(out)


def _plan_files(job: Job, files: Sequence[str]) -> tuple[list[CorpusTask], dict[str, FileSize], list[str]]:
    tasks: list[CorpusTask] = []
    sizes: dict[str, FileSize] = {}
    problems: list[str] = []
    for path in files:
        try:
            size = file_size(path)
            tasks += plan_tasks(path, size.size_bytes, job.form)
            sizes[path] = size
        except DataError as error:
            problems.append(str(error))
    return tasks, sizes, problems


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    if is_remote(folder):  # object storage has no locks
        yield
        return
    lock = lock_folder(Path(folder))
    if lock is None:
        raise UsageError(f"{folder}: another process is writing to it; wait for it, or choose another --out")
    try:
        yield
    finally:
        lock.release()
