"""Reads and writes the directories of training runs and bundles, whose `config.json` lists the hash of each file.

Every file is read once, as bytes, and the message names all files that are missing or altered. A directory is written
under a temporary name and then put in place in one step (`rnnx.files.publish`), so that a reader finds either the old
or the new version. Imports the standard library only, but protobuf where a whole bundle is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.errors import ModelError, UsageError
from rnnx.files.places import require_folder_place
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
SETTINGS_NAME = "train.toml"
GOLDEN_NAME = "golden.json"
PARITY_NAME = "parity.json"
PLOT_NAME = "parity.png"
TESTDATA_NAME = "testdata"
EVALUATION_NAME = "evaluation.json"
CARD_NAME = "README.md"
SIGNATURE_NAME = "model.sig"  # covers every other file, so config.json does not list it

# The shipped models have at most 26 files and 26 MB, and a config.json of 5 kB.
_MAX_FILES, _MAX_BYTES, _MAX_CONFIG_BYTES = 1000, 1 << 32, 1 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class Directory:
    """A training run or a bundle whose files were read and checked, or are when they are needed.

    Attributes:
        path: The path of the directory.
        config: The content of its `config.json`, which lists all files.
        files: The content of the files that were read, by name: all after `read_directory`, some after
            `open_directory`.
    """

    path: Path
    config: ModelConfig
    files: Mapping[str, bytes]

    def __getitem__(self, name: str) -> bytes:
        """Returns the content of a required file. A file that was not read yet is read and checked now.

        Raises:
            ModelError: If the config does not list the file (the message says whether the directory is a training run),
                or if the file is missing, was altered, or may not be loaded.
        """
        if name in self.files:
            return self.files[name]
        if name not in self.config.files:
            if SAMPLES_NAME in self.config.files:
                kind = "this is a training run; rnnx export makes a bundle of it"
            else:
                kind = "this bundle is incomplete; get or export this model again"
            raise ModelError(f"{self.path}: no {name}: {kind}")
        return _read_files(self.path, self.config, [name])[name]


def is_part_of_model(path: Path) -> bool:
    """Says whether the config in the same directory lists a file."""
    try:
        return path.name in _read_config(path.parent).files
    except ModelError:
        return False


def read_directory(path: Path, signed: Mapping[str, str] | None = None) -> Directory:
    """Reads a training run or a bundle, and checks the hash of every file, and what its ONNX files say of the model.

    Args:
        path: The path of the directory.
        signed: As for `open_directory`.

    Raises:
        ModelError: If the config is broken, if files are missing or altered (the message names all of them), if a file
            may not be loaded (the message names the first), or if the config has other labels than an ONNX file, say.
    """

    def read(path: Path) -> Directory:
        config = _read_config(path, signed)
        files = _read_files(path, config, config.files)
        for name, data in files.items():
            if name.endswith(".onnx"):
                _require_described(data, config)
        return Directory(path, config, files)

    return _undisturbed(read, path)


def _require_described(model: bytes, config: ModelConfig) -> None:
    """Makes sure that a config describes an ONNX file, which has been admitted."""
    from rnnx.bundle.metadata import require_same
    from rnnx.onnx_file.messages import parse_model, read_properties  # protobuf, which inference does not need

    require_same(read_properties(parse_model(model)), config)


def open_directory(
    path: Path, choose: Callable[[ModelConfig], Collection[str]], signed: Mapping[str, str] | None = None
) -> Directory:
    """Reads the config of a training run or a bundle and only some of its files, and checks the hashes of these.

    This is for inference, which needs two of the 19 files of a shipped model. Other commands call `read_directory`.

    Args:
        path: The path of the directory.
        choose: Names the files to read, given the config. Those that the config does not list are left out.
            `Directory.__getitem__` reads any other file when it is needed; after the directory was replaced, it fails.
        signed: The hashes that were signed (`rnnx.bundle.signature`), by file name. The config has to have its hash,
            and to list these files with theirs; None for a directory whose signature is not asked for.

    Raises:
        ModelError: As `read_directory`, but only for the config and the named files.
    """

    def read(path: Path) -> Directory:
        config = _read_config(path, signed)
        names = choose(config)
        return Directory(path, config, _read_files(path, config, [name for name in config.files if name in names]))

    return _undisturbed(read, path)


def _read_files(path: Path, config: ModelConfig, names: Iterable[str]) -> dict[str, bytes]:
    """Reads some of the files that a config lists, once each, and checks their hashes and whether they may be loaded.

    Raises:
        ModelError: As `read_directory`, for these files.
    """
    files: dict[str, bytes] = {}
    missing, altered = [], []
    for name in config.files:
        require_plain_name(path / CONFIG_NAME, name)
    if len(config.files) > _MAX_FILES:
        raise ModelError(f"{path / CONFIG_NAME}: lists {len(config.files):,} files; at most {_MAX_FILES} are supported")
    for name in names:
        try:
            files[name] = read_file(path / name, folder=path)
        except OSError:
            missing.append(name)
            continue
        if hash_bytes(files[name]) != config.files[name]:
            altered.append(name)
        if sum(map(len, files.values())) > _MAX_BYTES:
            raise ModelError(f"{path}: its files are larger than {_MAX_BYTES >> 20} MB in total")
    if missing or altered:
        found = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("altered", altered)) if names]
        raise ModelError(f"{path}: {'; '.join(found)}; get or export this model again")
    return {name: require_loadable(path / name, data) for name, data in files.items()}


def require_plain_name(source: Path, name: str) -> None:
    """Makes sure that the name of a file cannot lead out of its bundle.

    Args:
        source: The file that lists the name, for the message.
        name: The name.

    Raises:
        ModelError: If it could.
    """
    if not _is_plain(name):
        raise ModelError(f"{source}: files: {name!r:.60} is not a plain file name")


def _is_plain(name: str) -> bool:
    """Says whether a name cannot lead out of the bundle: a file in it, or in its folder of test data.

    Control characters and lone surrogates, which are not printable, are in no name that rnnx writes.
    """
    if not name.isprintable():
        return False
    parts = name.split("/")
    if parts[0] != TESTDATA_NAME and len(parts) > 1:
        return False
    return all(part not in ("", ".", "..") and Path(part).name == part and "\\" not in part for part in parts)


def _read_config(path: Path, signed: Mapping[str, str] | None = None) -> ModelConfig:
    try:
        data = read_file(path / CONFIG_NAME, _MAX_CONFIG_BYTES)
        config = from_json(ModelConfig, data)
    except OSError as error:
        raise ModelError(f"{path / CONFIG_NAME}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{path / CONFIG_NAME}: {error}") from error
    if signed is not None and {**config.files, CONFIG_NAME: hash_bytes(data)} != signed:
        raise ModelError(f"{path}: its files are not those that were signed; get this model again")
    return config


def hash_bytes(data: bytes) -> str:
    """Returns the sha256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def digest(config: ModelConfig) -> str:
    """Returns the sha256 of a model, in hex: of the names and hashes of all its files.

    The labels and the tokenizer are part of it, because the `.onnx` files hold them too.
    """
    return hash_bytes("".join(f"{name} {config.files[name]}\n" for name in sorted(config.files)).encode())


