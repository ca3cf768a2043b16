"""The engine of a Ray cluster: Ray schedules the tasks and runs those of a dead worker again. Needs `[ray]`."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Sequence
from typing import Any

from rnnx.engines.row_spans import CorpusTask
from rnnx.engines.shards import Job, Outcome, prepare_process, run_task
from rnnx.errors import MissingExtraError, RnnxError, UsageError, one_line

_MOST_RETRIES = 3
_CONNECT_SECONDS = 10


def run_on_ray(job: Job, tasks: Sequence[CorpusTask], workers: int | None) -> Generator[Outcome, None, None]:
    """Runs tasks on the cluster at RAY_ADDRESS, or on one that is started on this machine.

    Args:
        job: The job.
        tasks: Its tasks.
        workers: How many run at once, with one CPU each; None leaves one CPU of the cluster free.

    Raises:
        MissingExtraError: If Ray is not installed.
        RnnxError: If workers of a task die again and again.
        UsageError: If the cluster has fewer CPUs.
    """
    if not tasks:
        return
    ray = _connect()
    try:
        count = _require_cpus(int(ray.cluster_resources().get("CPU", 0)), workers)
        run = ray.remote(num_cpus=1, max_retries=_MOST_RETRIES)(_run_task)
        shared = ray.put(job)
        waiting = list(reversed(tasks))
        running: list[Any] = []
        while waiting or running:
            while waiting and len(running) < count:
                running.append(run.remote(shared, waiting.pop()))
            done, running = ray.wait(running)
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RnnxError | OSError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise RnnxError(f"the Ray cluster failed ({one_line(error)}); the same command continues") from error
    finally:
        ray.shutdown()


def _run_task(job: Job, task: CorpusTask) -> Outcome:
    """Runs a task in a process of Ray, which is one for each CPU."""
    prepare_process()
    return run_task(job, task)


def _connect() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray needs Ray: pip install 'rnnx[ray]'") from error
    # Otherwise Ray reports the use of its libraries to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    _require_open_port(address)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, RuntimeError) as error:
        raise RnnxError(f"no Ray cluster at {address or 'this machine'} ({one_line(error)})") from error
    return ray


def _require_open_port(address: str | None) -> None:
    """Makes sure that somebody listens at the address; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("/")[2].rpartition(":")
    if not host or not port.isdigit():  # "auto", "local", or no address
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise RnnxError(f"no Ray cluster at {address} ({error.strerror or error}); check RAY_ADDRESS") from error


def _require_cpus(cpus: int, workers: int | None) -> int:
    """How many tasks run at once; more than there are CPUs would wait without a word."""
    if workers is not None and workers > cpus:
        raise UsageError(f"--workers {workers}: the Ray cluster has {cpus} CPUs; give at most {cpus}, or add nodes")
    return workers or max(1, cpus - 1)
