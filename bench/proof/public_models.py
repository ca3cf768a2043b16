"""Exports the models that public test suites build: Keras's own of recurrent layers, and tf2onnx's of Keras.

    python -m bench.proof.public_models [--keras CHECKOUT] [--tf2onnx CHECKOUT] [--minutes 15]

Each model is saved while the tests run (`bench.proof.capture_models`), exported and proved, and onnxruntime is compared
with Keras on a few batches. The command prints how many were proved, refused (with the reasons), and wrong, and exits
with 1 if one is wrong. A suite that is not given as a folder is downloaded; without a network it is left out. Nothing
of the suites is kept.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_REPOSITORIES = {
    "keras": "https://github.com/keras-team/keras/archive/refs/tags/v{version}.tar.gz",
    "tf2onnx": "https://github.com/onnx/tensorflow-onnx/archive/refs/heads/main.tar.gz",
}
_TESTS = {"keras": "keras/src/layers/rnn/*_test.py", "tf2onnx": "tests/keras2onnx_unit_tests/test_layers.py"}
# The tests of tf2onnx that may have a recurrent layer.
_CHOSEN = {"tf2onnx": "rnn or GRU or LSTM or bidirectional or masking or seq or embed or recursive or timedist or sub"}
# The batch and the time of what Keras and onnxruntime are compared on, where they are open.
_SIZES = ((1, 1), (2, 7), (3, 12))
_MOST = 1e-4  # of a difference, for outputs of size 1; the proof has the sharp bound


@dataclass
class Count:
    """What became of the models of a suite.

    Attributes:
        proved: The models that were exported and proved.
        wrong: Those whose file answers otherwise than Keras, with the difference.
        refused: The number of models by the reason of the refusal.
        failed: Those that the proof refused, or on which rnnx failed.
        skipped: The models for which no time was left.
    """

    proved: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    skipped: int = 0


def find_sources(name: str, given: Path | None, folder: Path) -> Path | None:
    """Returns a checkout of a suite; None if it was not given and cannot be downloaded."""
    if given is not None:
        return given
    import keras

    url = _REPOSITORIES[name].format(version=keras.__version__)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, tarfile.open(fileobj=answer, mode="r|gz") as archive:  # noqa: S310  # one of two addresses
            archive.extractall(folder / name, filter="data")
    except (OSError, tarfile.TarError) as error:
        print(f"{name}: skipped, because {url} cannot be had ({error})")
        return None
    return next((folder / name).iterdir())


def capture(name: str, checkout: Path, folder: Path) -> list[Path]:
    """Runs the tests of a suite, and returns the files of the models that they build."""
    tests = sorted(map(str, checkout.glob(_TESTS[name])))
    options = ["-q", "-c", os.devnull, "--rootdir", str(checkout), "--import-mode=importlib"]
    chosen = ["-k", _CHOSEN[name]] if name in _CHOSEN else []
    command = [sys.executable, "-m", "pytest", "-p", "bench.proof.capture_models", "-p", "no:cacheprovider"]
    folder.mkdir()
    subprocess.run(  # noqa: S603  # pytest on the tests that the user named
        [*command, *options, *chosen, *tests],
        env=os.environ | {"CAPTURE_INTO": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return sorted(folder.glob("*.keras"))


def try_models(files: list[Path], folder: Path, until: float) -> Count:
    """Exports each file, as long as there is time, and compares it with Keras."""
    from rnnx.errors import ModelError
    from rnnx.export.pipeline import export

    count = Count()
    for path in files:
        if time.monotonic() > until:
            count.skipped += 1
            continue
        out = folder / f"{path.stem}-out"
        try:
            export(path, out)
        except ModelError as error:
            reason = _reason(str(error))
            print(f"  {path.stem}: {reason}")
            count.refused[reason] += 1
        except Exception as error:  # noqa: BLE001  # what rnnx does not report as a refusal is a failure
            print(f"  {path.stem}: FAILED {type(error).__name__}: {error}")
            count.failed.append(f"{path.stem}: {error}")
        else:
            difference = _difference(path, out)
            count.proved += 1
            print(f"  {path.stem}: {difference:.1e}", flush=True)
            if not difference < _MOST:
                count.wrong.append(f"{path.stem}: {difference}")
    return count


def _reason(message: str) -> str:
    """Returns a message without the names of files and layers."""
    message = re.sub(r"^\S+\.keras: ", "", message)
    return re.sub(r"layer \S+( \(\w+\))?:?", r"layer\1", message)[:160]


def _difference(path: Path, bundle: Path) -> float:
    """Returns the largest difference of onnxruntime and Keras, relative to outputs above 1."""
    import keras
    import numpy as np

    from rnnx.keras_models.load_model import load_keras
    from rnnx.runtime.session import Session

    model: Any = load_keras(path.read_bytes(), path.name)
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):
        return 0.0  # the proof compares such a model call by call
    session = Session((bundle / "model.onnx").read_bytes(), device="cpu")
    worst = 0.0
    for batch, steps in _SIZES:
        rng = np.random.default_rng(steps)
        given = []
        for tensor in model.inputs:
            shape = [batch, *(steps if size is None else size for size in tensor.shape[1:])]
            is_mask, is_ids = tensor.dtype == "bool", "int" in tensor.dtype
            drawn = rng.integers(0, 2 if is_mask else 3, shape) if is_mask or is_ids else rng.normal(size=shape)
            given.append(drawn.astype("bool" if is_mask else "i4" if is_ids else "f4"))
        expected = keras.tree.flatten(model(given if len(given) > 1 else given[0], training=False))
        actual = session.run(dict(zip(session.input_names, given, strict=True)))
        for values, others in zip(expected, actual, strict=True):
            wanted = np.asarray(values, np.float64)
            worst = max(worst, float((np.abs(wanted - others) / np.maximum(1, np.abs(wanted))).max(initial=0.0)))
    return worst


def main() -> None:
    """Prints what became of the models of both suites."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras", type=Path, help="a checkout of keras-team/keras")
    parser.add_argument("--tf2onnx", type=Path, help="a checkout of onnx/tensorflow-onnx")
    parser.add_argument("--minutes", type=float, default=15, help="how long to export models")
    options = parser.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        suites = {}
        for name, given in (("keras", options.keras), ("tf2onnx", options.tf2onnx)):
            checkout = find_sources(name, given, folder)
            if checkout is not None:
                suites[name] = capture(name, checkout.resolve(), folder / f"{name}-models")
        until = time.monotonic() + 60 * options.minutes
        for name, files in suites.items():
            print(f"{name}: {len(files)} models")
            count = try_models(files, folder, until)
            refused = sum(count.refused.values())
            problems = f"{len(count.failed)} failed, {len(count.wrong)} wrong, {count.skipped} not tried"
            print(f"{name}: {count.proved} proved, {refused} refused, {problems}")
            for reason, number in count.refused.most_common():
                print(f"  {number:4} {reason}")
            wrong = wrong or bool(count.wrong)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
