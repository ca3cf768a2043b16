"""How many inputs CI fuzzes, counted as they were run."""

from __future__ import annotations

import pytest

from tests.fuzz import test_inputs, test_models
from tests.fuzz.checks import Fuzz
from tests.fuzz.conftest import TOTAL

TARGETS = [
    name for module in (test_inputs, test_models) for name, test in vars(module).items() if hasattr(test, "fuzz_count")
]


def test_as_many_were_run_as_are_promised(fuzz: Fuzz) -> None:
    """Runs last, by its name."""
    if missing := sorted(set(TARGETS) - fuzz.counts.keys()):
        pytest.skip(f"not all targets ran here ({', '.join(missing)})")
    assert fuzz.counts.total() >= TOTAL
