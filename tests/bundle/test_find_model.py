from __future__ import annotations

from pathlib import Path

import pytest

from rnnx.bundle.directory import write_directory
from rnnx.bundle.find_model import find_directory
from rnnx.errors import ModelError
from tests.bundles import CONFIG, FILES


def test_an_unknown_model_is_answered_with_the_shipped_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such model or path; the shipped models are .*imdb"):
        find_directory("imbd")
    with pytest.raises(ModelError, match=r"not a model of rnnx, because it has no config\.json"):
        find_directory(tmp_path)


def test_a_model_is_found_by_name_folder_and_file(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    assert find_directory(tmp_path / "m") == tmp_path / "m"
    assert find_directory(str(tmp_path / "m" / "a.txt")) == tmp_path / "m"
    assert find_directory("imdb").name == "imdb"
    (tmp_path / "m" / "other.onnx").write_bytes(b"x")  # in the folder of a model, but not part of it
    with pytest.raises(ModelError, match=r"no such model|not a model of rnnx"):
        find_directory(tmp_path / "m" / "other.onnx")


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(ModelError, match="the name of the model is empty"):
        find_directory("")
