"""Ready projects that embed a bundle's text model: a sample per target, the model and its golden vectors.

The samples lie under `exported/embed/`, one directory per target, beside the shipped models. Standard library only.
"""

from __future__ import annotations

import errno
import shutil
import textwrap
from pathlib import Path

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import GOLDEN_NAME, SAMPLES_PATH, TEXT_NAME, find_directory, read_directory
from rnnx.errors import ModelError, UsageError
from rnnx.files.publish import publish
from rnnx.strict_json import to_json

# The few lines that matter, in files that the tests run as they are: where each lies, and its language in Markdown.
_SNIPPETS = {
    "browser": ("snippet.mjs", "js"),
    "c": ("snippet.c", "c"),
    "cpp": ("snippet.cpp", "cpp"),
    "csharp": ("snippet.txt", "csharp"),
    "go": ("snippet/main.go", "go"),
    "java": ("src/main/java/Snippet.java", "java"),
    "node": ("snippet.mjs", "js"),
    "python": ("snippet.py", "python"),
    "rust": ("examples/snippet.rs", "rust"),
}
# What a build leaves in a sample's directory.
_NOT_COPIED = shutil.ignore_patterns("node_modules", "target", "build", "onnxruntime", "__pycache__", "bin", "obj")


def targets() -> list[str]:
    """The names of the targets there are samples for."""
    return sorted(path.parent.name for path in SAMPLES_PATH.glob("*/README.md"))


def read_snippet(target: str) -> tuple[str, str]:
    """The shortest way from a text to its probabilities.

    Args:
        target: One of `targets()`.

    Returns:
        The language's name in Markdown, and the lines: those between `snippet` and `end`, where a file has these marks.

    Raises:
        UsageError: If there is no such target.
    """
    if target not in _SNIPPETS:
        raise UsageError(f"no sample for {target!r}; there are {', '.join(targets())}")
    name, language = _SNIPPETS[target]
    lines = (SAMPLES_PATH / target / name).read_text(encoding="utf-8").splitlines()
    marks = {mark: i for i, line in enumerate(lines) for mark in ("snippet", "end") if line.strip(" \t/*") == mark}
    if marks:
        lines = lines[marks["snippet"] + 1 : marks["end"]]
    return language, textwrap.dedent("\n".join(lines))


def write_project(target: str, bundle: str | Path, out: Path) -> list[Path]:
    """Writes a project: the target's sample, `model.text.onnx`, `golden.json` and `config.json`.

    Args:
        target: One of `targets()`.
        bundle: A shipped name, or the path of a bundle.
        out: Where to; has to be free or an empty directory.

    Returns:
        The files, relative to `out`.

    Raises:
        ModelError: If the bundle is broken, or has no text model.
        OSError: If it cannot be written; nothing is left behind then.
        UsageError: If there is no such target, or something stands at `out`.
    """
    if target not in targets():
        raise UsageError(f"no sample for {target!r}; there are {', '.join(targets())}")
    _require_free(out)
    directory = read_directory(find_directory(bundle))
    if TEXT_NAME not in directory.files:
        raise ModelError(f"{directory.path}: no {TEXT_NAME}: not a text model, or of an older rnnx; export it again")
    with publish(out, _require_free) as project:
        try:
            shutil.copytree(SAMPLES_PATH / target, project, ignore=_NOT_COPIED, dirs_exist_ok=True)
        except shutil.Error as error:  # holds (from, to, why) of each file that failed
            raise OSError(errno.EIO, str(error.args[0][0][-1])) from error
        for name in (TEXT_NAME, GOLDEN_NAME):
            (project / name).write_bytes(directory[name])
        (project / CONFIG_NAME).write_text(to_json(directory.config), encoding="utf-8")
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())


def _require_free(out: Path) -> None:
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"{out}: something stands there already; choose another --out")
