"""Opens and runs every form of a bundle in other programs: netron, OpenVINO, tract, and onnxruntime-web.

`python -m tests.runtimes.matrix` prints all of it, with the tools of `tests.runtimes.tools`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import GOLDEN_NAME, TEXT_NAME
from rnnx.text.tokenizer import to_batch
from tests.runtimes import page
from tests.runtimes.backends import BACKENDS, install, run_backend
from tests.runtimes.tool_rows import EXACT, ToolRow, collect, read_cases
from tests.runtimes.tools import TOOLS, fix_dimensions, missing, use_tool

_NETRON = Path(__file__).parent / "netron.mjs"
_TRACT_TYPES = {"int32": "i32", "float32": "f32", "uint8": "u8"}


def open_in_netron(files: Sequence[Path]) -> ToolRow:
    """Opens files by netron's parser, which has to find all nodes of each."""
    spec = find_spec("netron")
    assert spec is not None
    assert spec.origin is not None

    def run(file: Path) -> float:
        command = ["node", str(_NETRON), str(Path(str(spec.origin)).parent), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
        assert done.returncode == 0, done.stderr
        return 0.0 if int(done.stdout) == len(onnx.load(file).graph.node) else np.inf

    return collect("netron", version("netron"), files, run)


def run_in_openvino(files: Sequence[Path], precision: str | None) -> ToolRow:
    """Runs files in OpenVINO on the CPU: in float32, or by its default, where only the labels have to be right."""
    openvino: Any = __import__("openvino")
    hint = {"INFERENCE_PRECISION_HINT": precision} if precision else {}

    def run(file: Path) -> float:
        compiled = openvino.Core().compile_model(str(file), "CPU", hint)
        largest = 0.0
        for inputs, expected in read_cases(file.parent, file.name):
            actual = np.array(compiled(dict(inputs))[0])
            same = _labels(expected) == _labels(actual)
            assert same.all() if precision is None else True, "a label is wrong"
            largest = max(largest, float(np.abs(expected - actual).max()))
        return largest

    name = f"OpenVINO, {precision or 'by default'}"
    return collect(name, version("openvino"), files, run, np.inf if precision is None else EXACT)


def run_rows_in_openvino(bundle: Path, name: str, precision: str | None) -> list[str]:
    """Runs the golden texts one by one, longer and shorter ones in turn, in one compiled model.

    Returns:
        What is wrong: the texts whose label is another one, and in float32 those that are further off than float32
        rounding can carry.
    """
    openvino: Any = __import__("openvino")
    hint = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    run = openvino.Core().compile_model(str(bundle / name), "CPU", hint)
    config = json.loads((bundle / CONFIG_NAME).read_bytes())
    width = config["tokenizer"]["max_length"] if config["tokenizer"]["pad_to"] == "max_length" else 0
    wrong = []
    for row in json.loads((bundle / GOLDEN_NAME).read_bytes()):
        if name == TEXT_NAME:
            inputs, expected = {"text": to_batch([bytes.fromhex(row["bytes"]) or b"\0"])}, np.array([row["text_probs"]])
        else:
            ids = [0] * (width - len(row["ids"])) + row["ids"]
            inputs, expected = {"ids": np.array([ids], np.int32)}, np.array([row["probs"]])
        actual = np.array(run(inputs)[0])
        if not (_labels(actual) == _labels(expected)).all():
            wrong.append(f"{row['text']!r:.40}: another label")
        elif precision and not np.abs(actual - expected).max() <= row["tolerance"]:
            wrong.append(f"{row['text']!r:.40}: off by {np.abs(actual - expected).max():.2g}")
    return wrong


def run_in_tract(files: Sequence[Path]) -> ToolRow:
    """Runs files in tract, each in a process of its own, because tract ends the process for some of them."""

    def run(file: Path) -> float:
        command = [sys.executable, "-m", "tests.runtimes.file_runtimes", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
        found = re.search(r"(TractError: |called `Result).*?(?=Stack backtrace|note: run|$)", done.stderr, re.DOTALL)
        assert done.returncode == 0, found[0] if found else f"exit code {done.returncode}: {done.stderr[-150:]}"
        return float(done.stdout)

    return collect("tract", version("tract"), files, run)


def run_in_browser(backend: str, bundles: Sequence[Path], folder: Path) -> ToolRow:
    """Runs the files of text bundles in onnxruntime-web, in a folder."""
    number = install(folder)
    seen = {bundle: run_backend(backend, bundle, folder) for bundle in bundles}

    def run(file: Path) -> float:
        found = seen[file.parent][file.name]
        assert isinstance(found, float | int), found
        return float(found)

    files = [bundle / file for bundle in bundles for file in seen[bundle]]
    return collect(f"onnxruntime-web, {backend}", number, files, run)


def collect_tools(bundles: Sequence[Path], folder: Path) -> Iterator[ToolRow]:
    """Applies every tool of this machine; reports on stderr which ones it does not have."""
    files = [file for bundle in bundles for file in sorted(bundle.glob("*.onnx"))]
    for tool in TOOLS:
        if absent := missing(tool):
            print(f"{tool}: left out; {absent}", file=sys.stderr)  # noqa: T201
        else:
            yield use_tool(tool, files)
    yield fix_dimensions(files)
    others: dict[str, list[Callable[[Sequence[Path]], ToolRow]]] = {
        "netron": [open_in_netron],
        "openvino": [lambda files: run_in_openvino(files, "f32"), lambda files: run_in_openvino(files, None)],
        "tract": [run_in_tract],
    }
    for package, runs in others.items():
        if find_spec(package) is None:
            print(f"{package}: left out; pip install {package}", file=sys.stderr)  # noqa: T201
        else:
            yield from (run(files) for run in runs)
    if absent := page.missing():
        print(f"onnxruntime-web: left out; needs {absent}", file=sys.stderr)  # noqa: T201
        return
    texts = [bundle for bundle in bundles if (bundle / "model.text.onnx").is_file()]
    for backend in BACKENDS:
        yield run_in_browser(backend, texts, folder)


def _labels(probs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(probs > 0.5 if probs.shape[-1] == 1 else probs == probs.max(axis=-1, keepdims=True))


def _run_tract(file: Path) -> float:
    """Runs the first case of a file in tract, which is told the shapes of its inputs, as its users do."""
    tract: Any = __import__("tract")
    inputs, expected = read_cases(file.parent, file.name)[0]
    model = tract.onnx().load(str(file))
    given = [inputs[model.input_name(i)] for i in range(model.input_count())]
    for i, array in enumerate(given):
        model.set_input_fact(i, ",".join([*map(str, array.shape), _TRACT_TYPES[array.dtype.name]]))
    return float(np.abs(expected - model.into_model().into_runnable().run(given)[0].to_numpy()).max())


if __name__ == "__main__":
    print(_run_tract(Path(sys.argv[1])))  # noqa: T201  # for `run_in_tract`
