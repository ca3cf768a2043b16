"""A callback that records the progress of stages."""

from __future__ import annotations


class Recorder:
    """Records each call of a progress callback.

    Attributes:
        calls: The stage, how many parts are done, and how many there are.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Records a call."""
        self.calls.append((stage, done, total))

    @property
    def stages(self) -> list[str]:
        """The stages in the order in which they began."""
        return list(dict.fromkeys(stage for stage, _, _ in self.calls))

    def require_all_done(self) -> None:
        """Asserts that each stage counted from 0 to its total; a stage may run again. There has to be one."""
        assert self.calls
        for stage in self.stages:
            parts = [(done, total) for name, done, total in self.calls if name == stage]
            while parts:
                total = parts[0][1]
                assert parts[: total + 1] == [(done, total) for done in range(total + 1)], stage
                parts = parts[total + 1 :]
