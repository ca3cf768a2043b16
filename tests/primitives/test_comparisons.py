"""Tests the primitives that jump: no operands within their errors decide otherwise than the error of a result says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rnnx.primitives import Array, Trace, choose, compare, exact, first_largest, step, track
from rnnx.primitives.float32 import SMALLEST_NORMAL
from rnnx.primitives.operands import rounded
from rnnx.reference import KeepBeyond, OneHot, Tensor, ThresholdedReLU

Compute = Callable[..., Array]
RELATIONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
STEPS = {"ceil": np.ceil, "floor": np.floor, "round": np.rint, "sign": np.sign, "trunc": np.trunc}
SHAPE = (40, 5)
JUMPS: dict[str, tuple[Compute, int]] = {
    **{name: (lambda x, name=name: step(name, x), 1) for name in STEPS},
    **{name: (lambda a, b, name=name: compare(name, a, b), 2) for name in RELATIONS},
    "compare with a number": (lambda x: compare("greater", x, 0.5), 1),
    "argmax": (lambda x: first_largest(x, -1), 1),
    "argmin": (lambda x: first_largest(x, 1, is_least=True), 1),
    "argmax over the rows": (lambda x: first_largest(x, 0), 1),
    "choose": (lambda a, b, c: choose(compare("less", a, b), b, c), 3),
    "one hot": (lambda x: OneHot(3, is_computed=True)(Tensor(first_largest(x, 1)[:, 0])).values, 1),
    "hard shrink": (lambda x: KeepBeyond(0.5, 0.0, True)(Tensor(x)).values, 1),
    "threshold": (lambda x: KeepBeyond(0.5, -1.5)(Tensor(x)).values, 1),
    "relu with a threshold": (lambda x: ThresholdedReLU(0.5, 0.25, 1.5)(Tensor(x)).values, 1),
}


def draw(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws numbers of which many are equal or at a jump, and their errors, of which many are 0."""
    x = rng.integers(-4, 5, SHAPE) / 2 + rng.choice([0.0, 1e-3, -1e-3], SHAPE)
    return x, rng.choice([0.0, 0.0, 5e-4, 2e-3, 0.6], SHAPE)


def error_of(compute: Compute, operands: Sequence[Array], errors: Sequence[Array | None]) -> tuple[Array, Array]:
    trace = Trace()
    tracked = [track(trace, x, error) for x, error in zip(operands, errors, strict=True)]
    result = rounded(compute(*tracked))
    return result.value, np.zeros(result.shape) if result.error is None else result.error


@pytest.mark.parametrize("name", JUMPS)
def test_no_operands_within_their_errors_exceed_the_error(name: str) -> None:
    compute, count = JUMPS[name]
    rng = np.random.default_rng(3)
    operands, errors = zip(*(draw(rng) for _ in range(count)), strict=True)
    value, error = error_of(compute, operands, errors)
    np.testing.assert_array_equal(value, compute(*operands))
    assert error.any()
    reached = np.zeros(value.shape)
    for _ in range(400):
        signs = [rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], SHAPE) for _ in operands]
        moved = compute(*(x + e * sign for x, e, sign in zip(operands, errors, signs, strict=True)))
        reached = np.maximum(reached, np.abs(moved - value))
    assert (reached <= error * (1 + 1e-12)).all()
    assert (reached >= 0.3 * error - 1e-6).mean() > 0.8  # the error is not too large to say anything


@pytest.mark.parametrize("name", JUMPS)
def test_what_is_exact_is_decided_exactly(name: str) -> None:
    compute, count = JUMPS[name]
    rng = np.random.default_rng(4)
    operands = [draw(rng)[0] for _ in range(count)]
    _, error = error_of(compute, operands, [None] * count)
    assert (error < 1e-6).all()  # what a slope rounds


@pytest.mark.parametrize("name", JUMPS)
def test_what_is_not_a_number_stays_visible(name: str) -> None:
    compute, count = JUMPS[name]
    operands = [np.full(SHAPE, np.nan) for _ in range(count)]
    value, _ = error_of(compute, operands, [None] * count)
    assert np.isnan(value).all() or name == "choose"  # its condition is a comparison, whose NaN the layer shows


def test_the_first_of_equal_numbers_is_the_largest() -> None:
    x = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    for is_least, expected in ((False, [[1], [0]]), (True, [[0], [0]])):
        value, error = error_of(lambda a, least=is_least: first_largest(a, 1, is_least=least), [x], [None])
        np.testing.assert_array_equal(value, expected)
        assert not error.any()


def test_numbers_that_a_runtime_takes_for_zero() -> None:
    tiny = SMALLEST_NORMAL / 2
    x = np.array([[tiny, -tiny, 0.0, 1.0]])
    assert error_of(lambda a: compare("greater", a, 0.0), [x], [None])[1].tolist() == [[1, 1, 0, 0]]
    assert error_of(lambda a: step("sign", a), [x], [None])[1].tolist() == [[2, 2, 0, 0]]
    # Keras takes -0.0 for smaller than 0.0, and ONNX does not.
    zeros = np.array([[-0.0, 0.0], [0.0, 0.0]])
    assert error_of(lambda a: first_largest(a, 1), [zeros], [None])[1].tolist() == [[1], [0]]


def test_the_derivative_is_that_beside_a_jump() -> None:
    trace = Trace(keeps_operations=True)
    x: Any = track(trace, np.array([[0.2, 0.7]]))
    kept = rounded(KeepBeyond(0.5, 3.0)(Tensor(x)).values)
    (link,) = kept.links
    assert np.asarray(link.factor).tolist() == [[0.0, 1.0]]
    assert not rounded(step("round", x)).is_followed
    assert exact(kept).tolist() == [[3.0, 0.7]]
