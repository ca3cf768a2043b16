"""Adds a text model to the folder of an MLflow model, which `mlflow.pyfunc.load_model` loads.

The sample `exported/embed/mlflow` has all other files of the folder, as MLflow would write them. Its loader needs
onnxruntime, NumPy and pandas, not rnnx. Imports the standard library only.
"""

from __future__ import annotations

import platform
from pathlib import Path

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import GOLDEN_NAME, TEXT_NAME, Directory, digest
from rnnx.strict_json import to_json

# The files with marks, and the folder that MLmodel calls `data`.
_MARKED = ("MLmodel", "conda.yaml", "python_env.yaml")
_DATA = "data"


def add_mlflow_files(directory: Directory, project: Path) -> None:
    """Adds the files of a model, and writes what MLmodel says about it.

    MLflow warns if it loads a model in another minor version of Python than the one that MLmodel names. As MLflow does,
    this names the Python that is running.

    Args:
        directory: A bundle with `model.text.onnx`.
        project: A copy of the sample.
    """
    (project / _DATA).mkdir()
    for name in (TEXT_NAME, GOLDEN_NAME):
        (project / _DATA / name).write_bytes(directory[name])
    (project / _DATA / CONFIG_NAME).write_text(to_json(directory.config), encoding="utf-8")
    values = {"@PYTHON@": platform.python_version(), "@UUID@": digest(directory.config)[:32]}
    for name in _MARKED:
        text = (project / name).read_text(encoding="utf-8")
        for mark, value in values.items():
            text = text.replace(mark, value)
        (project / name).write_text(text, encoding="utf-8")
