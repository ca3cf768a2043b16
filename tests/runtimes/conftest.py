from __future__ import annotations

from pathlib import Path

import pytest

from rnnx.bundle import TEXT_NAME, find_directory
from tests.runtimes.matrix import format_matrix
from tests.runtimes.samples import Row

ROWS: list[Row] = []


@pytest.fixture(scope="session")
def matrix() -> list[Row]:
    """Where the tests put their rows."""
    return ROWS


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The shipped bundles, exported again where they have no text model yet."""
    found = []
    for name in ("imdb", "imdb-article"):
        path = find_directory(name)
        if not (path / TEXT_NAME).is_file():
            pytest.importorskip("tensorflow", reason="needs the [train] extra, or bundles with a text model")
            from rnnx.export.pipeline import export

            path = export(name, tmp_path_factory.mktemp("bundles") / name).path
        found.append(path)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ROWS:
        terminalreporter.section("text models in other runtimes")
        terminalreporter.write_line(format_matrix(ROWS))
