"""Tests that the documents are right: links lead somewhere, commands and options exist, tables are complete."""

from __future__ import annotations

import re

import pytest
import typer

from rnnx.bundle.embed import languages
from rnnx.cli import make_app
from rnnx.keras_models.allowed_classes import _LAYERS as KERAS_LAYERS
from tests import documents
from tests.documents import DOCUMENTS, ROOT, WRITTEN
from tests.test_architecture import FOUNDATIONS, LEVELS

# Options of rnnx without a command, and of every command.
ROOT_OPTIONS = {"--version", "--install-completion", "--show-completion", "--help", "-h"}
# Options of programs other than rnnx, such as the samples.
OTHER_OPTIONS = {"--golden"}
# A command that needs a GPU writes this file, so it may be missing.
NOT_THERE = {"bench/results/cuda.md"}
MOST_COLUMNS = 100

CLI: dict[str, set[str]] = {
    name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for name, command in typer.main.get_command(make_app()).commands.items()  # type: ignore[attr-defined]  # a group has them
}
CLI_PAGE = WRITTEN["rnnx/cli/README.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for link in documents.links(DOCUMENTS[name]):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in documents.anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize(
    "text",
    [
        "Run `rnnx train\nimdb --sed 1`.",
        "| `rnnx train --sed A\\|B` |",
        "```sh\nrnnx train imdb --sed 1  # a comment\n```\n",
        "```sh\npip install '.[cpu]' && rnnx train imdb --sed 1\n```\n",
        "```\n$ rnnx train imdb --sed 1\nsome output\n```\n",
    ],
)
def test_a_command_in_a_document_is_found(text: str) -> None:
    (command,) = documents.commands(text, "rnnx")
    assert command.rest.startswith("train")
    assert command.options - CLI["train"] == {"--sed"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_of_rnnx_and_their_options_exist(name: str) -> None:
    for command in documents.commands(DOCUMENTS[name], "rnnx"):
        which = command.rest.split(" ")[0]
        if which == "COMMAND":
            continue
        if which.startswith("-"):
            assert command.options <= ROOT_OPTIONS, command
            continue
        assert which in CLI, command
        assert command.options <= CLI[which] | {"--help"}, command


@pytest.mark.parametrize("name", WRITTEN)
def test_an_option_without_a_command_is_an_option_of_rnnx(name: str) -> None:
    known = set().union(*CLI.values()) | ROOT_OPTIONS | OTHER_OPTIONS
    for span in documents.spans(WRITTEN[name]):
        if span.startswith("-"):
            assert documents.options(span) <= known, span


@pytest.mark.parametrize("name", WRITTEN)
def test_commands_of_the_repository_and_their_options_exist(name: str) -> None:
    for command in [
        *documents.commands(WRITTEN[name], "python"),
        *documents.commands(WRITTEN[name], "bench/cuda/cuda.sh"),
    ]:
        module = re.match(r"-m ((?:tests|bench)[\w.]*)", command.rest)
        if command.program == "bench/cuda/cuda.sh":
            path = "bench/cuda/run_all.py"  # the script passes its options on to this module
        elif module is None:
            continue  # a line of a sample, or a `python -c` that was measured
        else:
            path = f"{module[1].replace('.', '/')}.py"
        source = (ROOT / path).read_text(encoding="utf-8")
        assert all(f'"{option}"' in source for option in command.options - {"-m"}), command


@pytest.mark.parametrize("name", WRITTEN)
def test_named_paths_exist(name: str) -> None:
    for span in documents.spans(WRITTEN[name]):
        if re.fullmatch(r"(rnnx|tests|bench|exported|\.ci|\.github)/[\w./-]*(\.\w+|/)", span) and span not in NOT_THERE:
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("name", [name for name in WRITTEN if not re.match("exported/embed/.+/", name)])
def test_prose_is_at_most_100_columns_wide(name: str) -> None:
    for line in documents.without_blocks(WRITTEN[name]).splitlines():
        assert len(line) <= MOST_COLUMNS or line.startswith(("|", "- 2026-", "!")), line


def test_the_page_of_the_command_line_has_every_command_and_option() -> None:
    headings = re.findall(r"^## `rnnx (\w+)`$", CLI_PAGE, re.MULTILINE)
    assert headings == list(CLI)
    for command, known in CLI.items():
        words = documents.spans(documents.section(CLI_PAGE, f"`rnnx {command}`"))
        written = {option for span in words if span.startswith("-") for option in documents.options(span)}
        assert written == {option for option in known if option.startswith("-")}, command


def test_the_page_of_the_package_lists_its_rooms_and_levels() -> None:
    page = WRITTEN["rnnx/README.md"]
    rooms = {room for level in LEVELS for room in level}
    assert {cells[0].split("`")[1] for cells in documents.rows(page)} == rooms
    assert len(rooms) == int(re.findall(r"^(\d+) rooms", page, re.MULTILINE)[0])
    (levels,) = documents.blocks(page, "")
    assert [set(line.split()[1:]) for line in reversed(levels.splitlines())] == [set(level) for level in LEVELS]
    assert [int(line.split()[0]) for line in reversed(levels.splitlines())] == list(range(len(LEVELS)))
    assert {f"{name}.py" for name in FOUNDATIONS} <= set(documents.spans(page))


def test_the_listed_layers_are_those_that_a_file_may_hold() -> None:
    table = WRITTEN["rnnx/export/README.md"].partition("<!-- layers: begin -->")[2].partition("<!-- layers: end -->")[0]
    named = {span for span in documents.spans(table) if re.fullmatch(r"[A-Z]\w+", span)}
    # Users do not think of InputLayer as a layer.
    assert named == KERAS_LAYERS - {"InputLayer"}


def places_of_a_layer() -> list[list[str]]:
    page = WRITTEN["rnnx/reference/README.md"]
    tables = [
        page.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
        for name in ("places", "more places")
    ]
    return [documents.spans(place)[:2] for table in tables for place, *_ in documents.rows(table)]


@pytest.mark.parametrize(("path", "name"), places_of_a_layer())
def test_the_places_of_a_layer_exist(path: str, name: str) -> None:
    assert name in (ROOT / path).read_text(encoding="utf-8")


def test_the_matrix_of_runtimes_has_every_sample_that_was_run() -> None:
    table = WRITTEN["exported/embed/README.md"].partition("<!-- runtimes: begin -->")[2]
    found = documents.rows(table.partition("<!-- runtimes: end -->")[0])
    assert {cells[0] for cells in found} >= set(languages()) - {"csharp"}  # the page says that this one was not run
    for *_, right, _, _ in found:
        of, count = right.split(" of ")
        assert of == count
