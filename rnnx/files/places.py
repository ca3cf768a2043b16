"""Makes sure that there is room for a result before the work begins. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from rnnx.errors import UsageError


def require_folder_place(out: Path, option: str = "--out") -> None:
    """Makes sure that a folder can be made at a path, together with the missing folders above it.

    Args:
        out: The path. A folder that is there is no reason to refuse.
        option: The option of the path, for the message.

    Raises:
        UsageError: If it, or something above it, is not a folder.
    """
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"{out}: is not a folder; choose another {option}")
    _require_folder_above(out, option)


def require_file_place(out: Path, option: str = "--out") -> None:
    """Makes sure that a file can be written at a path.

    Args:
        out: The path. A file that is there is no reason to refuse.
        option: The option of the path, for the message.

    Raises:
        UsageError: If there is a folder, or there is no folder to write the file in.
    """
    _require_folder_above(out, option)
    if out.is_dir():
        raise UsageError(f"{out}: is a folder, not a file; choose another {option}")
    if not out.parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}; make it, or choose another {option}")


def _require_folder_above(out: Path, option: str) -> None:
    for parent in out.parents:
        if parent.is_dir():
            return
        if os.path.lexists(parent):
            raise UsageError(
                f"{out}: {parent} is not a folder, so nothing can be written in it; choose another {option}"
            )
