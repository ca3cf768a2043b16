"""Runs and bundles on disk: a directory of files whose hashes stand in its `config.json`.

A directory is read once, whole, as bytes; every missing or altered file is named at once. It is written beside its
place and exchanged with what stood there in one step (`rnnx.files.publish`), so that a reader meets the old one or the
new one. Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.errors import ModelError, UsageError
from rnnx.files.publish import publish
from rnnx.files.read import read_file
from rnnx.onnx_file.admission import require_loadable
from rnnx.strict_json import from_json, to_json

MODEL_NAME = "model.onnx"
BATCH_NAME = "model.batch.onnx"
TEXT_NAME = "model.text.onnx"
STREAM_NAME = "model.stream.onnx"
KERAS_NAME = "model.keras"
VOCABULARY_NAME = "vocabulary.txt"
HISTORY_NAME = "history.json"
METRICS_NAME = "metrics.json"
CURVES_NAME = "curves.png"
SAMPLES_NAME = "samples.json"
GOLDEN_NAME = "golden.json"
PARITY_NAME = "parity.json"
PLOT_NAME = "parity.png"
TESTDATA_NAME = "testdata"
EVALUATION_NAME = "evaluation.json"
CARD_NAME = "README.md"

DEFAULT_MODEL = "imdb"

# The shipped ones have 26 files and 26 MB at most, and a config.json of 5 kB.
_MOST_FILES, _MOST_BYTES, _MOST_CONFIG_BYTES = 1000, 1 << 32, 1 << 20

_PACKAGE = Path(__file__).parents[1]
# In a wheel the shipped models lie inside the package, in a checkout beside it.
_SHIPPED = next((d for d in (_PACKAGE / "exported", _PACKAGE.parent / "exported") if d.is_dir()), _PACKAGE / "exported")
SAMPLES_PATH = _SHIPPED / "embed"

T = TypeVar("T")


@dataclass(frozen=True)
class Directory:
    """A run or a bundle, read and checked.

    Attributes:
        path: Where it was read.
        config: Its description.
        files: Name to content of every file that the config lists.
    """

    path: Path
    config: ModelConfig
    files: Mapping[str, bytes]

    def __getitem__(self, name: str) -> bytes:
        """The content of a file that has to be there.

        Raises:
            ModelError: If it is not; says what kind of directory would have it.
        """
        if name not in self.files:
            kind = "a training run; rnnx export makes a bundle of it" if SAMPLES_NAME in self.files else "incomplete"
            raise ModelError(f"{self.path}: no {name}: this is {kind}")
        return self.files[name]


def shipped_names() -> list[str]:
    """The names of the models that came with rnnx."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIG_NAME}"))


def find_directory(name: str | Path) -> Path:
    """Finds a model by the name of a shipped one, or by path (of its directory, or of a file in it).

    Raises:
        ModelError: If there is neither; names the shipped ones.
    """
    shipped = shipped_names()
    if isinstance(name, str) and name in shipped:
        return _SHIPPED / name
    path = Path(name)
    if (path / CONFIG_NAME).is_file():
        return path
    if path.is_file() and is_part_of_model(path):
        return path.parent
    what = f"no {CONFIG_NAME} in it, so it is no model of rnnx" if path.exists() else "no such model or path"
    raise ModelError(f"{name}: {what}; the shipped models are {', '.join(shipped) or '(none)'}")


def is_part_of_model(path: Path) -> bool:
    """Whether a file is one of those that the config beside it lists."""
    try:
        return path.name in _read_config(path.parent).files
    except ModelError:
        return False


def read_directory(path: Path) -> Directory:
    """Reads a run or a bundle and checks every hash.

    Raises:
        ModelError: If the config is broken, or files are missing or altered; all of them are named. If a file is not to
            be trusted; the first is named.
    """
    return _undisturbed(_read_directory, path)


def _read_directory(path: Path) -> Directory:
    config = _read_config(path)
    files: dict[str, bytes] = {}
    missing, altered = [], []
    if strange := [name for name in config.files if not _is_plain(name)]:
        raise ModelError(f"{path / CONFIG_NAME}: files: {strange[0]!r:.60} is not a plain file name")
    if len(config.files) > _MOST_FILES:
        raise ModelError(f"{path / CONFIG_NAME}: names {len(config.files):,} files; {_MOST_FILES} are the most")
    for name, sha256 in config.files.items():
        try:
            files[name] = read_file(path / name, folder=path)
        except OSError:
            missing.append(name)
            continue
        if hash_bytes(files[name]) != sha256:
            altered.append(name)
        if sum(map(len, files.values())) > _MOST_BYTES:
            raise ModelError(f"{path}: its files have more than {_MOST_BYTES >> 20} MB together")
    if missing or altered:
        found = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("altered", altered)) if names]
        raise ModelError(f"{path}: {'; '.join(found)}; get or export this model again")
    for name, data in files.items():
        require_loadable(path / name, data)
    return Directory(path, config, files)


def _is_plain(name: str) -> bool:
    """Whether a name stays in the bundle: a file, or a file in its test data."""
    parts = name.split("/")
    if parts[0] != TESTDATA_NAME and len(parts) > 1:
        return False
    return all(part not in ("", ".", "..") and Path(part).name == part and "\\" not in part for part in parts)


def _read_config(path: Path) -> ModelConfig:
    try:
        return from_json(ModelConfig, read_file(path / CONFIG_NAME, _MOST_CONFIG_BYTES))
    except OSError as error:
        raise ModelError(f"{path / CONFIG_NAME}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path / CONFIG_NAME}: {error}") from error


def hash_bytes(data: bytes) -> str:
    """The sha256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def require_replaceable(out: Path) -> None:
    """Makes sure that a place is free, empty, or holds a run or a bundle.

    Raises:
        UsageError: If something else stands there, which rnnx does not overwrite.
    """
    _undisturbed(_require_replaceable, out)


def _require_replaceable(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: not a directory; choose another --out")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        ours = {CONFIG_NAME, *_read_config(out).files}
    except ModelError as error:
        raise UsageError(f"{out}: holds other files, and no model of rnnx; choose another --out") from error
    found = (path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    if others := sorted(name for name in found if name not in ours):
        raise UsageError(f"{out}: holds files that rnnx did not write ({', '.join(others)}); choose another --out")


def _undisturbed(look: Callable[[Path], T], path: Path) -> T:
    """Looks at a directory, once more if what is wrong with it may be that it was exchanged under our eyes."""
    while True:
        before = _identity(path)
        try:
            return look(path)
        except (ModelError, UsageError, OSError):
            if _identity(path) == before:
                raise


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_mtime_ns


def write_directory(out: Path, config: ModelConfig, files: Mapping[str, bytes]) -> ModelConfig:
    """Writes a run or a bundle in place of what stood there.

    Returns:
        The config as written, the hashes filled in.

    Raises:
        UsageError: If something that is not rnnx's stands there.
        OSError: If it cannot be written; what stood there is untouched then.
    """
    config = dataclasses.replace(config, files={name: hash_bytes(data) for name, data in sorted(files.items())})
    with publish(out, require_replaceable) as folder:
        for name, data in {**files, CONFIG_NAME: to_json(config).encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return config
