"""Tests Ctrl-C where a library swallows it, in processes of their own, so that pytest itself gets no signal."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import os, signal, sys, time
from rnnx.cli import terminal
from rnnx.cli.interrupts import interruption
from rnnx.cli.progress_bars import show_progress

signal.signal(signal.SIGINT, signal.default_int_handler)
interruption.install()

def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
"""
IN_DEL = """
class Library:
    def __del__(self):
        press()

Library()
"""
IN_A_BARE_EXCEPT = """
try:
    press()
except BaseException:
    pass
"""
GO_ON = """
try:
    for _ in range(100):  # the signal that the timer sends would not cut a single long sleep short
        time.sleep(0.1)
except KeyboardInterrupt:
    sys.exit(130)
"""
NEXT_PIECE = """
try:
    with show_progress("working") as update:
        update(1, "", 2)
except KeyboardInterrupt:
    sys.exit(130)
"""
OTHER = """
class Library:
    def __del__(self):
        raise ValueError("of another kind")

Library()
"""


def run_python(*pieces: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "".join((BEGIN, *pieces))]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)  # noqa: S603  # ours
    return done.returncode, done.stderr


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def test_an_interrupt_lost_in_a_destructor_is_sent_again() -> None:
    assert run_python(IN_DEL, GO_ON) == (130, "")


def test_an_interrupt_that_a_library_catches_is_raised_before_the_next_work() -> None:
    assert run_python(IN_A_BARE_EXCEPT, NEXT_PIECE) == (130, "")


def test_any_other_error_of_a_destructor_is_reported_as_usual() -> None:
    code, said = run_python(OTHER)
    assert code == 0
    assert "of another kind" in said


BEFORE_THE_COMMAND = """
import sys
from rnnx import cli

def run(arguments):
    press()

cli.run = run
cli.main()
"""
AT_THE_END = """
interruption.end()
press()
"""


def test_an_interrupt_outside_of_the_command_is_one_line() -> None:
    assert run_python(BEFORE_THE_COMMAND) == (130, "error: interrupted\n")


def test_an_interrupt_at_the_very_end_ends_the_process() -> None:
    assert run_python(AT_THE_END) == (-2, "")
