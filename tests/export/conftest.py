"""Equal networks have equal names in every test, so that `tests/conversions.py` knows them again."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def names_begin_anew() -> None:
    """Keras counts the layers that it names itself; here, from the beginning of each test."""
    if keras := sys.modules.get("keras"):
        keras.utils.clear_session(free_memory=False)
