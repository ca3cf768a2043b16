"""How long a training will take, from what its first batches took. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

# Before so much was measured, nothing is said: one slow batch of three would be most of it.
_LEAST_BATCHES = 10
_LEAST_SECONDS = 1.0


class Pace:
    """Measures work against time, in parts of different cost (training, validation).

    Work is counted in steps that the network takes, padding included: a batch of long texts takes longer than one of
    short ones, so the share of batches that are done says little about the time that is left.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        """Takes the work that lies ahead, in steps, for each part."""
        self._left = dict(left)
        self._seconds = dict.fromkeys(left, 0.0)
        self._work = dict.fromkeys(left, 0)
        self._batches = 0

    def add(self, part: str, work: int, seconds: float | None) -> None:
        """Notes that a batch is done.

        Args:
            part: Of which part.
            work: Its steps.
            seconds: What it took; None if that says nothing of the others, as a compilation was in it.
        """
        self._left[part] = max(self._left[part] - work, 0)
        if seconds is not None:
            self._work[part] += work
            self._seconds[part] += seconds
            self._batches += 1

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at most; None before there is enough to tell by.

        A part that was not yet measured is taken to cost what the dearest one does: validation has no gradient and is
        cheaper than training.
        """
        if self._is_unknown:
            return None
        rates = self._rates()
        return sum(left * rates.get(part, max(rates.values())) for part, left in self._left.items())

    def seconds_for(self, work: float) -> float | None:
        """How long so much more of the dearest part would take; None before there is enough to tell by."""
        return None if self._is_unknown else work * max(self._rates().values())

    @property
    def _is_unknown(self) -> bool:
        return self._batches < _LEAST_BATCHES or sum(self._seconds.values()) < _LEAST_SECONDS or not self._rates()

    def _rates(self) -> dict[str, float]:
        return {part: self._seconds[part] / work for part, work in self._work.items() if work}


def in_words(seconds: float) -> str:
    """A time to be read at a glance: `40 s`, `4 min`, `2 h 5 min`."""
    if seconds < 99.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
