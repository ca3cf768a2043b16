from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from rnnx.bundle.find_model import find_directory
from tests.runtimes.matrix import format_matrix
from tests.runtimes.samples import Project, Row, missing
from tests.runtimes.tool_rows import ToolRow, format_tools

ROWS: list[Row] = []
TOOL_ROWS: list[ToolRow] = []


@pytest.fixture(scope="session")
def matrix() -> list[Row]:
    """Returns the list to which tests add their rows."""
    return ROWS


@pytest.fixture(scope="session")
def tool_rows() -> list[ToolRow]:
    """Returns the list to which tests of tools add their rows."""
    return TOOL_ROWS


@pytest.fixture(scope="session")
def bundles() -> list[Path]:
    """Returns the shipped bundles that read texts."""
    return [find_directory(name) for name in ("imdb", "imdb-article")]


@pytest.fixture(scope="session")
def project_of(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Returns a function from a target to its project, which all tests share: it is written and built once."""

    @cache
    def build(target: str) -> Project:
        if absent := missing(target):
            pytest.skip(f"needs {absent}")
        return Project(target, bundles[0], tmp_path_factory.mktemp(target) / "kit")

    return build


@pytest.fixture(scope="session")
def id_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a bundle whose answers are the ids of texts in many scripts; see `tests.runtimes.id_model`."""
    pytest.importorskip("onnx", reason="needs the [train] extra")
    from tests.runtimes.id_model import write_sample_bundle

    return write_sample_bundle(tmp_path_factory.mktemp("ids"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ROWS:
        terminalreporter.section("text models in other runtimes")
        terminalreporter.write_line(format_matrix(ROWS))
    if TOOL_ROWS:
        terminalreporter.section("every form in tools and runtimes")
        terminalreporter.write_line(format_tools(TOOL_ROWS))
