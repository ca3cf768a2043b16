"""Exports the models of a folder, verifies them, and compares onnxruntime with what Keras gave.

    python -m bench.proof.given_models FOLDER [NAME ...] [--keep FOLDER]

The folder has a `cases.json`, which maps each name to its `file`, and `NAME.npz` with the inputs `in_CALL_INPUT`, the
answers of Keras `out_CALL_OUTPUT`, and the `names` of the inputs. The inputs of a model that takes a dictionary are in
the order of the dictionary, which its `.keras` file has; `names` is sorted then. The calls have several batches and
lengths; those of a model marked `stateful` come one after the other. The command prints a row for each model: proved or
refused, the largest difference to Keras and the largest ratio to the rounding bound that `rnnx verify` finds; then the
layers whose nodes it does not know. It exits with 1 if an answer is off by more than the case's `tolerance`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# The states of a stream: `h_in`, or `lower.c_out`; those of a layer that reads backwards: `lower_h_in`. Not `enc_in`.
_STATE = re.compile(r"(^|[._])[hc]_(in|out)$")


def try_model(model: Path, answers: Path, out: Path, *, is_stateful: bool) -> tuple[str, float]:
    """Exports a model, verifies its files, and compares them; returns the row's cells, and the largest difference."""
    from rnnx.errors import ModelError, UsageError
    from rnnx.export.pipeline import export

    try:
        export(model, out)
    except (ModelError, UsageError) as error:
        return f"refused | | | {error}", 0.0
    except Exception as error:  # noqa: BLE001  # what rnnx does not report as a refusal is a failure, and is shown
        return f"FAILED | | | {type(error).__name__}: {error}", np.inf
    ratio, unknown = verify(out)
    stream = out / "model.stream.onnx"
    path = stream if is_stateful and stream.exists() else out / "model.onnx"
    try:
        difference = compare(path, answers, is_stateful=is_stateful, keys=keys_of(model))
    except Exception as error:  # noqa: BLE001  # onnxruntime has no class of errors; what it does not run is a failure
        return f"FAILED | | {ratio:.3f} | {type(error).__name__}: {error}", np.inf
    said = f"unknown nodes: {', '.join(unknown)}" if unknown else ""
    return f"proved | {difference:.1e} | {ratio:.3f} | {said}", difference


def verify(bundle: Path) -> tuple[float, list[str]]:
    """Returns the largest ratio of all files of a bundle, and the layers with unknown nodes."""
    from rnnx.proof.verify import verify_file

    ratios, unknown = [], set()
    for path in sorted(bundle.glob("*.onnx")):
        checked = verify_file(path.name, path.read_bytes(), ["cpu"])
        if not checked.report.passed:
            return np.inf, [f"NOT VERIFIED: {checked.report.first_problem}"]
        ratios += [runtime.worst.ratio or 0.0 for runtime in checked.report.runtimes]
        unknown |= set(checked.structure.unknown_layers if checked.structure else ())
    return max(ratios), sorted(unknown)


def keys_of(model: Path) -> list[str] | None:
    """Returns the keys of a model that takes a dictionary, in its order; None for any other file."""
    if not zipfile.is_zipfile(model):
        return None
    with zipfile.ZipFile(model) as archive:
        inputs = json.loads(archive.read("config.json"))["config"].get("input_layers")
    return list(inputs) if isinstance(inputs, dict) else None


def compare(path: Path, answers: Path, *, is_stateful: bool, keys: list[str] | None = None) -> float:
    """Returns the largest difference from the answers of Keras; of a stateful model, call after call."""
    from onnxruntime import InferenceSession

    session = InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    output_names = [output.name for output in session.get_outputs()]
    worst = 0.0
    states: dict[str, npt.NDArray[Any]] = {}
    with np.load(answers) as stored:
        names = keys or [str(name) for name in stored["names"]]
        calls = sorted({int(name.split("_")[1]) for name in stored.files if name.startswith("in_")})
        for call in calls:
            given = [stored[f"in_{call}_{i}"] for i in range(len(names))]
            fed = _feeds(session, names, given, states)
            results = dict(zip(output_names, session.run(None, fed), strict=True))
            if is_stateful:
                states = {name.removesuffix("_out"): values for name, values in results.items() if _is_state(name)}
            outputs = [values for name, values in results.items() if not (is_stateful and _is_state(name))]
            for i, values in enumerate(outputs):
                expected = stored[f"out_{call}_{i}"]
                if values.shape != expected.shape:
                    return np.inf
                worst = max(worst, float(np.abs(values - expected).max(initial=0.0)))
    return worst


def _is_state(name: str) -> bool:
    return _STATE.search(name) is not None


def _feeds(
    session: Any, names: list[str], given: list[npt.NDArray[Any]], states: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Maps the inputs of a file to the arrays of Keras, by name, else in their order; states begin at zero."""
    infos = {info.name: info for info in session.get_inputs()}
    others = [name for name in infos if name not in names and not _is_state(name)]
    others = names if set(names) <= infos.keys() else others
    fed = dict(zip(others, given, strict=True))
    for name, info in infos.items():
        if name not in fed:
            shape = [size if isinstance(size, int) else len(given[0]) for size in info.shape]
            fed[name] = states.get(name.removesuffix("_in"), np.zeros(shape, np.float32))
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}
    return {name: np.asarray(values, kinds[infos[name].type]) for name, values in fed.items()}


def main() -> None:
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="some of the models; all if none is named")
    parser.add_argument("--keep", type=Path, help="where the bundles are kept")
    options = parser.parse_args()
    cases = json.loads((options.folder / "cases.json").read_text(encoding="utf-8"))
    wrong = []
    print("| model | outcome | largest difference to Keras | ratio to the bound | |\n|---|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.names or cases:
            case = cases[name]
            path, answers = options.folder / case["file"], options.folder / f"{name}.npz"
            out = (options.keep or Path(temporary)) / name
            row, difference = try_model(path, answers, out, is_stateful=case["stateful"])
            print(f"| {name} | {row} |", flush=True)
            if not difference <= case["tolerance"]:
                wrong.append(name)
    print(f"{len(wrong)} are off by more than their tolerance: {', '.join(wrong) or 'none'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
