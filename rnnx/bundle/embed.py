"""Writes sample projects that embed the model of a bundle, one sample per target (language or platform).

A project holds the sample, the model and its golden vectors. The samples are in `exported/embed/`, one directory per
target, next to the shipped models. A new target is such a directory and one entry of `_TARGETS`. The samples for
taggers and for streams are in `exported/embed/taggers` and `exported/embed/streams`; a new one is an entry of
`_TAGGERS` or `_STREAMS`. All samples for C share `exported/embed/c_base`, and those for taggers and streams
`exported/embed/c_words`. Imports the standard library only.
"""

from __future__ import annotations

import errno
import json
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import (
    GOLDEN_NAME,
    MODEL_NAME,
    SAMPLES_NAME,
    STREAM_NAME,
    TEXT_NAME,
    Directory,
    read_directory,
)
from rnnx.bundle.find_model import SAMPLES_PATH, find_directory
from rnnx.bundle.hub_repository import add_hub_files
from rnnx.bundle.kits import add_stream, add_tagger
from rnnx.bundle.mlflow_folder import add_mlflow_files
from rnnx.bundle.target_names import describe_unknown
from rnnx.bundle.triton_repository import add_triton_models
from rnnx.errors import ModelError, UsageError
from rnnx.files.places import require_folder_place
from rnnx.files.publish import publish
from rnnx.strict_json import to_json

_KEPT_IN_CONFIG = ("name", "task", "labels", "thresholds", "tokenizer")


def add_text_model(directory: Directory, project: Path) -> None:
    """Adds `model.text.onnx`, `golden.json` and `config.json` to a folder.

    Of the bundle's `config.json`, the one in the folder holds what a sample may read, and the hashes of the two files.
    """
    names = (TEXT_NAME, GOLDEN_NAME)
    for name in names:
        (project / name).write_bytes(directory[name])
    config = json.loads(to_json(directory.config))
    kept = {key: config[key] for key in _KEPT_IN_CONFIG if key in config}
    kept["training"] = {key: value for key, value in (config.get("training") or {}).items() if key == "dataset"}
    kept["files"] = {name: digest for name, digest in config["files"].items() if name in names}
    (project / CONFIG_NAME).write_text(to_json(kept), encoding="utf-8")


@dataclass(frozen=True)
class EmbedTarget:
    """A language or a platform that `rnnx embed` writes projects for.

    Attributes:
        snippet: The file with the few lines that run a model, and the name of its language in Markdown. The tests run
            these files as they are. None for a platform that loads a model without a program.
        add_model: Adds the files of a model to the copy of the sample.
        needs_text: Whether the model has to have `model.text.onnx`.
        next_step: What a user does with the project, after `cd`.
        base: The target whose sample is copied first, if the directory of this one has only what differs.
    """

    snippet: tuple[str, str] | None
    add_model: Callable[[Directory, Path], None] = add_text_model
    needs_text: bool = True
    next_step: str = "then the two commands of its README.md"
    base: str | None = None


