"""What a tool did to the files of bundles: their inputs and answers, the rows of the table, and its format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from rnnx.bundle.directory import TEXT_NAME
from rnnx.text.tokenizer import to_batch

EXACT, NEAR = 1e-5, 0.05  # the most that an answer may be off

Case = tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True)
class ToolRow:
    """What a tool did to the files of all bundles.

    Attributes:
        tool: Its name.
        version: The version of its package.
        count: The number of files.
        largest_difference: Of the files that are right.
        failed: Why each other file failed, by bundle and file name.
    """

    tool: str
    version: str
    count: int
    largest_difference: float
    failed: Mapping[str, str]


def read_cases(bundle: Path, file: str) -> list[Case]:
    """Reads inputs of a file and the answers of the reference: golden texts, or the sets of the test data."""
    if file == TEXT_NAME:
        rows = json.loads((bundle / "golden.json").read_bytes())[::4]
        texts = [bytes.fromhex(row["bytes"]) for row in rows]
        return [
            ({"text": to_batch([t or b"\0"])}, np.array([r["text_probs"]])) for t, r in zip(texts, rows, strict=True)
        ]
    cases = []
    for folder in sorted((bundle / "testdata").glob("test_data_set_*")):
        tensors = {
            kind: [onnx.TensorProto.FromString(path.read_bytes()) for path in sorted(folder.glob(f"{kind}_*.pb"))]
            for kind in ("input", "output")
        }
        inputs = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors["input"]}
        cases.append((inputs, numpy_helper.to_array(tensors["output"][0])))
    return cases


def format_tools(rows: Sequence[ToolRow]) -> str:
    """Formats rows as a Markdown table, with the files that failed."""
    lines = ["| tool or runtime | version | files | largest difference | not right |", "|---|---|---:|---:|---|"]
    for row in rows:
        failed = ", ".join(f"`{name}`" for name in row.failed)
        right = row.count - len(row.failed)
        lines.append(
            f"| {row.tool} | {row.version} | {right} of {row.count} | {row.largest_difference:.1e} | {failed} |"
        )
    return "\n".join(lines)


def collect(
    name: str, number: str, files: Sequence[Path], run: Callable[[Path], float], tolerance: float = EXACT
) -> ToolRow:
    """Runs each file and collects the differences from the reference, and the errors."""
    largest, failed = 0.0, {}
    for file in files:
        try:
            difference = run(file)
            assert difference <= tolerance, f"off by {difference:.2g}"
            largest = max(largest, difference)
        except Exception as error:  # noqa: BLE001  # tools raise errors of any type
            failed[f"{file.parent.name}/{file.name}"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ToolRow(name, number, len(files), largest, failed)


def open_session(model: onnx.ModelProto, sizes: Mapping[str, int] | None = None) -> ort.InferenceSession:
    """Opens a model in onnxruntime on the CPU, which is told the sizes of dimensions."""
    options = ort.SessionOptions()
    for name, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    # onnxruntime 1.32 ends the process with float16 weights in a Scan of two directions (`pos`) at a higher level.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def largest_difference(model: onnx.ModelProto, cases: Sequence[Case]) -> float:
    """Runs a model and returns the largest difference from the reference."""
    return difference_of_session(open_session(model), cases)


def difference_of_session(session: ort.InferenceSession, cases: Sequence[Case]) -> float:
    """Runs a session and returns the largest difference from the reference."""
    return max(float(np.abs(expected - session.run(None, dict(inputs))[0]).max()) for inputs, expected in cases)
