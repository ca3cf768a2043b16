"""Interrupts trainings, and compares the runs of two of them; needs the [train] extra."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rnnx.bundle.directory import HISTORY_NAME, KERAS_NAME, METRICS_NAME, read_directory
from rnnx.train.fit import Epoch, Observer, Progress


class DeathError(Exception):
    """Simulates a power cut inside one process."""


def weights_of(run_dir: Path) -> dict[str, bytes]:
    """Returns the bytes of every weight in a run's model, by name."""
    arrays: dict[str, bytes] = {}

    def read(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item[()]).tobytes()

    with zipfile.ZipFile(run_dir / KERAS_NAME) as archive:
        h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r").visititems(read)
    assert arrays
    return arrays


def assert_same_run(expected: Path, actual: Path) -> None:
    assert weights_of(expected) == weights_of(actual)
    for name in (HISTORY_NAME, METRICS_NAME, "samples.json", "curves.png"):
        assert read_directory(expected)[name] == read_directory(actual)[name], name


def dying(epoch: int, batch: int | None) -> Observer:
    """Returns an observer that raises after the given batch of an epoch, or after the epoch if the batch is None."""

    def on_batch(p: Progress) -> None:
        if (p.epoch, p.batch) == (epoch, batch):
            raise DeathError

    def on_epoch(done: Epoch) -> None:
        if batch is None and done.epoch == epoch:
            raise DeathError

    return Observer(on_batch, on_epoch)
