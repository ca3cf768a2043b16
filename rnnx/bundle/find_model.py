"""Finds the directory of a model: that of a shipped model by its name, any other by a path.

A name or a path that leads to no model is refused. The message lists the shipped models, and says what the path seems
to be instead. Imports the standard library only.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import is_part_of_model
from rnnx.errors import ModelError

DEFAULT_MODEL = "imdb"
# Files of models that are not bundles, by their ending.
_KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
_OTHER_MODELS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".safetensors"), "a file of PyTorch"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "a pickle"),
    **dict.fromkeys((".pb", ".tflite"), "a file of TensorFlow"),
    ".onnx": "an .onnx file of another program, or one without its bundle",
}

_PACKAGE = Path(__file__).parents[1]
# The shipped models are inside the package in a wheel, and next to it in a checkout.
_SHIPPED = next((d for d in (_PACKAGE / "exported", _PACKAGE.parent / "exported") if d.is_dir()), _PACKAGE / "exported")
SAMPLES_PATH = _SHIPPED / "embed"


def shipped_names() -> list[str]:
    """Returns the names of the models that are shipped with rnnx, sorted."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIG_NAME}"))


def find_directory(name: str | Path) -> Path:
    """Finds the directory of a model.

    Args:
        name: The name of a shipped model, the path of a directory, or the path of a file in it.

    Raises:
        ModelError: If there is no such model. The message lists the shipped models.
    """
    shipped = shipped_names()
    if name == "":
        raise ModelError("the name of the model is empty, perhaps that of an unset variable")
    if isinstance(name, str) and name in shipped:
        return _SHIPPED / name
    path = Path(name)
    if (path / CONFIG_NAME).is_file():
        return path
    if path.is_file() and is_part_of_model(path):
        return path.parent
    meant = get_close_matches(str(name).lower(), shipped, n=1, cutoff=0.7)
    question = f"; did you mean {meant[0]}?" if meant and not path.exists() else ""
    raise ModelError(
        f"{name}: {_why_no_model(path)}; the shipped models are {', '.join(shipped) or '(none)'}{question}"
    )


def _why_no_model(path: Path) -> str:
    """Says why a path is not a model, and what to do."""
    if not path.exists():
        return "no such model or path"
    what = f"not a model of rnnx, because it has no {CONFIG_NAME}"
    if not path.is_file():
        return what
    if path.suffix.lower() in _KERAS_ENDINGS:
        return f"{what}; it seems to be a file of Keras, of which rnnx export makes a model"
    other = _OTHER_MODELS.get(path.suffix.lower())
    return f"{what}; it seems to be {other}, and rnnx exports files of Keras (.keras, .h5)" if other else what


def name_directory(path: Path) -> str:
    """The name that finds a directory from any working directory: that of a shipped model, or an absolute path."""
    return path.name if path.parent == _SHIPPED and path.name in shipped_names() else str(path.absolute())
