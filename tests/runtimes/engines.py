"""Runs the same file in other engines, in this process, against the golden vectors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.text.tokenizer import to_batch
from tests.runtimes.samples import Row

Run = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def load_onnx(model: Path) -> tuple[str, Run]:
    """Loads the file into the evaluator of the onnx package."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(model))
    return version("onnx"), lambda text: np.asarray(next(iter(evaluator.run(None, {"text": text}))))


def load_openvino(model: Path) -> tuple[str, Run]:
    """Loads the file into OpenVINO on the CPU, in float32.

    Without the setting, OpenVINO would use bfloat16 on processors that have it.
    """
    openvino: Any = __import__("openvino")
    compiled = openvino.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return version("openvino"), lambda text: np.array(compiled([text])[0])


def load_tract(model: Path) -> tuple[str, Run]:
    """Loads the file into tract. Version 0.23 refuses a Scan with symbolic dimensions, so only a tokenizer runs."""
    tract: Any = __import__("tract")
    runnable = tract.onnx().load(str(model)).into_model().into_runnable()
    return version("tract"), lambda text: np.asarray(runnable.run([text])[0].to_numpy())


ENGINES: dict[str, Callable[[Path], tuple[str, Run]]] = {"onnx": load_onnx, "openvino": load_openvino}
TOKENIZER_ENGINES = {**ENGINES, "tract": load_tract}


def run_golden(engine: str, bundle: Path) -> Row:
    """Runs the golden vectors, one by one and in one batch."""
    number, run = TOKENIZER_ENGINES[engine](bundle / "model.text.onnx")
    rows = json.loads((bundle / "golden.json").read_bytes())
    texts = [bytes.fromhex(row["bytes"]) for row in rows]
    expected = np.array([row["text_probs"] for row in rows])
    tolerance = np.array([row["tolerance"] for row in rows])
    start = time.perf_counter()
    alone = np.concatenate([run(to_batch([text or b"\0"])) for text in texts])
    microseconds = (time.perf_counter() - start) / len(texts) * 1e6
    differences = np.abs(np.concatenate([alone, run(to_batch(texts))]) - np.tile(expected, (2, 1))).max(axis=1)
    right = int((differences <= np.tile(tolerance, 2)).sum())
    name = json.loads((bundle / "config.json").read_bytes())["name"]
    return Row(engine, number, name, right, len(differences), float(differences.max()), microseconds)
