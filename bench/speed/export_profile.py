"""Measures how the processor time of `rnnx export` is divided among its stages, for one model.

    python -m bench.speed.export_profile [MODEL]

The time of all threads counts. Each stage is the time inside the functions named here, without that of other stages.
"""

from __future__ import annotations

import os
import sys

# As in `rnnx export`, before NumPy is imported.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NUMPY_MADVISE_HUGEPAGE": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}

import functools
import tempfile
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnx.export.process_settings import keep_memory, without_collections, without_unused_packages

_IMPORTS = {
    "importing Keras, with TensorFlow": ("keras",),
    "importing the rest": ("tf2onnx.optimizer", "rnnx.export.pipeline", "rnnx.cli"),
}
_EXPORT = "rnnx.export"
# The functions of each stage: the module that calls them, and the name that it uses.
_STAGES = {
    "reading the model": [(f"{_EXPORT}.pipeline", "open_source")],
    "tf2onnx": [(f"{_EXPORT}.forms", "convert")],
    "rewriting": [(f"{_EXPORT}.pipeline", "build_forms")],
    "bounds of the reference": [(f"{_EXPORT}.prove", "decide_distinct_rows")],
    "tracing and running Keras": [
        (f"{_EXPORT}.prove.KerasRunner", "__init__"),
        (f"{_EXPORT}.prove.KerasRunner", "__call__"),
    ],
    "the comparisons": [(f"{_EXPORT}.pipeline", "prove_source")],
    "the text form, with its comparisons": [
        (f"{_EXPORT}.kinds", "build_text_form"),
        (f"{_EXPORT}.pipeline", "_add_text_form"),
    ],
    "writing the evidence": [(f"{_EXPORT}.pipeline", "_finish_forms")],
    "the second proof": [(f"{_EXPORT}.pipeline", "verify_file")],
    "the plot": [(f"{_EXPORT}.pipeline", "plot_proof")],
}


def main(model: str) -> None:
    """Exports a model into a temporary folder, and prints a Markdown table."""
    keep_memory()
    seconds: dict[str, float] = defaultdict(float)
    with without_unused_packages(), without_collections():
        for stage, modules in _IMPORTS.items():
            before = time.process_time()
            for module in modules:
                import_module(module)
            seconds[stage] = time.process_time() - before
    # The time of stages inside a stage that is running, the innermost last.
    inside: list[float] = []
    for stage, functions in _STAGES.items():
        seconds[stage] = 0.0
        for owner, name in functions:
            _measure(_find(owner), name, stage, seconds, inside)
    with tempfile.TemporaryDirectory() as folder:
        import_module(f"{_EXPORT}.pipeline").export(model, Path(folder) / "out")
    whole = time.process_time()
    rows = [*seconds.items(), ("everything else", whole - sum(seconds.values())), ("all", whole)]
    print("| stage | CPU s |\n|---|---:|")
    for stage, spent in rows:
        print(f"| {stage} | {spent:.2f} |")


def _find(owner: str) -> Any:
    """Returns a module, or a class in a module, by its dotted name."""
    module, _, last = owner.rpartition(".")
    return getattr(import_module(module), last) if last[0].isupper() else import_module(owner)


def _measure(owner: Any, name: str, stage: str, seconds: dict[str, float], inside: list[float]) -> None:
    """Replaces a function by one that adds its time to a stage, without the time of the stages inside it."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def measured(*arguments: Any, **settings: Any) -> Any:
        before = time.process_time()
        inside.append(0.0)
        try:
            return function(*arguments, **settings)
        finally:
            spent = time.process_time() - before
            seconds[stage] += spent - inside.pop()
            if inside:
                inside[-1] += spent

    setattr(owner, name, measured)


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["imdb"])
