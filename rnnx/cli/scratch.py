"""Where a command's libraries put their temporary files, so that none outlives the next command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnx.files.publish import temporary_folder


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Gathers what Keras and TensorFlow put into the temporary folder in one of ours.

    A command that is killed leaves that folder, and the next one clears it away.
    """
    before = tempfile.tempdir
    with temporary_folder(Path(tempfile.gettempdir()), "rnnx") as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
