"""Tests how the vocabularies of a `.keras` file get into its config, and which ones are refused."""

from __future__ import annotations

from typing import Any

import pytest

from rnnx.errors import ModelError
from rnnx.keras_models.vocabularies import is_vocabulary, put_vocabularies, require_plain_vocabulary


def model(*layers: dict[str, Any], class_name: str = "Functional") -> dict[str, Any]:
    return {"class_name": class_name, "config": {"layers": list(layers)}}


def layer(class_name: str) -> dict[str, Any]:
    return {"class_name": class_name, "config": {}}


def test_each_layer_gets_its_own_vocabulary() -> None:
    """Keras numbers the folders of a model by class, and a model in a model has folders of its own."""
    lookups = [layer("IntegerLookup") for _ in range(3)]
    whole = model(lookups[0], layer("Dense"), lookups[1], model(lookups[2], class_name="Sequential"))
    files = {
        "assets/layers/integer_lookup/vocabulary.txt": b"0\n-1\n7",
        "assets/layers/integer_lookup_1/vocabulary.txt": b"-1\n12\n",
        "assets/layers/sequential/layers/integer_lookup/vocabulary.txt": b"-1\r\n5\r\n",
    }
    assert all(map(is_vocabulary, files))
    put_vocabularies(whole, files)
    assert [each["config"]["vocabulary"] for each in lookups] == [[0, -1, 7], [-1, 12], [-1, 5]]


@pytest.mark.parametrize("config", [None, [], {"config": None}, {"config": {"layers": None}}, model({"config": None})])
def test_a_damaged_config_has_no_lookup(config: Any) -> None:
    with pytest.raises(ModelError, match="is not the vocabulary of an IntegerLookup"):
        put_vocabularies(config, {"assets/layers/integer_lookup/vocabulary.txt": b"1\n2"})


@pytest.mark.parametrize(
    "path", ["assets/vocabulary.txt", "assets/a/../vocabulary.txt", "assets/a/other.txt", "/assets/a/vocabulary.txt"]
)
def test_another_file_is_no_vocabulary(path: str) -> None:
    assert not is_vocabulary(path)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("assets/layers/integer_lookup_1/vocabulary.txt", b"1"),  # there is only one
        ("assets/layers/dense/vocabulary.txt", b"1"),
        ("assets/layers/integer_lookup/vocabulary.txt", b"1\nword"),
        ("assets/layers/integer_lookup/vocabulary.txt", b"1.5"),
        ("assets/layers/integer_lookup/vocabulary.txt", b"9" * 30),
        ("assets/layers/integer_lookup/vocabulary.txt", b"\xff"),
    ],
)
def test_a_vocabulary_of_no_layer_or_of_words_is_refused(path: str, data: bytes) -> None:
    with pytest.raises(ModelError, match="is not the vocabulary of an IntegerLookup"):
        put_vocabularies(model(layer("IntegerLookup"), layer("Dense")), {path: data})


@pytest.mark.parametrize("vocabulary", ["/etc/passwd", ["a"], [True], {"class_name": "x"}, [1.5]])
def test_a_vocabulary_that_keras_would_read_from_a_file_is_refused(vocabulary: Any) -> None:
    with pytest.raises(ModelError, match="layer 'a': the vocabulary of an IntegerLookup should be a list of whole"):
        require_plain_vocabulary("IntegerLookup", {"vocabulary": vocabulary}, "layer 'a': ")
    require_plain_vocabulary("IntegerLookup", {"vocabulary": [1, -2]}, "")
    require_plain_vocabulary("IntegerLookup", {"vocabulary": None}, "")
    require_plain_vocabulary("Dense", {"vocabulary": vocabulary}, "")
