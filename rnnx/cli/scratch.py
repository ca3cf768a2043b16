"""Collects the temporary files of libraries in one folder, so that none is left after the next command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnx.files.home_folders import library_homes
from rnnx.files.publish import temporary_folder


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Makes Keras, TensorFlow and matplotlib put their files into one temporary folder, and removes it at the end.

    This holds for temporary files, and for what Keras and matplotlib otherwise write to the home directory.
    If the process is killed, the folder stays, and the next command removes it.
    """
    before = tempfile.tempdir
    with temporary_folder(Path(tempfile.gettempdir()), "rnnx") as folder:
        tempfile.tempdir = str(folder)
        try:
            with library_homes(folder):
                yield
        finally:
            tempfile.tempdir = before
