"""Makes models of the bodies of layers, and compares their files with the reference; needs the [train] extra."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from rnnx.onnx_file.visible_states import with_states
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.report import RuntimeReport
from rnnx.reference import Network
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session
from tests.conversions import decide
from tests.keras_files import through_file
from tests.keras_models.parts import Body

# One row each: zeros in front, at the end, between, nowhere, at all positions but one, and everywhere.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [2, 0, 0, 0, 0, 0], [0] * 6],
    np.int32,
)


def make(body: Body, *, mask_zero: bool, seed: int = 2, is_trained: bool = True) -> keras.Model:
    """Returns a classifier with the body over an embedding, from a file; weights are random, and variances positive.

    Without training, a model has the statistics that it starts with: means of 0 and variances of 1.
    """
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="ids")
    probs = layers.Dense(1, "sigmoid", name="head")(body(layers.Embedding(12, 4, mask_zero=mask_zero)(ids)))
    model = keras.Model(ids, probs)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype != "float32" or not (is_trained or weight.trainable):
            continue  # how many numbers a Normalization has seen
        values = rng.normal(size=weight.shape)
        weight.assign((np.abs(values) + 0.1 if "variance" in weight.path else values).astype(np.float32))
    return through_file(model)


def compare(network: Network, rewritten: Rewritten) -> RuntimeReport:
    data, recipe = rewritten.model.SerializeToString(), rewritten.recipe()
    session = Session(with_states(data, recipe), device="cpu")
    results = dict(zip(session.output_names, session.run(IDS), strict=True))
    batch = ProbeBatch(IDS, tuple(f"row {i}" for i in range(len(IDS))))
    states = {layer: results[value].transpose(1, 0, 2) for layer, value in recipe.names.items()}
    outputs = Outputs({"probs": results["probs"]}, states)
    return compare_runtime("onnxruntime", network, [batch], [outputs], [decide(network, IDS)])


def worst(report: RuntimeReport) -> float:
    """Returns the largest ratio of a layer; infinity if a value is not a number."""
    return max(np.inf if layer.ratio is None else layer.ratio for layer in report.layers)
