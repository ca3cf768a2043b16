"""Tests of the benchmark of latency: every system that rnnx's own requirements bring is right, and is timed."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train


def test_every_system_computes_the_network_and_is_timed() -> None:
    from bench.speed.measure import measure_cell, open_systems
    from bench.speed.peers import SYSTEMS
    from bench.subjects import random_subject

    subject = random_subject(4, seed=0)
    own = [system for system in SYSTEMS if system.module is None]
    ready, absent = open_systems(own, subject, threads=1)
    assert absent == {}
    cell = measure_cell(subject, ready, subject.ids(2, 5, np.random.default_rng(0)), rounds=1, seconds=0.0)
    assert cell.refused == {}
    assert set(cell.timings) == {system.name for system in own}
    assert all(timing.calls > 0 and timing.max_abs_diff < 1e-6 for timing in cell.timings.values())
