"""Tests the elementary functions: derivatives against finite differences, and the allowances on installed runtimes."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from rnnx.primitives.elementary import FUNCTIONS, FunctionName
from rnnx.primitives.float32 import function_errors

NAMES = list(FUNCTIONS)
POINTS = np.linspace(-8, 8, 1601) + 1e-4


def test_every_function_has_an_entry() -> None:
    assert set(get_args(FunctionName)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_and_steepest_slopes(name: FunctionName) -> None:
    function, step = FUNCTIONS[name], 1e-6
    differences = (function.value(POINTS + step) - function.value(POINTS - step)) / (2 * step)
    derivatives = function.derivative(POINTS)
    np.testing.assert_allclose(differences, derivatives, rtol=1e-6, atol=1e-9)
    assert 0.99 * function.slope < np.abs(derivatives).max() <= function.slope


@pytest.mark.train
@pytest.mark.parametrize("name", NAMES)
def test_the_allowance_covers_the_installed_runtimes(name: FunctionName) -> None:
    """Checks two million numbers; `bench/proof/activations.py` checks the whole range."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from bench.proof.activations import load_runtimes

    ends = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.random.default_rng(1).uniform(-30, 6, 1000)
    x = np.concatenate([np.linspace(-40, 40, 2_000_001), ends]).astype(np.float32)
    exact = x.astype(np.float64)
    expected = FUNCTIONS[name].value(exact)
    _, bound = function_errors(FUNCTIONS[name], exact, expected, None)
    assert bound is not None
    runtimes = load_runtimes(name)
    assert len(runtimes) == 2
    for run in runtimes.values():
        assert (np.abs(expected - run(x)) <= bound).all()
