"""Checks how many inputs CI fuzzes.

That a test ran as many as it promises, the fixture `counted` checks after each of them. So the promises can be added up
here without running anything, in whichever process the tests themselves ran.
"""

from __future__ import annotations

from tests.fuzz import test_inputs, test_models
from tests.fuzz.conftest import TOTAL

PROMISED = {
    name: test.fuzz_count
    for module in (test_inputs, test_models)
    for name, test in vars(module).items()
    if hasattr(test, "fuzz_count")
}


def test_the_tests_promise_all_inputs() -> None:
    assert len(PROMISED) == sum(
        name.startswith("test_") for module in (test_inputs, test_models) for name in vars(module)
    ), "a test without a promised count"
    assert sum(PROMISED.values()) >= TOTAL
