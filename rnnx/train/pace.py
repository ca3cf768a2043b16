"""Estimates how long a training will take from the time of its first batches. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

# No estimate is made before so much was measured: of three batches, a slow one would dominate it.
_LEAST_BATCHES = 10
_LEAST_SECONDS = 1.0


class Pace:
    """Measures the time per unit of work, for parts of different cost (training, validation).

    Work is counted in steps that the network takes, including padding. A batch of long texts takes longer than one of
    short texts, so the share of complete batches says little about the remaining time.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        """Starts with the work that is left, in steps, for each part."""
        self._left = dict(left)
        self._seconds = dict.fromkeys(left, 0.0)
        self._work = dict.fromkeys(left, 0)
        self._batches = 0

    def add(self, part: str, work: int, seconds: float | None) -> None:
        """Records a complete batch.

        Args:
            part: The part that the batch belongs to.
            work: The steps of the batch.
            seconds: Its time; None if it is not typical, because a compilation was part of it.
        """
        self._left[part] = max(self._left[part] - work, 0)
        if seconds is not None:
            self._work[part] += work
            self._seconds[part] += seconds
            self._batches += 1

    @property
    def seconds_left(self) -> float | None:
        """The time in seconds that the rest takes at most; None before enough was measured.

        A part that was not measured yet is assumed to cost as much as the most expensive one. That is an upper bound,
        because validation needs no gradient and is cheaper than training.
        """
        if self._is_unknown:
            return None
        rates = self._rates()
        return sum(left * rates.get(part, max(rates.values())) for part, left in self._left.items())

    def seconds_for(self, work: float) -> float | None:
        """The time in seconds for more work at the cost of the most expensive part; None before enough was measured."""
        return None if self._is_unknown else work * max(self._rates().values())

    @property
    def _is_unknown(self) -> bool:
        return self._batches < _LEAST_BATCHES or sum(self._seconds.values()) < _LEAST_SECONDS or not self._rates()

    def _rates(self) -> dict[str, float]:
        return {part: self._seconds[part] / work for part, work in self._work.items() if work}


def in_words(seconds: float) -> str:
    """Formats a time for people: `40 s`, `4 min`, `2 h 5 min`."""
    if seconds < 99.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
