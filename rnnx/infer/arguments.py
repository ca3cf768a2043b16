"""Checks the arguments of the Python interface; an error names the argument and the allowed values."""

from __future__ import annotations

from operator import index
from typing import Any

from rnnx.errors import UsageError

# A larger count is taken as this one: all at once.
_MOST = 1 << 40


def require_count(name: str, value: Any) -> int | None:
    """Makes sure that an argument is an integer of at least 1, or None; returns it, bounded.

    Raises:
        UsageError: If it is anything else.
    """
    if value is None:
        return None
    try:
        count = 0 if isinstance(value, bool) else index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise UsageError(f"{name} should be an integer of at least 1, or None for the default, not {value!r:.60}")
    return min(count, _MOST)


def require_probability(threshold: Any) -> None:
    """Makes sure that a threshold is a number in 0..1.

    Raises:
        UsageError: If it is anything else.
    """
    try:
        is_probability = not isinstance(threshold, str | bytes) and 0 <= float(threshold) <= 1
    except (TypeError, ValueError, OverflowError):
        is_probability = False
    if not is_probability:
        raise UsageError(f"threshold should be a number in 0..1, not {threshold!r:.60}")
