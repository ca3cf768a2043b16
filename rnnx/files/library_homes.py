"""Keeps the settings and caches that libraries write out of the home directory. Imports the standard library only.

Keras writes `~/.keras/keras.json` when it is imported, and matplotlib writes a list of fonts to `~/.cache/matplotlib`
and makes `~/.config/matplotlib`. Where the user has these files already, the libraries read them and write nothing.
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

    Environment variables that the user has set stay as they are.

    Args:
        folder: The temporary folder.
    """
    chosen = {}
    if not (_user_folder() / ".keras" / "keras.json").exists():
        chosen["KERAS_HOME"] = str(folder / "keras")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or _user_folder() / ".config")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or _user_folder() / ".cache")
    if not all((parent / "matplotlib").is_dir() for parent in (config, cache)):
        chosen["MPLCONFIGDIR"] = str(folder / "matplotlib")
    ours = {name: value for name, value in chosen.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def keras_cache() -> Path:
    """Returns the folder to which Keras downloads files for this user, and makes it if it is missing."""
    folder = Path(_KERAS_HOME) if _KERAS_HOME else _user_folder() / ".keras"
    with suppress(OSError):  # Keras takes a folder for temporary files if it cannot write here
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _user_folder() -> Path:
    return Path("~").expanduser()
