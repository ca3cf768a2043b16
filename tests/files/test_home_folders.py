"""Tests that Keras takes its settings and its backend from rnnx, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnx.files.home_folders import library_homes


def test_keras_uses_tensorflow_even_if_the_user_has_set_another_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "jax"}', encoding="utf-8")
    for name, value in {"KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path / ".keras")}.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with library_homes(tmp_path / "scratch"):
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
        assert os.environ["KERAS_HOME"] == str(tmp_path / "scratch" / "keras")
    assert dict(os.environ) == before


def test_the_variables_are_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERAS_BACKEND", "KERAS_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with library_homes(tmp_path):
        assert "KERAS_HOME" in os.environ
    assert dict(os.environ) == before


def test_a_folder_for_matplotlib_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", "mine")
    with library_homes(tmp_path):
        assert os.environ["MPLCONFIGDIR"] == "mine"
