"""Stages report from nothing to all of their parts, and nothing if nobody asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from rnnx.proof.progress import reported, reporting_to, track
from tests.progress import Recorder


def test_each_item_is_done_when_the_next_is_asked_for() -> None:
    recorder = Recorder()
    with reporting_to(recorder):
        for item in track("ab", "reading"):
            assert recorder.calls[-1] == ("reading", "ab".index(item), 2)
    assert recorder.calls == [("reading", 0, 2), ("reading", 1, 2), ("reading", 2, 2)]


def test_an_empty_stage_is_not_reported() -> None:
    recorder = Recorder()
    with reporting_to(recorder):
        assert list(track([], "reading")) == []
    assert recorder.calls == []


def test_a_stage_that_fails_is_not_done() -> None:
    recorder = Recorder()
    with reporting_to(recorder), pytest.raises(ValueError, match="broken"), reported("reading"):
        raise ValueError("broken")
    assert recorder.calls == [("reading", 0, 1)]


def test_a_thread_reports_in_a_copy_of_the_context() -> None:
    recorder = Recorder()

    def read() -> list[str]:
        return list(track("ab", "reading"))

    with reporting_to(recorder), ThreadPoolExecutor() as pool:
        assert pool.submit(copy_context().run, read).result() == ["a", "b"]
    recorder.require_all_done()


def test_nobody_is_told_after_the_end() -> None:
    recorder = Recorder()
    with reporting_to(recorder):
        pass
    assert list(track("ab", "reading")) == ["a", "b"]
    assert recorder.calls == []
