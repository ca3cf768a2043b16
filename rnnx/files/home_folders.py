"""Keeps the settings and caches of libraries out of the home directory. Imports the standard library only.

Keras writes `~/.keras/keras.json` when it is imported, and matplotlib writes a list of fonts to `~/.cache/matplotlib`
and makes `~/.config/matplotlib`. Where the user has matplotlib's files already, it reads them and writes nothing.

`KERAS_BACKEND` and `keras.json` are never read: rnnx needs the backend TensorFlow, and the float type and image format
that a file was made with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What the user chose, before `library_homes` sets it.
_KERAS_HOME = os.environ.get("KERAS_HOME")


@contextmanager
def library_homes(folder: Path) -> Iterator[None]:
    """Makes Keras and matplotlib write to a temporary folder if they are imported while the block runs.

    Keras then uses TensorFlow. A folder that the user has set for matplotlib stays as it is. At the end, all
    environment variables are again what they were.

    Args:
        folder: The temporary folder.
    """
    chosen = {"KERAS_HOME": str(folder / "keras"), "KERAS_BACKEND": "tensorflow"}
    config = Path(os.environ.get("XDG_CONFIG_HOME") or _user_folder() / ".config")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or _user_folder() / ".cache")
    if "MPLCONFIGDIR" not in os.environ and not all((parent / "matplotlib").is_dir() for parent in (config, cache)):
        chosen["MPLCONFIGDIR"] = str(folder / "matplotlib")
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def keras_cache() -> Path:
    """Returns the folder to which Keras downloads files for this user, and makes it if it is missing."""
    folder = Path(_KERAS_HOME) if _KERAS_HOME else _user_folder() / ".keras"
    with suppress(OSError):  # Keras takes a folder for temporary files if it cannot write here
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _user_folder() -> Path:
    return Path("~").expanduser()
