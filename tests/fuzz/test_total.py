"""Checks how many inputs CI fuzzes.

The fixture `counted` checks after each test that it ran as many inputs as it promises. So the promises can be added up
here without running anything, in any process.
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


def test_the_promised_inputs_add_up_to_the_total() -> None:
    assert len(PROMISED) == sum(
        name.startswith("test_") for module in (test_inputs, test_models) for name in vars(module)
    ), "every test should promise a number of inputs"
    assert sum(PROMISED.values()) >= TOTAL
