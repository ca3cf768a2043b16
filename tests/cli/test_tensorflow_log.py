"""Tests that the log of TensorFlow does not reach the user unless a command fails unexpectedly. No TensorFlow."""

from __future__ import annotations

import logging
import os

import pytest

from rnnx.cli.tensorflow_log import quiet_tensorflow


def test_warnings_that_users_cannot_act_on_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_tensorflow():
        logging.getLogger("tensorflow").warning("5 out of the last 5 calls triggered tf.function retracing")
        os.write(2, b"oneDNN custom operations are on")
    assert capfd.readouterr().err == ""


def test_the_log_is_shown_after_an_unexpected_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with quiet_tensorflow():
            os.write(2, b"oneDNN custom operations are on")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert capfd.readouterr().err == "oneDNN custom operations are on"
