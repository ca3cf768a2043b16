"""Tests that every form of a shipped model treats zeros alone, negative ids and ids out of range alike."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, read_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.errors import RnnxError
from rnnx.reference import NamedArrays
from rnnx.runtime.session import Session

FORMS = (MODEL_NAME, BATCH_NAME)


def with_ids(name: str, ids: list[list[int]]) -> NamedArrays:
    """Gives the same ids to every input of a model; those with several ids at a position have equal ones there."""
    rows = np.array(ids, np.int32)
    inputs = read_directory(find_directory(name)).config.inputs
    return {
        port.name: rows if len(port.shape) == 1 else np.stack([rows] * int(port.shape[1] or 1), -1) for port in inputs
    }


def answers(name: str, ids: list[list[int]]) -> list[np.ndarray]:
    bundle = read_directory(find_directory(name))
    return [Session(bundle[form], device="cpu").run_by_name(with_ids(name, ids))["probs"] for form in FORMS]


@pytest.mark.parametrize("name", shipped_names())
def test_a_row_of_zeros_has_the_answer_of_keras_in_every_form(name: str) -> None:
    """Keras divides by the number of words in a mean, so `imdb` has no answer there; the others have one."""
    alone, batch = answers(name, [[0, 0, 0, 0], [0, 5, 0, 6]])
    np.testing.assert_allclose(alone, batch, rtol=0, atol=1e-5, equal_nan=True)
    assert np.isnan(alone[0]).all() == (name == "imdb")
    assert np.isfinite(alone[1]).all()


@pytest.mark.parametrize("name", shipped_names())
def test_negative_ids_count_from_the_end_in_every_form(name: str) -> None:
    config = read_directory(find_directory(name)).config
    size = min(port.size for port in config.inputs)
    wanted = answers(name, [[5, size - 1, 7, size - 3]]) if len(config.inputs) == 1 else None
    alone, batch = answers(name, [[5, -1, 7, -3]])
    np.testing.assert_allclose(alone, batch, rtol=0, atol=1e-5)
    if wanted is not None:  # the two tables of the tagger have other sizes
        np.testing.assert_allclose(wanted[0], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", shipped_names())
@pytest.mark.parametrize("beyond", [0, 1])
def test_ids_out_of_range_are_refused_in_every_form(name: str, beyond: int) -> None:
    bundle = read_directory(find_directory(name))
    size = max(port.size for port in bundle.config.inputs)
    for form in FORMS:
        session = Session(bundle[form], device="cpu")
        for outside in (size + beyond, -size - 1 - beyond):
            with pytest.raises(RnnxError, match="out of data bounds"):
                session.run_by_name(with_ids(name, [[5, outside, 7, 8]]))