def require_replaceable(out: Path) -> None:
    """Makes sure that a path is free, an empty directory, or holds a training run or a bundle.

    Raises:
        UsageError: If anything else is there, which rnnx does not overwrite, or if the path is inside a file.
    """
    _undisturbed(_require_replaceable, out)


def _require_replaceable(out: Path) -> None:
    require_folder_place(out)
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: not a directory; choose another --out")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        ours = {CONFIG_NAME, SIGNATURE_NAME, *_read_config(out).files}
    except ModelError as error:
        raise UsageError(f"{out}: it holds files, but no model of rnnx; choose another --out") from error
    found = (path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    if others := sorted(name for name in found if name not in ours):
        raise UsageError(f"{out}: it holds files that rnnx did not write ({', '.join(others)}); choose another --out")


def _undisturbed(look: Callable[[Path], T], path: Path) -> T:
    """Calls `look`, and calls it again after an error if the directory was replaced meanwhile."""
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


def write_directory(
    out: Path,
    config: ModelConfig,
    files: Mapping[str, bytes],
    sign: Callable[[Mapping[str, bytes]], bytes] | None = None,
) -> ModelConfig:
    """Writes a training run or a bundle, and replaces the one at the same path.

    Args:
        out: The path of the directory.
        config: The config, without the hashes.
        files: The content of each file, by name.
        sign: Returns the signature of all files with the config, by name; None for a directory without a signature.

    Returns:
        The config with the hashes, as it was written.

    Raises:
        UsageError: If `out` holds anything else than a training run or a bundle.
        OSError: If the directory cannot be written. What was at `out` is unchanged in that case.
    """
    config = dataclasses.replace(config, files={name: hash_bytes(data) for name, data in sorted(files.items())})
    whole = {**files, CONFIG_NAME: to_json(config).encode()}
    if sign is not None:
        whole[SIGNATURE_NAME] = sign(whole)
    from rnnx.files.publish import publish  # inference writes nothing, and starts faster without it

    with publish(out, require_replaceable) as folder:
        for name, data in whole.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return config
