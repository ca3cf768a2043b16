"""Tests models that find bins and look up numbers in front of a recurrence: proved, and wrong files refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.errors import ModelError
from rnnx.export.forms import build_forms
from rnnx.export.pipeline import export
from rnnx.export.probes import make_array_probes
from rnnx.export.prove import prove
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.verify import verify_file
from rnnx.reference import IdLayer
from rnnx.rounding.decisions import decide_distinct_rows
from rnnx.runtime.session import Session
from tests.keras_files import through_file

pytestmark = pytest.mark.train

# Not in order, one of them negative; 0 is masked.
VOCABULARY = [70000, 3, -12, 5]
BOUNDARIES = [-1.5, 0.0, 0.1, 2.0, 300.0]


def model_of_ids() -> keras.Model:
    """Looks whole numbers up, finds the bins of others, and embeds both."""
    codes = keras.Input((None,), dtype="int64", name="codes")
    floats = keras.Input((None,), name="floats")
    ages = keras.Input((None,), dtype="int32", name="ages")
    known = layers.IntegerLookup(vocabulary=VOCABULARY, mask_token=0, num_oov_indices=3)(codes)
    bins = layers.Discretization(BOUNDARIES)(floats)
    of_ages = layers.Discretization([18.5, 60.0])(ages)
    x = layers.LSTM(3)(layers.Embedding(8, 4, mask_zero=True)(known))
    y = layers.GRU(3)(layers.Concatenate()([layers.Embedding(6, 3)(bins), layers.Embedding(3, 2)(of_ages)]))
    return keras.Model([floats, ages, codes], layers.Dense(2)(layers.Concatenate()([x, y])))


def model_of_vectors() -> keras.Model:
    """Makes vectors and counts of numbers, at each position and of a row."""
    codes = keras.Input((None, 1), dtype="int64", name="codes")
    floats = keras.Input((None, 1), name="floats")
    tags = keras.Input((None, 3), dtype="int32", name="tags")
    row = keras.Input((5,), dtype="int32", name="row")
    parts = [
        layers.IntegerLookup(vocabulary=VOCABULARY, output_mode="one_hot", mask_token=0)(codes),
        layers.Discretization(BOUNDARIES, output_mode="one_hot")(floats),
        layers.TimeDistributed(layers.CategoryEncoding(4, output_mode="multi_hot"))(tags),
    ]
    x = layers.SimpleRNN(3)(layers.Concatenate()(parts))
    counts = layers.CategoryEncoding(6, output_mode="count")(row)
    known = layers.IntegerLookup(vocabulary=[2, 4], output_mode="multi_hot")(row)
    return keras.Model([codes, floats, tags, row], layers.Dense(2)(layers.Concatenate()([x, counts, known])))


def model_of_letters() -> keras.Model:
    """Makes vectors of ids by an operation, as a network of letters does."""
    letters = keras.Input((None,), dtype="int32", name="letters")
    states = layers.LSTM(3, return_sequences=True)(keras.ops.one_hot(letters, 9))
    return keras.Model(letters, layers.Dense(9, "softmax")(states))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "ids": model_of_ids,
    "vectors": model_of_vectors,
    "letters": model_of_letters,
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> Any:
    keras.utils.set_random_seed(3)
    plain = make_plain(through_file(MODELS[request.param]())).model
    network = read_network(plain)
    return plain, network, build_forms(plain, network), make_array_probes(network, ())


def test_a_model_with_encodings_is_proved_on_every_boundary_and_number(case: Any) -> None:
    plain, network, forms, probes = case
    report = prove(plain, network, forms, probes)
    assert report.passed, report.verdict
    assert {node.op_type for form in forms.values() for node in form.model.graph.node}.isdisjoint({"Loop", "OneHot"})
    seen = np.concatenate([np.unique(values) for batch in probes.batches for values in batch.given.values()])
    wanted = [n.layer.landmarks for n in network.nodes if isinstance(n.layer, IdLayer) and "ids" not in n.inputs[0]]
    assert np.isin(np.concatenate(wanted).astype(np.float32), seen).all()


MUTANTS = {
    "a boundary one float higher": ("ids", 300.0, float(np.nextafter(np.float32(300), np.float32(400)))),
    "a boundary one float lower": ("vectors", 2.0, float(np.nextafter(np.float32(2), np.float32(0)))),
    "another number in the vocabulary": ("ids", 70000.0, 70001.0),
    "another negative number in the vocabulary": ("vectors", -12.0, -11.0),
    "the vector of another letter": ("letters", 7.0, 6.0),
}


@pytest.mark.parametrize(("case", "right", "wrong"), MUTANTS.values(), ids=MUTANTS, indirect=["case"])
def test_a_file_with_a_wrong_constant_is_refused(case: Any, right: float, wrong: float) -> None:
    _, network, forms, probes = case
    batches = probes.batches
    decisions = decide_distinct_rows(network, [network.named(batch.given) for batch in batches])
    for file, form in forms.items():
        model = onnx.ModelProto.FromString(form.model.SerializeToString())
        changed = 0
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor).copy()
            if values.dtype == np.float32 and values.ndim == 1 and len(values) > 1 and (values == right).any():
                values[values == right] = wrong
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
                changed += 1
        assert changed, file
        candidate = Candidate(file, model.SerializeToString(), form.recipe(), carried=form.carried)
        report = compare_file(candidate, "cpu", network, batches, decisions, probes.long_batch).report
        assert not report.passed, file


def test_a_model_that_looks_numbers_up_is_exported_and_verified(tmp_path: Path) -> None:
    """The vocabulary was learned, so that the file has it in an asset of its own."""
    lookup = layers.IntegerLookup(mask_token=0)
    lookup.adapt(np.array([[5, 5, 5, -8, -8, 1234567]]))
    codes = keras.Input((None,), dtype="int64")
    x = layers.GRU(4)(layers.Embedding(5, 3, mask_zero=True)(lookup(codes)))
    model = keras.Model(codes, layers.Dense(1, "sigmoid")(x))
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    data = (tmp_path / "bundle" / "model.onnx").read_bytes()
    assert verify_file("model.onnx", data, ["cpu"]).report.passed
    given = np.array([[5, -8, 1234567, 7, 0, 0], [1, 2, 3, 4, 5, -5]])
    probs = Session(data, device="cpu").run(given.astype(np.float32))[0]
    np.testing.assert_allclose(probs, np.asarray(model(given)), rtol=1e-5, atol=1e-6)


def ids(x: Any) -> Any:
    return layers.Embedding(9, 3)(x)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x: ids(layers.IntegerLookup(vocabulary=[1], num_oov_indices=0, name="p")(x)), "num_oov_indices=0"),
        (lambda x: ids(layers.IntegerLookup(vocabulary=[1 << 24], name="p")(x)), "between -16,777,216 and 16,777,216"),
        (lambda x: ids(layers.IntegerLookup(vocabulary=[1], invert=True, name="p")(x)), "has invert=True"),
        (
            lambda x: ids(layers.IntegerLookup(vocabulary=[1], num_oov_indices=2, oov_method="farmhash", name="p")(x)),
            "hashes unknown numbers",
        ),
        (layers.CategoryEncoding(3, output_mode="one_hot", name="p"), "an input of an open length"),
        (lambda x: ids(layers.Discretization([1.0], name="p")(layers.Rescaling(0.5)(x))), "reads computed numbers"),
        (lambda x: layers.CategoryEncoding(3, name="p")(x[..., None]), "wrap the layer in a TimeDistributed"),
        (lambda x: ids(layers.Discretization([1.0] * 9, name="p")(x)), "ids up to 9, but the Embedding after it has 9"),
    ],
)  # fmt: skip
def test_an_unsupported_encoding_is_refused_by_name_and_reason(body: Any, reason: str) -> None:
    x = keras.Input((None,), dtype="int32")
    with pytest.raises(ModelError, match=rf"layer p \(.*{reason}.*; nothing was exported"):
        read_network(keras.Model(x, layers.SimpleRNN(3)(body(x))))
