"""The engine of one machine: a worker process for each core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing

from rnnx.engines.row_spans import CorpusTask
from rnnx.engines.shards import Job, Outcome, prepare_process, run_task
from rnnx.errors import RnnxError
from rnnx.infer.form_sessions import core_count

# Tasks that wait in a worker's queue, so that it never waits for the next one.
_TASKS_AHEAD = 2
_MOST_RESTARTS = 3


def run_locally(job: Job, tasks: Sequence[CorpusTask], workers: int | None) -> Generator[Outcome, None, None]:
    """Runs tasks in processes of this machine; one worker is this process itself.

    If a worker dies, the tasks that are not done are run again by new workers.

    Args:
        job: The job.
        tasks: Its tasks.
        workers: How many processes run at once; None means one for each core.

    Raises:
        RnnxError: If workers die again and again, and no task gets done.
    """
    count = min(workers or core_count(), len(tasks))
    if count <= 1:
        for task in tasks:
            yield run_task(job, task)
        return
    waiting, restarts = deque(tasks), 0
    while waiting:
        try:
            with closing(_run_pool(job, waiting, count)) as outcomes:
                for outcome in outcomes:
                    restarts = 0
                    yield outcome
        except BrokenProcessPool as error:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise RnnxError(
                    f"workers died {restarts} times and no task got done (too little memory?); the same command "
                    "continues, and --workers 1 needs the least memory"
                ) from error


def _run_pool(job: Job, waiting: deque[CorpusTask], count: int) -> Generator[Outcome, None, None]:
    """Runs the waiting tasks; those that are not done when a worker dies are waiting again."""
    context = multiprocessing.get_context("spawn")
    running: dict[Future[Outcome], CorpusTask] = {}
    pool = ProcessPoolExecutor(count, context, initializer=_prepare_worker)
    try:
        while waiting or running:
            while waiting and len(running) < count * _TASKS_AHEAD:
                running[pool.submit(run_task, job, waiting[0])] = waiting[0]
                waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                del running[future]
                yield outcome
    finally:
        waiting.extendleft(running.values())
        if running:  # a worker has died, or the job was interrupted
            for process in multiprocessing.active_children():
                process.kill()
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Leaves Ctrl-C to the main process, takes little of the machine, and ends with the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_process()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the main process is gone: killed, it could not end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
