"""Tests the shipped files in the onnxruntimes that apps pin, each in an environment with NumPy and nothing else.

The tests download these versions, so they run only on request: `pytest -m runtimes`. RNNX_RUNTIMES names a folder in
which the environments are kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, read_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Ids, Tokenizer, Vocabulary

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]

# From the oldest supported version to the first that is right for a length of 0, for which 1.20 and 1.22 give garbage.
VERSIONS = ("1.20", "1.22", "1.24", "1.26")

# Prints one result per batch. If the process dies, its exit code shows it.
RUN = """
import json, sys
import numpy as np, onnxruntime as ort
asked = json.load(sys.stdin)
session = ort.InferenceSession(asked["file"], providers=["CPUExecutionProvider"])
probs = [session.run(None, {"ids": np.array(ids, np.int32)})[0].tolist() for ids in asked["batches"]]
print(json.dumps({"version": ort.__version__, "probs": probs}))
"""


TEXT_MODELS = [name for name in shipped_names() if read_directory(find_directory(name)).config.tokenizer]


@pytest.fixture(scope="module", params=VERSIONS)
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Returns a version, and the Python of an environment in which it is installed."""
    kept = os.environ.get("RNNX_RUNTIMES")
    folder = (Path(kept) if kept else tmp_path_factory.mktemp("runtimes")) / f"onnxruntime-{request.param}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)], check=True)  # noqa: S603
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check"]
        # The other dependencies of onnxruntime are for its tools; the module imports none of them.
        wanted = ["--quiet", "--only-binary", ":all:", "--no-deps", f"onnxruntime=={request.param}.*", "numpy"]
        done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            pytest.skip(f"pip cannot install onnxruntime {request.param} here: {' '.join(done.stderr.split())[-300:]}")
        (folder / "installed").touch()
    return request.param, python


def run(runtime: tuple[str, Path], file: Path, batches: list[Ids]) -> list[npt.NDArray[np.float64]]:
    version, python = runtime
    asked = json.dumps({"file": str(file), "batches": [ids.tolist() for ids in batches]})
    command = [str(python), "-I", "-c", RUN]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-1000:]}"
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["version"].startswith(version)
    return [np.array(probs) for probs in answer["probs"]]


@pytest.mark.parametrize("form", [MODEL_NAME, BATCH_NAME])
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_an_old_runtime_gives_the_proved_answers(name: str, form: str, runtime: tuple[str, Path]) -> None:
    """The inputs are golden vectors, one by one and together, and rows without words: first, between, last, alone."""
    bundle = read_directory(find_directory(name))
    assert bundle.config.tokenizer is not None
    tokenizer = Tokenizer(bundle.config.tokenizer, Vocabulary.from_bytes(bundle["vocabulary.txt"]))
    golden = json.loads(bundle["golden.json"])
    rows = [np.array(row["ids"], np.int32) for row in golden]
    expected = np.array([row["probs"] for row in golden])
    longest = np.arange(tokenizer.config.max_length, dtype=np.int32) % 100 + 1
    empty = np.zeros(0, np.int32)
    mixed = tokenizer.pad([empty, *rows, empty, longest, empty])
    between = np.array([[5, 0, 6, 0], [0, 0, 0, 0], [7, 8, 0, 0]], np.int32)
    traps = [mixed, tokenizer.pad([empty]), tokenizer.pad([empty, empty]), tokenizer.pad([longest]), between]
    actual = run(runtime, bundle.path / form, [tokenizer.pad([row]) for row in rows] + traps)
    np.testing.assert_allclose(expected, np.concatenate(actual[: len(rows)]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(expected, actual[len(rows)][1 : len(rows) + 1], rtol=0, atol=1e-5)
    # The bundle has no expected values for the traps, so they are compared with the installed runtime, which was
    # proved. A mean over no words is NaN in all of them, as in Keras.
    session = Session(bundle[form], device="cpu")
    for ids, probs in zip(traps, actual[len(rows) :], strict=True):
        np.testing.assert_allclose(session.run(ids)[0], probs, rtol=0, atol=1e-5, equal_nan=True)


# Zeros alone, first, last, between words, and no zeros.
BATCHES = [np.array(rows, np.int32) for rows in ([[0] * 4, [3, 4, 0, 5], [0] * 4], [[0]], [[0] * 9] * 5, [[7] * 9])]

CELLS = ("LSTM", "GRU", "GRU, reset before")


@cache
def build(name: str, mask_zero: bool) -> tuple[dict[str, bytes], list[npt.NDArray[np.float64]]]:
    """Returns the forms of a network and the reference answers for the batches; computed once for all runtimes."""
    from rnnx.export.forms import build_forms
    from rnnx.keras_models.read_network import read_network
    from tests.networks import MODELS, build_cells

    model = build_cells(name, mask_zero) if name in CELLS else MODELS[name](mask_zero)
    network = read_network(model)
    forms = {form: new.model.SerializeToString() for form, new in build_forms(model, network).items()}
    return forms, [network.predict(ids) for ids in BATCHES]


@pytest.mark.train
@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", ["last state", "stacked", "both directions, last", "both directions, stacked", *CELLS])
def test_an_old_runtime_computes_every_kind_of_network(
    name: str, mask_zero: bool, runtime: tuple[str, Path], tmp_path: Path
) -> None:
    """These networks have no mean that could hide a wrong empty row, and some run several layers in one Scan."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    forms, expected = build(name, mask_zero)
    for form, data in forms.items():
        (tmp_path / form).write_bytes(data)
        for values, probs in zip(expected, run(runtime, tmp_path / form, BATCHES), strict=True):
            np.testing.assert_allclose(values, probs, rtol=0, atol=1e-4)
