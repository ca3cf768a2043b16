"""Makes archives that unpack to more than rnnx accepts."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path

MiB = 1 << 20


def overlapping_zip(path: Path) -> Path:
    """Writes a zip whose directory lists one member of 60 MB, packed into 60 kB, forty times."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r/train/pos/0.txt", bytes(60 * MiB))
        for i in range(1, 40):
            entry = copy.copy(archive.filelist[0])
            entry.filename = f"r/train/pos/{i}.txt"
            archive.filelist.append(entry)
    return path
