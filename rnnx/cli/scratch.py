"""Collects the temporary files of libraries in one folder, so that none is left after the next command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnx.files.publish import temporary_folder


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Makes Keras and TensorFlow put their temporary files into one folder, and removes it at the end.

    If the process is killed, the folder stays, and the next command removes it.
    """
    before = tempfile.tempdir
    with temporary_folder(Path(tempfile.gettempdir()), "rnnx") as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
