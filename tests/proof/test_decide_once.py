"""The decisions of a bundle: computed once for equal arguments, and again for any difference."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import numpy as np
import numpy.typing as npt
import pytest

from rnnx import reference
from rnnx.proof import decide_once as module
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.decide_once import BatchDecisions, decide_batches, decide_once
from rnnx.reference import Input, Network, Node

IDS = np.array([[0, 0, 3, 4], [1, 2, 3, 4]], np.int32)


def tagger(scale: float = 1.0, rnn: str = "rnn", *, go_backwards: bool = False) -> Network:
    rng = np.random.default_rng(0)
    w, u, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)
    layer = reference.SimpleRNN(w, u, b, "tanh", return_sequences=True, go_backwards=go_backwards)
    return Network(
        [
            Node("words", reference.Embedding(rng.normal(size=(5, 3)), mask_zero=True), ("ids",)),
            Node(rnn, layer, ("words",)),
            Node("probs", reference.Dense(scale * rng.normal(size=(4, 3)), rng.normal(size=3), "softmax"), (rnn,)),
        ],
        (Input(size=5),),
    )


def batches(ids: npt.NDArray[np.int32] = IDS) -> list[ProbeBatch]:
    return [ProbeBatch(ids, ("short", "long")), ProbeBatch(ids[:1, 2:], ("short",)), ProbeBatch(ids[1:], ("long",))]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """The networks for which decisions were computed, with an empty cache."""
    networks = []

    def count(network: Network, given: Sequence[ProbeBatch]) -> list[BatchDecisions]:
        networks.append(network)
        return decide_batches(network, given)

    monkeypatch.setattr(module, "decide_batches", count)
    monkeypatch.setattr(module, "_entries", {})
    return networks


def test_equal_arguments_are_decided_once(computed: list[Network]) -> None:
    first = decide_once(tagger(), batches())
    assert decide_once(tagger(), batches()) is first
    assert len(computed) == 1


def test_any_difference_is_decided_again(computed: list[Network]) -> None:
    network = tagger()
    decide_once(network, batches())
    decide_once(tagger(1.0 + 1e-15), batches())
    other_ids = IDS.copy()
    other_ids[0, 2] = 1
    decide_once(network, batches(other_ids))
    decide_once(tagger(rnn="other"), batches())
    decide_once(tagger(go_backwards=True), batches())
    assert len(computed) == 5


def test_threads_wait_for_the_first(computed: list[Network]) -> None:
    threads = [Thread(target=decide_once, args=(tagger(), batches())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1


def test_an_error_is_not_kept(computed: list[Network]) -> None:
    wrong = [ProbeBatch({"ids": IDS, "x": IDS}, ("short", "long"))]
    for _ in range(2):
        with pytest.raises(ValueError, match="inputs should be ids"):
            decide_once(tagger(), wrong)
    bad_ids = [ProbeBatch(IDS + 9, ("short", "long"))]
    for count in (1, 2):
        with pytest.raises(ValueError, match="ids should be in"):
            decide_once(tagger(), bad_ids)
        assert len(computed) == count


def test_few_results_are_kept(computed: list[Network]) -> None:
    for scale in range(1, 8):
        decide_once(tagger(scale), batches())
    assert len(module._entries) == 4


def test_a_row_is_taken_from_the_whole_batch_only_with_its_shape() -> None:
    whole, short, long = decide_batches(tagger(), batches())
    np.testing.assert_array_equal(whole["probs"].bounds[1:], long["probs"].bounds)
    assert short["probs"].values.shape == (1, 2, 3)
    # Every position of the short row alone is followed; as a part of the whole batch, all four are.
    np.testing.assert_allclose(short["probs"].values, whole["probs"].values[:1, 2:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(short["probs"].bounds, whole["probs"].bounds[:1, 2:], rtol=1e-9)