_TARGETS = {
    "browser": EmbedTarget(("snippet.mjs", "js")),
    "c": EmbedTarget(("snippet.c", "c")),
    "cpp": EmbedTarget(("snippet.cpp", "cpp"), base="c"),
    "csharp": EmbedTarget(("snippet.txt", "csharp")),
    "go": EmbedTarget(("snippet/main.go", "go")),
    "huggingface": EmbedTarget(None, add_hub_files, needs_text=False, next_step="then hf upload USER/NAME ."),
    "java": EmbedTarget(("Snippet.java", "java")),
    "mlflow": EmbedTarget(None, add_mlflow_files),
    "node": EmbedTarget(("snippet.mjs", "js")),
    "python": EmbedTarget(("snippet.py", "python")),
    "rust": EmbedTarget(("examples/snippet.rs", "rust")),
    "triton": EmbedTarget(None, add_triton_models),
}
_TAGGER_SAMPLES, _STREAM_SAMPLES = SAMPLES_PATH / "taggers", SAMPLES_PATH / "streams"
# The folder in the sample for taggers, or for streams, of each target that gets the files of the model.
_TAGGERS = {
    "browser": "model",
    "c": "model",
    "cpp": "model",
    "java": "src/main/resources/rnnx/tagger/model",
    "node": "model",
    "python": "rnnx_tagger/model",
}
_STREAMS = {
    "browser": "model",
    "c": "model",
    "cpp": "model",
    "java": "src/main/resources/rnnx/textstream/model",
    "node": "model",
    "python": "rnnx_text_stream/model",
}
# What samples of a target have in common, which is copied first: those for texts, for taggers, and for streams.
_C_BASE, _C_WORDS = SAMPLES_PATH / "c_base", SAMPLES_PATH / "c_words"
_TEXT_SHARED = {"c": (_C_BASE,), "cpp": (_C_BASE,)}
_TAGGER_SHARED = {"c": (_C_BASE, _C_WORDS), "cpp": (_C_BASE, _C_WORDS)}
_STREAM_SHARED = {
    **_TAGGER_SHARED,
    "browser": (_STREAM_SAMPLES / "javascript",),
    "node": (_STREAM_SAMPLES / "javascript",),
}
# What a model does whose answers not every sample can show, by its task, and the targets that can.
_OTHER_TASKS = {
    "multilabel": ("gives several labels per text", "shows one label"),
    "regression": ("gives a number", "shows one label"),
    "tagging": ("tags the words of a text", "answers whole texts"),
}
_CAN_ANSWER = {
    "multilabel": ("huggingface", "python"),
    "regression": ("huggingface", "python"),
    "tagging": ("huggingface", *_TAGGERS),
}
# Files that a build leaves in the directory of a sample.
_NOT_COPIED = shutil.ignore_patterns("node_modules", "target", "build", "onnxruntime", "__pycache__", "bin", "obj")


def targets() -> list[str]:
    """Returns the names of the targets, sorted."""
    return sorted(_TARGETS)


def next_step(target: str) -> str:
    """Says what a user does with a project of one of `targets()`, after `cd`."""
    return _TARGETS[target].next_step


def languages() -> list[str]:
    """Returns the names of the targets with a snippet, sorted."""
    return [name for name in targets() if _TARGETS[name].snippet]


def targets_of(task: str) -> list[str]:
    """Returns the names of the targets whose sample shows the answers of a task (`ModelConfig.task`), sorted."""
    return [target for target in targets() if target in _CAN_ANSWER.get(task, (target,))]


def stream_targets(task: str = "classification") -> list[str]:
    """Returns the names of the targets whose sample reads a text in chunks for a task (`ModelConfig.task`), sorted."""
    return sorted(_STREAMS) if task in ("classification", "regression") else []


def require_answered(target: str, task: str, bundle: str | Path) -> None:
    """Makes sure that the sample of a target shows the answers of a task.

    Args:
        target: One of `targets()`.
        task: `ModelConfig.task`.
        bundle: The bundle, for the message.

    Raises:
        UsageError: If it does not. The message names the targets that do.
    """
    if target not in (can := targets_of(task)):
        does, shows = _OTHER_TASKS[task]
        raise UsageError(f"{bundle}: {does}, and the sample for {target} {shows}; choose {', '.join(can)}")


def read_snippet(target: str, task: str = "classification") -> tuple[str, str]:
    """Reads the shortest code that computes the probabilities of a text, or that tags its words.

    Args:
        target: One of `languages()`; with a sample for this task.
        task: `ModelConfig.task`.

    Returns:
        The name of the language in Markdown, and the code. If the file has lines marked `snippet` and `end`, the code
        is what is between them; otherwise it is the whole file.

    Raises:
        UsageError: If there is no such target.
    """
    snippet = _TARGETS[target].snippet if target in _TARGETS else None
    if snippet is None:
        raise UsageError(describe_unknown(target, languages()))
    name, language = snippet
    # The snippets for taggers are at the top of their samples.
    path = _TAGGER_SAMPLES / target / Path(name).name if task == "tagging" else SAMPLES_PATH / target / name
    lines = path.read_text(encoding="utf-8").splitlines()
    marks = {mark: i for i, line in enumerate(lines) for mark in ("snippet", "end") if line.strip(" \t/*") == mark}
    if marks:
        lines = lines[marks["snippet"] + 1 : marks["end"]]
    return language, textwrap.dedent("\n".join(lines))


