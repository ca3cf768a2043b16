"""Where a training stands, on disk, so that a killed one goes on from its last epoch.

A folder of one `.npz` per stage (a pretraining, the training itself) and `checkpoint.json`, which names the one that
counts of each, with its sha256. A save writes a new `.npz` whole, then exchanges `checkpoint.json` in one step, then
drops the older `.npz`: whenever the process dies, the last whole epoch can be read. Who trains holds the folder, and
nobody else trains into the same place meanwhile. Nothing is ever unpickled. NumPy and the standard library only.
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
# What a save or a death in the middle of one leaves here; anything else is not ours.
_OUR_FILES = rf"{re.escape(_INDEX_NAME)}|{_STAGE_NAME}-\d+-[0-9a-f]{{16}}\.npz|\.[a-z0-9.-]+\.new"


@dataclass(frozen=True)
class State:
    """Where a stage stood at the end of an epoch.

    Attributes:
        epoch: Epochs done.
        arrays: By name, as they were saved: same bits, same types.
        values: A JSON document.
    """

    epoch: int
    arrays: Mapping[str, npt.NDArray[Any]]
    values: Any


def checkpoint_place(out: Path) -> Path:
    """The folder beside a run's place where its training stands until it is done."""
    return out.with_name(f"{out.name}.checkpoint")


class Checkpoint:
    """The state of one training, stage by stage; the last epoch of each stage is kept until `remove`."""

    def __init__(self, place: Path, identity: Mapping[str, str | int]) -> None:
        """Opens the folder, or means to make it with the first `save`.

        Args:
            place: The folder.
            identity: What decides the training, by name; only a checkpoint of the same one is taken up.

        Raises:
            UsageError: If the folder holds the checkpoint of another training (says what differs), or is no checkpoint.
            ModelError: If it was altered, or torn by the file system.
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
        """Reads where a stage stood; None if it was never saved.

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
            raise _damaged(path, str(error.strerror)) from error
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise _damaged(path, "altered")
        return State(entry["epoch"], _from_npz(data), entry["values"])

    def save(self, stage: str, epoch: int, arrays: Mapping[str, npt.NDArray[Any]], values: Any) -> None:
        """Writes where a stage stands now; what it held of the same stage before goes away once that is on disk.

        Args:
            stage: Lower-case letters and dashes, such as `fit`.
            epoch: Epochs done.
            arrays: By name; numbers or strings, no Python objects.
            values: A JSON document.

        Raises:
            OSError: If it cannot be written; the state before is untouched then.
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
        """Throws the folder away: the training is done."""
        require_checkpoint(self.place)
        if self.place.is_dir():
            _clear(self.place)
        self._stages = {}

    def _require_same(self, found: Mapping[str, str | int]) -> None:
        names = sorted({*found, *self._identity})
        if differs := [name for name in names if found.get(name) != self._identity.get(name)]:
            told = ", ".join(_difference(name, found.get(name), self._identity.get(name)) for name in differs)
            raise UsageError(
                f"{self.place}: holds another training that is not done ({told}); give its arguments to go on with it, "
                "another --out to leave it there, or --fresh to throw it away"
            )


def require_checkpoint(place: Path) -> None:
    """Makes sure that a place is free, or holds nothing but a checkpoint.

    Raises:
        UsageError: If something else stands there.
    """
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise UsageError(f"{place}: not a directory, and a training's state should go there; choose another --out")
    if place.is_dir() and (strange := sorted(p.name for p in place.iterdir() if not re.fullmatch(_OUR_FILES, p.name))):
        raise UsageError(f"{place}: holds files that rnnx did not write ({', '.join(strange)}); choose another --out")


@contextmanager
def hold_checkpoint(place: Path) -> Iterator[None]:
    """Keeps every other training out of a place, until the end or the death of this process.

    The folder is made for it; at the end it goes away unless something was saved in it.

    Raises:
        UsageError: If another training holds it, or something else stands there.
        OSError: If it cannot be made.
    """
    require_checkpoint(place)
    while True:
        place.mkdir(parents=True, exist_ok=True)
        if lock := lock_folder(place):
            break
        if place.exists():  # else another training has just ended and removed it
            raise UsageError(
                f"{place}: another training into the same place is running; let it end, or choose another --out"
            )
    try:
        yield
    finally:
        if lock.is_on(place):
            with suppress(OSError):  # not empty
                place.rmdir()
        lock.release()


def remove_checkpoint(place: Path) -> None:
    """Throws a checkpoint away, if there is one.

    Raises:
        UsageError: If something else stands there, or a training is running there.
    """
    require_checkpoint(place)
    if place.is_dir():
        with hold_checkpoint(place):
            _clear(place)


def _clear(place: Path) -> None:
    # The index first: without it, what a death in between leaves counts for nothing.
    (place / _INDEX_NAME).unlink(missing_ok=True)
    for path in place.iterdir():
        path.unlink(missing_ok=True)
    place.rmdir()


def _difference(name: str, found: str | int | None, wanted: str | int | None) -> str:
    is_digest = any(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in (found, wanted))
    return f"other {name}" if is_digest else f"{name} {found}, not {wanted}"


def _file_name(stage: str, entry: Mapping[str, Any]) -> str:
    """Of another content under another name: a save overwrites nothing that the index still counts on."""
    return f"{stage}-{entry['epoch']}-{entry['sha256'][:16]}.npz"


def _read_index(place: Path) -> dict[str, Any]:
    path = place / _INDEX_NAME
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "no JSON") from error
    if not isinstance(index, dict) or index.pop("sha256", None) != _digest(index):
        raise _damaged(path, "altered")
    if index.get("format_version") != _FORMAT_VERSION:
        raise _damaged(path, "another rnnx wrote this")
    return index


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"{path}: {why}: this training cannot go on from there; --fresh starts it anew")


def _digest(index: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _to_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # np.savez cannot be told in every version not to pickle
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def _from_npz(data: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _write(path: Path, data: bytes) -> None:
    """Writes a file in one step: who reads it meets the old one or the new one, after a power cut too."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)
