"""Tests each primitive: its value, its derivative against finite differences, and its bound against moved operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rnnx.primitives import (
    ACTIVATIONS,
    Array,
    Trace,
    activate,
    apply,
    concatenate,
    divide_by_count,
    exact,
    fold,
    largest,
    log,
    log_softmax,
    maximum,
    mix,
    norm,
    pad,
    power,
    repeat,
    rsqrt,
    softmax,
    sort,
    split,
    sqrt,
    swap,
    track,
    unit,
    variance,
    weights,
    where,
    windows,
)
from rnnx.primitives.backward import go_back, merge
from rnnx.primitives.operands import rounded

BATCH = 2
INDEX = np.array([[0, 0, 1], [1, 2, 3], [3, 4, 4]])
IS_THERE = np.array([[False, True, True], [True, True, True], [True, True, False]])
MASK = np.random.default_rng(2).random((BATCH, 5, 3)) < 0.6
KERNEL = np.random.default_rng(3).normal(size=(3, 4))


@dataclass(frozen=True)
class Primitive:
    """A computation with one primitive, or with one after a sum that is still open.

    Attributes:
        compute: The computation.
        plain: The same with NumPy alone.
        count: The number of its operands.
        shape: The shape of each operand.
        is_positive: Whether the operands are positive.
    """

    compute: Callable[..., Array]
    plain: Callable[..., Array]
    count: int = 1
    shape: tuple[int, ...] = (BATCH, 5, 3)
    is_positive: bool = False

    def draw(self, seed: int) -> list[Array]:
        """Draws the operands."""
        rng = np.random.default_rng(seed)
        operands = [rng.normal(size=self.shape) for _ in range(self.count)]
        return [np.abs(x) + 0.5 for x in operands] if self.is_positive else operands


def normalized(x: Array) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True))


def in_windows(x: Array, fill: float) -> Array:
    return np.where(IS_THERE[:, :, None], x[:, INDEX], fill)


PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(lambda a, b: a + b, lambda a, b: a + b, 2),
    "subtract": Primitive(lambda a, b: a - b, lambda a, b: a - b, 2),
    "subtract from a number": Primitive(lambda a: 1.0 - a, lambda a: 1.0 - a),
    "negate": Primitive(lambda a: -a, lambda a: -a),
    "multiply by weights": Primitive(lambda a: a @ KERNEL, lambda a: a @ KERNEL),
    "multiply matrices": Primitive(lambda a, b: a @ swap(b), lambda a, b: a @ b.swapaxes(1, 2), 2),
    "a long sum": Primitive(lambda a, b: a @ KERNEL + b @ KERNEL + 0.3, lambda a, b: (a + b) @ KERNEL + 0.3, 2),
    "sum": Primitive(lambda a: a.sum(axis=1), lambda a: a.sum(axis=1)),
    "sum of sums": Primitive(lambda a: (a + 0.3).sum(axis=-1), lambda a: a.sum(axis=2) + 0.9),
    "mean": Primitive(lambda a: a.mean(axis=1, keepdims=True), lambda a: a.mean(axis=1, keepdims=True)),
    "mean of some": Primitive(
        lambda a: divide_by_count(where(MASK, a, 0.0).sum(axis=1), MASK.sum(axis=1)),
        lambda a: (a * MASK).sum(axis=1) / MASK.sum(axis=1),
    ),
    "multiply": Primitive(lambda a, b: a * b, lambda a, b: a * b, 2),
    "multiply a row": Primitive(
        lambda a, b: a * b.mean(axis=-1, keepdims=True), lambda a, b: a * b.mean(axis=-1, keepdims=True), 2
    ),
    "fold": Primitive(lambda a, b: fold(a + 0.3, b), lambda a, b: (a + 0.3) * b, 2),
    "divide": Primitive(lambda a, b: a / b, lambda a, b: a / b, 2, is_positive=True),
    "divide a number": Primitive(lambda a: 2.0 / a, lambda a: 2.0 / a, is_positive=True),
    "inverse root": Primitive(lambda a: rsqrt(a + 0.3), lambda a: (a + 0.3) ** -0.5, is_positive=True),
    "root": Primitive(lambda a: sqrt(a + 0.3), lambda a: (a + 0.3) ** 0.5, is_positive=True),
    "log": Primitive(lambda a: log(a + 0.3), lambda a: np.log(a + 0.3), is_positive=True),
    "cube": Primitive(lambda a: power(a, 3.0), lambda a: a * a * a),
    "power": Primitive(lambda a: power(a + 0.3, 1.7), lambda a: (a + 0.3) ** 1.7, is_positive=True),
    "power below 1": Primitive(lambda a: power(a, 0.3), lambda a: a**0.3, is_positive=True),
    "inverse power": Primitive(lambda a: power(a, -1.5), lambda a: a**-1.5, is_positive=True),
    "mix": Primitive(mix, lambda z, a, b: z * a + (1 - z) * b, 3),
    "weights": Primitive(lambda a: a * rsqrt(weights(np.full(3, 2.0), a)), lambda a: a / np.sqrt(2.0)),
    "apply": Primitive(lambda a: apply(ACTIVATIONS["tanh"], a), np.tanh),
    "activate": Primitive(lambda a: activate("sigmoid", a + 0.3), lambda a: 1 / (1 + np.exp(-a - 0.3))),
    "softmax": Primitive(softmax, normalized),
    "log softmax": Primitive(log_softmax, lambda a: np.log(normalized(a))),
    "softmax over the time": Primitive(lambda a: softmax(a, axis=1), lambda a: swap(normalized(swap(a)))),
    "largest": Primitive(lambda a: largest(a, axis=1), lambda a: a.max(axis=1)),
    "sort": Primitive(lambda a: sort(a, axis=1), lambda a: np.sort(a, axis=1)),
    "sort of the last axis": Primitive(lambda a: sort(a, axis=-1), lambda a: np.sort(a, axis=-1)),
    "largest, kept": Primitive(lambda a: largest(a, 1, keepdims=True), lambda a: a.max(axis=1, keepdims=True)),
    "maximum": Primitive(maximum, np.maximum, 2),
    "norm": Primitive(lambda a: norm(a + 0.3, 1), lambda a: np.sqrt(((a + 0.3) ** 2).sum(axis=1, keepdims=True))),
    "unit": Primitive(unit, lambda a: a / np.sqrt((a**2).sum(axis=-1, keepdims=True))),
    "variance": Primitive(
        lambda a: variance(a, a.mean(axis=-1, keepdims=True)), lambda a: a.var(axis=-1, keepdims=True)
    ),
    "select": Primitive(lambda a: a[:, ::-1], lambda a: a[:, ::-1]),
    "select one": Primitive(lambda a: (a + 0.3)[:, -1], lambda a: a[:, -1] + 0.3),
    "reshape": Primitive(lambda a: a.reshape(len(a), -1), lambda a: a.reshape(BATCH, 15)),
    "swap": Primitive(lambda a: swap(a + 0.3), lambda a: a.swapaxes(1, 2) + 0.3),
    "split": Primitive(lambda a: split(a @ KERNEL, 2)[1] * 2.0, lambda a: (a @ KERNEL)[..., 2:] * 2.0),
    "split and joined": Primitive(
        lambda a: activate("tanh", split(a @ KERNEL, 2)[1]) + split(a @ KERNEL, 2)[0],
        lambda a: np.tanh((a @ KERNEL)[..., 2:]) + (a @ KERNEL)[..., :2],
    ),
    "concatenate": Primitive(lambda a, b: concatenate([a, b]), lambda a, b: np.concatenate([a, b], axis=-1), 2),
    "where": Primitive(lambda a, b: where(MASK, a, b), lambda a, b: MASK * a + ~MASK * b, 2),
    "repeat": Primitive(lambda a: repeat(a, 3), lambda a: np.stack([a] * 3, axis=1), shape=(BATCH, 4)),
    "pad": Primitive(lambda a: pad(a, 1, 2), lambda a: np.pad(a, ((0, 0), (1, 2), (0, 0)))),
    "windows": Primitive(lambda a: windows(a, INDEX, IS_THERE), lambda a: in_windows(a, 0.0)),
    "largest in windows": Primitive(
        lambda a: largest(windows(a, INDEX, IS_THERE, -np.inf), axis=2), lambda a: in_windows(a, -np.inf).max(axis=2)
    ),
}  # fmt: skip
every_primitive = pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=PRIMITIVES)


@every_primitive
def test_the_value_is_that_of_numpy(primitive: Primitive) -> None:
    operands = primitive.draw(0)
    expected = primitive.plain(*operands)
    np.testing.assert_allclose(primitive.compute(*operands), expected, rtol=1e-13, atol=1e-15)
    trace = Trace()
    tracked: Any = primitive.compute(*(track(trace, x) for x in operands))
    np.testing.assert_array_equal(exact(tracked), primitive.compute(*operands))
    assert (tracked.shape, tracked.ndim) == (expected.shape, expected.ndim)


@every_primitive
@pytest.mark.parametrize("is_merged", [False, True])
def test_the_derivative_equals_finite_differences(primitive: Primitive, is_merged: bool) -> None:
    operands, step = primitive.draw(1), 1e-6
    trace = Trace(keeps_operations=True)
    leaves: list[Any] = [track(trace, x) for x in operands]
    result = rounded(primitive.compute(*leaves))
    operations = merge(trace.operations, [result]) if is_merged else trace.operations
    seeds = np.random.default_rng(4).normal(size=(2, *result.shape))
    gradients = {result.number: seeds}
    go_back(operations, gradients, lambda recorded: recorded)
    for i, x in enumerate(operands):
        for at in np.ndindex(x.shape):
            ends = []
            for by in (step, -step):
                moved = [operand.copy() for operand in operands]
                moved[i][at] += by
                ends.append((primitive.plain(*moved) * seeds).reshape(2, -1).sum(axis=1))
            expected = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(expected, gradients[leaves[i].number][:, *at], rtol=1e-5, atol=1e-7)


@every_primitive
def test_merged_operations_have_the_same_roundings(primitive: Primitive) -> None:
    trace = Trace(keeps_operations=True)
    result = rounded(primitive.compute(*(track(trace, x) for x in primitive.draw(1))))
    gradient = np.ones((1, *result.shape))
    expected = go_back(trace.operations, {result.number: gradient}, lambda recorded: recorded)
    actual = go_back(merge(trace.operations, [result]), {result.number: gradient}, lambda recorded: recorded)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@every_primitive
@pytest.mark.parametrize("size", [1e-6, 1e-2])
def test_inherited_errors_stay_within_the_bound(primitive: Primitive, size: float) -> None:
    rng = np.random.default_rng(5)
    for seed in range(10):
        operands = primitive.draw(seed)
        errors = [rng.uniform(0, size, x.shape) for x in operands]
        trace = Trace()
        result = rounded(primitive.compute(*(track(trace, x, e) for x, e in zip(operands, errors, strict=True))))
        moved = [x + e * rng.choice([-1.0, 1.0], x.shape) for x, e in zip(operands, errors, strict=True)]
        difference = np.abs(primitive.plain(*moved) - primitive.plain(*operands))
        assert result.error is not None
        assert (difference <= result.error + 1e-15).all()
        assert (result.error < 200 * size).all()


@pytest.mark.parametrize("name", ["__pow__", "__floordiv__", "__abs__", "__lt__"])
def test_an_operation_without_a_bound_raises(name: str) -> None:
    x = track(Trace(), np.ones((1, 2)))
    assert not hasattr(x, name) or getattr(x, name)(x) is NotImplemented
    with pytest.raises(TypeError):
        np.exp(x)


def test_weights_alone_are_rounded_once_for_all_rows() -> None:
    """Their rounding counts as one of the operation where they meet the input."""
    trace = Trace(keeps_operations=True)
    x = track(trace, np.ones((2, 1)))
    result = rounded(x * rsqrt(weights(np.full(1, 2.0), x)))
    assert [operation.number for operation in trace.operations] == [result.number]
    assert result.own_error is not None
    assert (result.own_error > 4 * 2.0**-24 / np.sqrt(2)).all()
