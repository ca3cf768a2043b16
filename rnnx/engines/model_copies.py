"""The models of a worker process: each is loaded once, and only if it is the one that was asked for.

Engines use a worker for several jobs, so the hash of the model is part of the key.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import digest, open_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.errors import ModelError
from rnnx.infer.load import load, require_digest
from rnnx.infer.needed_files import DEFAULT_BATCH_SIZES
from rnnx.infer.predictor import Predictor
from rnnx.runtime.session import Device, choose_device

_MOST_MODELS = 4
# A machine has a worker for each core. Half the rows of a lone predictor take 50 MB less, and no more time.
_ROWS_ON_A_CPU = 32


class ModelCopy(NamedTuple):
    """A model and how it is loaded, wherever it is needed.

    Attributes:
        model: The name of a shipped model, or the absolute path of a bundle where the job was begun.
        digest: The hash of all its files.
        device: As for `rnnx.load`.
        batch_size: As for `rnnx.load`.
        threads: As for `rnnx.load`.
    """

    model: str
    digest: str
    device: Device
    batch_size: int | None
    threads: int | None


@lru_cache(_MOST_MODELS)
def load_once(copy: ModelCopy) -> Predictor:
    """Loads a model, at the first call in this process.

    Raises:
        ModelError: If it is not here, or is another one.
    """
    place = _find(copy)
    rows = copy.batch_size or _rows_of_a_worker(place, copy.device)
    predictor = load(place, device=copy.device, batch_size=rows, threads=copy.threads)
    require_digest(str(place), predictor.config, copy.digest)
    _give_back_memory()
    return predictor


def _give_back_memory() -> None:
    """Returns to the system what loading has freed: onnxruntime folds constants, which takes 58 MB more for `imdb`."""
    with suppress(AttributeError, OSError, TypeError):  # only the C library of GNU has it
        ctypes.CDLL(None).malloc_trim(0)


def _rows_of_a_worker(place: str | Path, device: Device) -> int | None:
    """The texts that run together in a worker; None means as many as anywhere else."""
    config = open_directory(find_directory(place), lambda config: set()).config
    rows = DEFAULT_BATCH_SIZES["cuda"] * (config.recurrent_units or 0)
    return _ROWS_ON_A_CPU if choose_device(device, rows) == "cpu" else None


def _find(copy: ModelCopy) -> str | Path:
    """Finds the copy of the model on this machine: the one with the right hash, if there are several."""
    if copy.model in shipped_names():
        return copy.model
    places = [place for place in _places(Path(copy.model)) if (place / CONFIG_NAME).is_file()]
    for place in places:
        if digest(open_directory(place, lambda config: set()).config) == copy.digest:
            return place
    try:
        return places[0] if places else find_directory(Path(copy.model))
    except ModelError as error:
        raise ModelError(f"{error}; a worker needs the model too (rnnx/engines/README.md)") from error


def _places(path: Path) -> Iterator[Path]:
    """Where a bundle may be: at its path, in the working directory, or where Spark unpacks files and archives."""
    yield path
    yield Path(path.name)
    if "pyspark" in sys.modules:
        from pyspark import SparkFiles

        with suppress(AssertionError):  # pyspark is imported, but no job of Spark runs here
            yield Path(SparkFiles.getRootDirectory()) / path.name
