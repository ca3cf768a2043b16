"""Tests that the campaign of kills counts them."""

from __future__ import annotations

from types import SimpleNamespace

from tests.engines.kills import Counts


def test_kills_and_violations_are_counted() -> None:
    counts = Counts()
    for when, outcome, properties in [
        ("setup", "passed", []),
        ("call", "passed", [("victim", "actor"), ("killed", 1)]),
        ("teardown", "passed", [("victim", "actor"), ("killed", 1)]),
        ("call", "failed", [("victim", "actor"), ("killed", 1)]),
        ("call", "passed", [("victim", "driver")]),
        ("setup", "failed", []),
        ("setup", "skipped", []),
    ]:
        flags = {"failed": outcome == "failed", "skipped": outcome == "skipped"}
        report = SimpleNamespace(nodeid="tests/test_x.py::test_y[1]", when=when, user_properties=properties, **flags)
        counts.pytest_runtest_logreport(report)
    assert counts.table().splitlines()[2:] == [
        "| actor | 2 | 1 | 0 |",
        "| driver | 0 | 0 | 0 |",
        "| test_x | 0 | 1 | 1 |",
        "| all | 2 | 2 | 1 |",
    ]
