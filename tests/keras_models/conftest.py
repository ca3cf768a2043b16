"""Gives equal networks equal names in every test, so that `tests/conversions.py` recognizes them."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def restart_layer_names() -> None:
    """Keras numbers the layers that it names itself; this restarts the numbers in each test."""
    if keras := sys.modules.get("keras"):
        keras.utils.clear_session(free_memory=False)
