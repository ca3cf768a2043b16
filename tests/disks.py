"""Mounts small real disks, held in memory, that a test can fill or make read-only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """Mounts a disk of the given size.

    Args:
        place: An empty folder, or a path that does not exist.
        size_bytes: The capacity of the disk.
    """
    place.mkdir(exist_ok=True)
    if sys.platform != "linux" or not _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)):
        pytest.skip("a disk can be mounted by root on Linux alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S603, S607  # our own words


def make_read_only(disk: Path) -> None:
    """Remounts the disk so that nobody can write to it, not even root."""
    assert _mount("-o", "remount,ro", str(disk))


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0  # noqa: S603, S607  # ours
    except FileNotFoundError:
        return False