def write_project(target: str, bundle: str | Path, out: Path, *, streaming: bool = False) -> list[Path]:
    """Writes a project: the sample of a target, and the files of the model.

    Args:
        target: One of `targets()`.
        bundle: The name of a shipped model, or the path of a bundle.
        out: The directory of the project. It must not exist, or must be empty.
        streaming: Whether the project reads a text in chunks, with `model.stream.onnx`.

    Returns:
        The paths of the files, relative to `out`.

    Raises:
        ModelError: If the bundle is broken, reads no texts although the target needs them, or lacks a file that the
            sample needs.
        OSError: If the project cannot be written. No file is left in that case.
        UsageError: If there is no such target, if its sample cannot show the answers of the model, or if `out` is not
            empty, or is inside a file.
    """
    if target not in _TARGETS:
        raise UsageError(describe_unknown(target, targets()))
    _require_free(out)
    directory = read_directory(find_directory(bundle))
    samples, add_model = _choose_samples(target, directory, streaming=streaming)
    with publish(out, _require_free) as project:
        try:
            for sample in samples:
                shutil.copytree(sample, project, ignore=_NOT_COPIED, dirs_exist_ok=True)
        except shutil.Error as error:  # its argument lists (source, target, reason) for each file that failed
            raise OSError(errno.EIO, str(error.args[0][0][-1])) from error
        add_model(directory, project)
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())


def _choose_samples(
    target: str, directory: Directory, *, streaming: bool
) -> tuple[list[Path], Callable[[Directory, Path], None]]:
    """Chooses the folders that are copied for a kind of model, and what adds the files of a model to them."""
    chosen, task = _TARGETS[target], directory.config.task
    names = [name for name in (chosen.base, target) if name]
    of_texts = [*_TEXT_SHARED.get(target, ()), *(SAMPLES_PATH / name for name in names)]
    if streaming:
        _require_stream(target, directory)
        folders = [*_STREAM_SHARED.get(target, ()), *(_STREAM_SAMPLES / name for name in names)]
        return folders, partial(_add_to, _STREAMS[target], add_stream)
    if not chosen.needs_text:
        return of_texts, chosen.add_model
    match directory.config.kind:
        case "texts":
            require_answered(target, task, directory.path)
            _require_files(directory, TEXT_NAME)
            return of_texts, chosen.add_model
        case "sentences":
            require_answered(target, task, directory.path)
            _require_files(directory, MODEL_NAME, GOLDEN_NAME)
            folders = [*_TAGGER_SHARED.get(target, ()), *(_TAGGER_SAMPLES / name for name in names)]
            return folders, partial(_add_to, _TAGGERS[target], add_tagger)
        case "sequences":
            raise ModelError(
                f"{directory.path}: reads numbers or ids, not texts; see how `rnnx info` runs its {MODEL_NAME}"
            )
        case kind:
            assert_never(kind)


def _require_stream(target: str, directory: Directory) -> None:
    """Makes sure that the sample for streams of a target exists and shows the answers of a model."""
    config = directory.config
    if target not in _STREAMS:
        raise UsageError(f"the sample for {target} reads no stream; choose {', '.join(stream_targets())}")
    if STREAM_NAME not in directory.files:
        raise ModelError(f"{directory.path}: no {STREAM_NAME}: export it with --streaming")
    if config.tokenizer is not None and config.tokenizer.rule == "unicode-14-marks":
        raise UsageError(
            f"{directory.path}: finds words by the rule unicode-14-marks, which the samples for streams do not have; "
            "leave --streaming out, or train with --tokenizer unicode-14"
        )
    if config.kind != "texts" or not stream_targets(config.task):
        raise UsageError(
            f"{directory.path}: the sample for streams reads a text and gives one label or number; see how "
            f"{STREAM_NAME} is used in rnnx/infer/README.md"
        )
    _require_files(directory, GOLDEN_NAME)


def _require_files(directory: Directory, *names: str) -> None:
    if SAMPLES_NAME in directory.config.files:
        raise ModelError(f"{directory.path}: this is a training run; rnnx export makes a bundle of it")
    if missing := [name for name in names if name not in directory.files]:
        raise ModelError(f"{directory.path}: {missing[0]} is missing: not exported, or by an old rnnx; export it again")


def _add_to(name: str, add_model: Callable[[Directory, Path], None], directory: Directory, project: Path) -> None:
    """Adds the files of a model to a new folder of a project."""
    (project / name).mkdir(parents=True)
    add_model(directory, project / name)


def _require_free(out: Path) -> None:
    require_folder_place(out)
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"{out}: this path is not an empty directory; choose another --out")
