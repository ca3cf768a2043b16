"""Tests the settings of a process that exports one model and ends."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from rnnx.export.process_settings import without_unused_packages


@pytest.mark.parametrize("name", ["sklearn", "scipy"])
def test_a_package_is_missing_inside_only(name: str) -> None:
    before = sys.modules.pop(name, None)
    try:
        with without_unused_packages(), pytest.raises(ImportError):
            import_module(name)
        assert name not in sys.modules
    finally:
        if before is not None:
            sys.modules[name] = before


@pytest.mark.parametrize("name", ["sklearn", "scipy"])
def test_a_package_that_is_already_imported_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = object()
    monkeypatch.setitem(sys.modules, name, imported)
    with without_unused_packages():
        assert sys.modules[name] is imported
    assert sys.modules[name] is imported


def test_no_garbage_is_collected_at_the_end() -> None:
    """The handler that was registered first runs last, after the one that is tested."""
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from rnnx.export.process_settings import keep_memory\n"
        "keep_memory()\n"
        "print(gc.get_freeze_count() > 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert ran.stdout.split() == ["False", "True"]
