"""Stores the state of a training on disk, so that a killed training can resume after its last complete epoch.

A checkpoint is a folder with one `.npz` file per stage (a pretraining, the training itself) and `checkpoint.json`,
which names the current file of each stage and its sha256. A save writes a complete new `.npz` file, then replaces
`checkpoint.json` in one step, then deletes the older `.npz` file. So the last complete epoch can be read whenever the
process dies. A training locks the folder, and a second training into the same place is refused. Nothing is unpickled.
NumPy and the standard library only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError, UsageError
from rnnx.files.locks import lock_folder
from rnnx.files.publish import sync_folder
from rnnx.strict_json import to_json_bytes

_FORMAT_VERSION = 1
_INDEX_NAME = "checkpoint.json"
_STAGE_NAME = "[a-z][a-z-]*"
# The files that a save writes, complete or interrupted. A folder with any other file is not a checkpoint.
_OUR_FILES = rf"{re.escape(_INDEX_NAME)}|{_STAGE_NAME}-\d+-[0-9a-f]{{16}}\.npz|\.[a-z0-9.-]+\.new"


@dataclass(frozen=True)
class State:
    """The state of a stage at the end of an epoch.

    Attributes:
        epoch: The number of complete epochs.
        arrays: The arrays by name, with the same bits and dtypes as they were saved.
        values: Anything that JSON can hold.
    """

    epoch: int
    arrays: Mapping[str, npt.NDArray[Any]]
    values: Any


def checkpoint_place(out: Path) -> Path:
    """The folder of the checkpoint of a run: `OUT.checkpoint`, next to the run itself."""
    return out.with_name(f"{out.name}.checkpoint")


class Checkpoint:
    """The stored state of one training; the last epoch of each stage is kept until `remove`."""

    def __init__(self, place: Path, identity: Mapping[str, str | int]) -> None:
        """Opens the folder if it exists; otherwise the first `save` makes it.

        Args:
            place: The folder.
            identity: What decides the training, by name; only a checkpoint with the same identity can be resumed.

        Raises:
            UsageError: If the folder holds the checkpoint of another training (the message says what differs), or is
                not a checkpoint.
            ModelError: If its index was altered or is damaged.
        """
        self.place = place
        self._identity = dict(identity)
        self._stages: dict[str, dict[str, Any]] = {}
        require_checkpoint(place)
        if (place / _INDEX_NAME).exists():
            index = _read_index(place)
            self._require_same(index["identity"])
            self._stages = index["stages"]

    def load(self, stage: str) -> State | None:
        """Reads the last saved state of a stage; None if it was never saved.

        Raises:
            ModelError: If its file is missing or altered.
        """
        if stage not in self._stages:
            return None
        entry = self._stages[stage]
        path = self.place / _file_name(stage, entry)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _damaged(path, f"cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise _damaged(path, "was altered")
        return State(entry["epoch"], _from_npz(data), entry["values"])

    def save(self, stage: str, epoch: int, arrays: Mapping[str, npt.NDArray[Any]], values: Any) -> None:
        """Saves the state of a stage; its earlier state is deleted once the new one is on disk.

        Args:
            stage: The name of the stage, in lower-case letters and dashes, such as `fit`.
            epoch: The number of complete epochs.
            arrays: The arrays by name; numbers or strings, no Python objects.
            values: Anything that JSON can hold.

        Raises:
            OSError: If it cannot be written; the earlier state is then unchanged.
        """
        if not re.fullmatch(_STAGE_NAME, stage):
            raise ValueError(f"a stage's name should match {_STAGE_NAME}, not {stage!r}")
        data = _to_npz(arrays)
        entry = {"epoch": epoch, "sha256": hashlib.sha256(data).hexdigest(), "values": values}
        stages = {**self._stages, stage: entry}
        index = {"format_version": _FORMAT_VERSION, "identity": self._identity, "stages": stages}
        content = to_json_bytes({**index, "sha256": _digest(index)}, indent=2, allow_nan=True)
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            _write(self.place / _file_name(stage, entry), data)
            _write(self.place / _INDEX_NAME, content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.place)) from error
        self._stages = stages
        kept = {_INDEX_NAME, *(_file_name(name, entry) for name, entry in stages.items())}
        for path in self.place.iterdir():
            if path.name not in kept and re.fullmatch(_OUR_FILES, path.name):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes the folder, when the training is complete."""
        require_checkpoint(self.place)
        if self.place.is_dir():
            _clear(self.place)
        self._stages = {}

    def _require_same(self, found: Mapping[str, str | int]) -> None:
        names = sorted({*found, *self._identity})
        if differs := [name for name in names if found.get(name) != self._identity.get(name)]:
            told = ", ".join(_difference(name, found.get(name), self._identity.get(name)) for name in differs)
            raise UsageError(
                f"{self.place}: holds another training that is not complete ({told}); give its arguments to resume it, "
                "another --out to keep it, or --fresh to delete it"
            )


