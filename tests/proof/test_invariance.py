"""Tests the comparison under batching, order and padding: it passes if they do not matter, and fails if they do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rnnx.proof.invariance import Answers, Ask, compare_answers, compare_forms, compare_ways
from rnnx.reference import Attention, Dense, Embedding, Input, NamedArrays, Network, Node, SimpleRNN
from rnnx.rounding.decisions import decide

RNG = np.random.default_rng(0)
IDS = np.array([[0, 0, 3, 4, 5], [1, 2, 3, 8, 7], [0, 0, 0, 0, 2]], np.int32)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def network(*, mask_zero: bool) -> Network:
    return Network(
        [
            Node("embedding", Embedding(draw(9, 4), mask_zero=mask_zero), ("ids",)),
            Node("rnn", SimpleRNN(draw(4, 6), draw(6, 6), draw(6), "tanh", return_sequences=False), ("embedding",)),
            Node("probs", Dense(draw(6, 1), draw(1), "sigmoid"), ("rnn",)),
        ]
    )


MASKED, UNMASKED = network(mask_zero=True), network(mask_zero=False)
TAGGER_RNN = SimpleRNN(draw(4, 6), draw(6, 6), draw(6), "tanh", return_sequences=True)
TAGGER_HEAD = Dense(draw(6, 3), draw(3), "softmax")


def answers(network: Network, ids: np.ndarray) -> dict[str, np.ndarray]:
    return {"probs": network.predict(ids).astype(np.float32)}


def run_masked(given: NamedArrays) -> Answers:
    return answers(MASKED, given["ids"])


def off(by: Callable[[np.ndarray], float | np.ndarray]) -> Ask:
    """Returns a file whose answers are wrong by a function of the ids."""
    return lambda given: {"probs": run_masked(given)["probs"] + np.float32(by(given["ids"]))}


def test_a_right_file_passes_in_every_way() -> None:
    reports = compare_ways("file", MASKED, run_masked, {"ids": IDS}, decide(MASKED, IDS))
    assert {report.way for report in reports} == {
        "each row alone",
        "the rows in another order",
        "the batch in halves",
        "each row without its padding",
        "more padding in front",
        "more padding at the end",
    }
    assert all(report.passed for report in reports)


def test_padding_is_not_varied_if_the_network_reads_it() -> None:
    reports = compare_ways(
        "file", UNMASKED, lambda given: answers(UNMASKED, given["ids"]), {"ids": IDS}, decide(UNMASKED, IDS)
    )
    assert len(reports) == 3
    assert all(report.passed for report in reports)


@pytest.mark.parametrize(
    ("way", "run"),
    [
        ("each row without its padding", lambda given: answers(UNMASKED, given["ids"])),
        ("more padding at the end", off(lambda ids: 1e-3 * (ids[0, -1] == 0))),
        ("each row alone", off(lambda ids: 1e-3 * (len(ids) == 1))),
        ("the rows in another order", off(lambda ids: 1e-3 * np.arange(len(ids))[:, None])),
        ("the batch in halves", off(lambda ids: 1e-3 * (len(ids) == 2))),
    ],
)
def test_a_file_that_depends_on_a_way_fails_in_it(way: str, run: Ask) -> None:
    reports = compare_ways("file", MASKED, run, {"ids": IDS}, decide(MASKED, IDS))
    assert way in {report.way for report in reports if not report.passed}


def test_forms_are_compared_with_the_first() -> None:
    probs = run_masked({"ids": IDS})["probs"]
    forms = {"a": probs, "b": np.nextafter(probs, np.float32(2)), "c": probs + np.float32(0.01)}
    near, far = compare_forms({name: {"probs": values} for name, values in forms.items()}, decide(MASKED, IDS))
    assert (near.way, near.has_same_bits, near.passed) == ("compared with a", False, True)
    assert not far.passed


def test_nan_and_another_shape_fail() -> None:
    right = run_masked({"ids": IDS})
    broken = {"probs": right["probs"].copy()}
    broken["probs"][1] = np.nan
    allowed = {"probs": decide(MASKED, IDS)["probs"].bounds}
    assert not compare_answers("file", "way", right, broken, allowed).passed
    assert not compare_answers("file", "way", right, {"probs": right["probs"][:, 0]}, allowed).passed
    assert compare_answers("file", "way", right, right, allowed).has_same_bits


def test_an_output_over_time_is_compared_at_words_only() -> None:
    """At padding it may have any value."""
    tagger = Network([*MASKED.nodes[:1], Node("rnn", TAGGER_RNN, ("embedding",)), Node("probs", TAGGER_HEAD, ("rnn",))])

    def run(given: NamedArrays, noise: float = 0.0) -> Answers:
        ids = given["ids"]
        probs = tagger.predict(ids).astype(np.float32)
        return {"probs": probs + np.float32(noise) * (ids == 0)[:, :, None] * np.float32(ids.shape[1])}

    reports = compare_ways("file", tagger, lambda given: run(given, 0.1), {"ids": IDS}, decide(tagger, IDS))
    padding = [report for report in reports if "padding" in report.way]
    assert len(padding) == 3
    assert all(report.passed for report in padding)
    wrong = compare_ways(
        "file",
        tagger,
        lambda given: {"probs": run(given)["probs"] * np.float32(given["ids"].shape[1])},
        {"ids": IDS},
        decide(tagger, IDS),
    )
    assert not any(report.passed for report in wrong if "padding" in report.way)


def test_an_encoder_and_its_decoder_have_padding_of_their_own() -> None:
    """A query that is padding reads all keys, so that its value is compared nowhere."""
    inputs = (Input("source", "ids", (None,), 9), Input("target", "ids", (None,), 9))
    given = {"source": IDS, "target": np.array([[0, 0, 0, 0, 7], [0, 1, 2, 3, 8], [0, 0, 0, 3, 2]], np.int32)}
    tables, head = [draw(9, 4), draw(9, 4)], Dense(draw(4, 2), draw(2), "linear")
    encoder = SimpleRNN(draw(4, 4), draw(4, 4), draw(4), "tanh", return_sequences=True)

    def make(*, mask_zero: bool) -> Network:
        nodes = [
            Node("words", Embedding(tables[0], mask_zero=mask_zero), ("source",)),
            Node("keys", encoder, ("words",)),
            Node("queries", Embedding(tables[1], mask_zero=True), ("target",)),
            Node("attention", Attention(1.0, masking="replace"), ("queries", "keys")),
            Node("values", head, ("attention",)),
        ]
        return Network(nodes, inputs, {"values": "values"})

    right, wrong = make(mask_zero=True), make(mask_zero=False)
    assert right.masks_zero

    def failing(network: Network) -> set[str]:
        def run(given: NamedArrays) -> Answers:
            return {name: values.astype(np.float32) for name, values in network.answers(given).items()}

        reports = compare_ways("file", right, run, given, decide(right, given))
        return {report.way for report in reports if not report.passed}

    assert failing(right) == set()
    assert failing(wrong) == {
        "each row without its padding",
        "more padding in front",
        "more padding at the end",
    }
