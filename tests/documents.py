"""Takes the repository's documents apart: links, headings, code, and the commands that they name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_PLACES = ("README.md", "rnnx", "exported", "bench", ".github")
# Documents that a command writes: the models' cards and the results of the benches.
_IS_GENERATED = re.compile(r"exported/(?!embed/)[^/]+/|bench/results/")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


class Command(NamedTuple):
    """A command that a document names: its words as written, and the options among them."""

    program: str
    rest: str
    options: frozenset[str]


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607  # git
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    found = [path for place in _PLACES for path in (ROOT / place).rglob("*.md")]  # not a git checkout
    return ["README.md", *(path.relative_to(ROOT).as_posix() for path in found)]


# Maps a path, relative to the repository, to the text of the document.
DOCUMENTS = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in sorted(_tracked()) if name.split("/")[0] in _PLACES
}
WRITTEN = {name: text for name, text in DOCUMENTS.items() if not _IS_GENERATED.match(name)}


def blocks(text: str, language: str) -> list[str]:
    """Returns the fenced code of one language; `""` means blocks that name no language."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def without_blocks(text: str) -> str:
    """Returns the text without its fenced code."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Returns the inline code, each span on one line, with the bars unescaped that tables escape."""
    return [" ".join(span.replace("\\|", "|").split()) for span in _SPAN.findall(without_blocks(text))]


def links(text: str) -> list[str]:
    """Returns the targets of links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def anchors(text: str) -> set[str]:
    """Returns the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(text: str, heading: str) -> str:
    """Returns the text between a heading of the second level and the next one."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Returns the cells of all rows of all tables, without the header rows."""
    found, is_head = [], True
    for line in without_blocks(text).splitlines():
        is_row = line.startswith("|")
        if is_row and not is_head and not line.startswith("|---"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        is_head = not is_row
    return found


def commands(text: str, program: str) -> Iterator[Command]:
    """Yields the calls of a program in shell blocks and in inline code."""
    lines = [line for language in ("sh", "") for block in blocks(text, language) for line in block.splitlines()]
    calls = [call for line in lines for call in re.split(r" && | \| |;", line.partition(" #")[0].removeprefix("$ "))]
    for call in [*calls, *spans(text)]:
        name, _, rest = call.strip().partition(" ")
        if name == program and rest:
            yield Command(program, rest, options(rest))


def options(words: str) -> frozenset[str]:
    """Returns the options among the words of a command."""
    return frozenset(re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-z])(?![\w-])", words))