def require_checkpoint(place: Path) -> None:
    """Makes sure that a path is free, or holds nothing but a checkpoint.

    Raises:
        UsageError: If there is anything else.
    """
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError(
            f"{place}: is not a directory, but the checkpoint of the training belongs there; choose another --out"
        )
    if place.is_dir() and (strange := sorted(p.name for p in place.iterdir() if not re.fullmatch(_OUR_FILES, p.name))):
        raise UsageError(f"{place}: holds files that rnnx did not write ({', '.join(strange)}); choose another --out")


@contextmanager
def hold_checkpoint(place: Path) -> Iterator[None]:
    """Locks the folder of a checkpoint against every other training, until the context or the process ends.

    The folder is made for the lock, and removed at the end unless something was saved in it.

    Raises:
        UsageError: If another training has locked it, or it is not a checkpoint.
        OSError: If it cannot be made.
    """
    require_checkpoint(place)
    while True:
        place.mkdir(parents=True, exist_ok=True)
        if lock := lock_folder(place):
            break
        if place.exists():  # otherwise another training has just ended and removed it
            raise UsageError(
                f"{place}: another training with the same --out is running; wait for its end, or choose another --out"
            )
    try:
        yield
    finally:
        if lock.is_on(place):
            with suppress(OSError):  # not empty
                place.rmdir()
        lock.release()


def remove_checkpoint(place: Path) -> None:
    """Deletes a checkpoint, if there is one.

    Raises:
        UsageError: If the folder is not a checkpoint, or a training is running there.
    """
    require_checkpoint(place)
    if place.is_dir():
        with hold_checkpoint(place):
            _clear(place)


def _clear(place: Path) -> None:
    # The index goes first: without it, the files that remain if the process dies in between are ignored.
    (place / _INDEX_NAME).unlink(missing_ok=True)
    for path in place.iterdir():
        path.unlink(missing_ok=True)
    place.rmdir()


def _difference(name: str, found: str | int | None, wanted: str | int | None) -> str:
    is_digest = any(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in (found, wanted))
    return f"other {name}" if is_digest else f"{name} {found}, not {wanted}"


def _file_name(stage: str, entry: Mapping[str, Any]) -> str:
    """A name that depends on the content, so that a save never overwrites a file that the index still names."""
    return f"{stage}-{entry['epoch']}-{entry['sha256'][:16]}.npz"


def _read_index(place: Path) -> dict[str, Any]:
    path = place / _INDEX_NAME
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "is not JSON") from error
    if not isinstance(index, dict) or index.pop("sha256", None) != _digest(index):
        raise _damaged(path, "was altered")
    if index.get("format_version") != _FORMAT_VERSION:
        raise _damaged(path, "was written by another version of rnnx")
    return index


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"{path}: {why}; the training cannot be resumed, and --fresh starts it again")


def _digest(index: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _to_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # not np.savez: older NumPy has no allow_pickle there
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def _from_npz(data: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _write(path: Path, data: bytes) -> None:
    """Replaces a file in one step: a reader finds the old or the new content, even after a power failure."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)
