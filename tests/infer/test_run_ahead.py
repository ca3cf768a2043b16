"""Tests that windows are run one ahead of the caller, and that nothing is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from rnnx.infer.run_ahead import in_background, run_ahead


class Recorder:
    """Records the order of submissions and waits."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def submit(self, window: int) -> Callable[[], int]:
        """Records a submission; refuses a negative window."""
        if window < 0:
            raise ValueError(f"bad window {window}")
        self.events.append(f"submit {window}")

        def wait() -> int:
            self.events.append(f"wait {window}")
            return window * 10

        return wait


def test_the_next_window_is_submitted_before_a_result_is_waited_for() -> None:
    recorder = Recorder()
    assert list(run_ahead([1, 2, 3], recorder.submit)) == [10, 20, 30]
    assert recorder.events == ["submit 1", "submit 2", "wait 1", "submit 3", "wait 2", "wait 3"]


def test_a_pause_gives_the_results_so_far() -> None:
    recorder = Recorder()
    results = run_ahead([1, None, 2, None, None], recorder.submit)
    assert next(results) == 10
    assert recorder.events == ["submit 1", "wait 1"]  # window 2 has not been asked for yet
    assert list(results) == [20]


@pytest.mark.parametrize("windows", [[], [None], [None, None]])
def test_no_windows_have_no_results(windows: list[int | None]) -> None:
    assert list(run_ahead(windows, Recorder().submit)) == []


def test_an_error_in_a_window_comes_after_the_results_before_it() -> None:
    results = run_ahead([1, -2, 3], Recorder().submit)
    assert next(results) == 10
    with pytest.raises(ValueError, match="bad window -2"):
        next(results)


def test_an_error_of_the_source_comes_after_the_results_before_it() -> None:
    def windows() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    results = run_ahead(windows(), Recorder().submit)
    assert next(results) == 10
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_a_function_in_the_background_gives_its_result_or_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_background(threading.get_ident)() != threading.get_ident()
    failed = in_background(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed()

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert in_background(threading.get_ident)() == threading.get_ident()
