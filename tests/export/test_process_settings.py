"""Tests the settings of a process that exports one model and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rnnx.export.process_settings import without_scikit_learn


def test_scikit_learn_is_missing_inside_only() -> None:
    before = sys.modules.pop("sklearn", None)
    try:
        with without_scikit_learn(), pytest.raises(ImportError):
            import sklearn  # noqa: F401
        assert "sklearn" not in sys.modules
    finally:
        if before is not None:
            sys.modules["sklearn"] = before


def test_a_scikit_learn_that_is_already_imported_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = object()
    monkeypatch.setitem(sys.modules, "sklearn", imported)
    with without_scikit_learn():
        assert sys.modules["sklearn"] is imported
    assert sys.modules["sklearn"] is imported


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
