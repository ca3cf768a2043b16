"""Tests that a stream in chunks of any size gives the same answers as a single run, and that its state can be saved."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnnx
from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import VOCABULARY_NAME, read_directory
from rnnx.errors import ModelError
from rnnx.infer.stream import Stream
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary, to_bytes
from tests.streams import NAME, make_tokenizer, open_path, pieces_of, reference_of

TEXT = b"the film<br />was wonderful, it's a qqqq caf\xc3\xa9 and  the plot moving"


@pytest.mark.parametrize("size", [1, 2, 5, 7, 500])
def test_a_text_in_pieces_gives_the_answer_to_the_whole(streaming_bundle: Path, size: int) -> None:
    model = rnnx.load(streaming_bundle)
    expected = model.predict([TEXT])[0]
    stream = model.stream()
    answers = [stream.feed(piece) for piece in pieces_of(TEXT, size)]
    last = stream.finish()
    (actual,) = last.predictions
    assert actual.probability == pytest.approx(expected.probability, abs=1e-6)
    assert (actual.label, actual.tokens, actual.truncated) == (expected.label, expected.tokens, False)
    words = [word for answer in (*answers, last) for word in answer.words]
    assert words == ["the", "film", "was", "wonderful", "it's", "a", "qqqq", "café", "and", "the", "plot", "moving"]
    stream.reset()
    assert stream.position_count == 0
    assert (
        stream.feed(TEXT.decode()).predictions[0].tokens == 11
    )  # the last word may continue, so it is not counted yet


def test_each_answer_is_that_to_the_text_read_so_far(streaming_bundle: Path) -> None:
    model = rnnx.load(streaming_bundle)
    stream = model.stream()
    nothing = stream.feed("wonder")
    assert (nothing.outputs, nothing.predictions, nothing.words) == ({}, (), ())
    text = "wonder"
    for piece in ("ful ", "awful ", "boring ", "dull\n", "", "great "):
        text += piece
        (actual,) = stream.feed(piece).predictions
        assert actual.probability == pytest.approx(model.predict([text])[0].probability, abs=1e-6)


def test_a_stream_is_not_truncated(streaming_bundle: Path) -> None:
    """The stream reads all 300 words, of which `predict` reads 20."""
    model = rnnx.load(streaming_bundle)
    text = b"the plot was dull " * 75
    assert model.predict([text])[0].truncated
    stream = model.stream()
    (actual,) = stream.feed(text).predictions
    vocabulary = Vocabulary.from_bytes(read_directory(streaming_bundle)[VOCABULARY_NAME])
    stream_ids = np.array([[1, *vocabulary.encode(text.split())]], np.int32)
    expected = reference_of(streaming_bundle).predict(stream_ids)[0, 0]
    assert actual.probs["pos"] == pytest.approx(expected, abs=1e-5)
    assert actual.tokens == 300


def test_an_empty_text_has_an_answer_at_its_end(streaming_bundle: Path) -> None:
    model = rnnx.load(streaming_bundle)
    stream = model.stream()
    assert stream.feed("").predictions == ()
    assert stream.finish().predictions[0].probability == pytest.approx(model.predict([""])[0].probability, abs=1e-6)


def test_a_tagger_answers_each_new_position(stream_bundles: dict[str, Path]) -> None:
    stream = open_path(stream_bundles["ids"])
    ids = np.array([3, 4, 0, 0, 5, 11, 0, 2])
    expected = reference_of(stream_bundles["ids"]).predict(ids[None].astype(np.int32))[0]
    answers = [stream.feed(piece) for piece in pieces_of(ids, 3)]
    np.testing.assert_allclose(
        expected, np.concatenate([answer.outputs["probs"] for answer in answers]), rtol=0, atol=1e-5
    )
    assert [len(answer.predictions) for answer in answers] == [3, 3, 2]
    labels = [prediction.label_id for answer in answers for prediction in answer.predictions]
    assert labels == expected.argmax(axis=1).tolist()
    nothing = stream.feed([])
    assert nothing.outputs["probs"].shape == (0, 3)
    assert nothing.predictions == ()


def test_a_tagger_of_texts_answers_each_word(stream_bundles: dict[str, Path]) -> None:
    """The start token is a position of the network, but not a word."""
    bundle = read_directory(stream_bundles["ids"])
    words = [f"w{i}".encode() for i in range(9)]
    tokenizer = Tokenizer(
        TokenizerConfig(20, True, True, "batch", "left", "left"), Vocabulary((*SPECIAL_TOKENS, *words))
    )
    stream = Stream(Session(bundle[NAME], device="cpu"), bundle.config, tokenizer)
    answers = [stream.feed(piece) for piece in ("w0 w", "5", "", " what<br />", "w8")] + [stream.finish()]
    assert [answer.words for answer in answers] == [("w0",), (), (), ("w5", "what"), (), ("w8",)]
    ids = np.array([[1, 3, 8, 2, 11]], np.int32)
    expected = reference_of(stream_bundles["ids"]).predict(ids)[0][1:]
    np.testing.assert_allclose(
        expected, np.concatenate([answer.outputs["probs"] for answer in answers]), rtol=0, atol=1e-5
    )
    assert [len(answer.predictions) for answer in answers] == [1, 0, 0, 2, 0, 1]


class Overflowing:
    """A session whose state is infinite after the second position."""

    input_names = ("ids", "h_in")
    output_names = ("probs", "h_out")
    input_shapes: ClassVar = {"ids": ["batch", "time"], "h_in": ["batch", 2]}

    def run_by_name(self, given: dict[str, Any]) -> dict[str, Any]:
        """Works as the method of a session."""
        state = np.where(given["h_in"] > 0, np.inf, 1.0).astype(np.float32)
        return {"probs": np.ones((1, given["ids"].shape[1], 3), np.float32), "h_out": state}


def test_a_state_that_overflows_is_an_error_and_is_not_kept(stream_bundles: dict[str, Path]) -> None:
    config = read_directory(stream_bundles["ids"]).config
    stream = Stream(Overflowing(), config, None)  # type: ignore[arg-type]  # a stream uses no more of a session
    stream.feed([3])
    with pytest.raises(ModelError, match="its state is not finite any more"):
        stream.feed([3])
    assert stream.state["h"].tolist() == [1, 1]
    assert stream.position_count == 1


def test_numbers_can_be_streamed_through_gated_cells(stream_bundles: dict[str, Path]) -> None:
    x = np.random.default_rng(0).standard_normal((40, 3))
    expected = reference_of(stream_bundles["sensor"]).predict(x[None].astype(np.float32))[0]
    for size in (1, 7, 40):
        stream = open_path(stream_bundles["sensor"])
        for piece in pieces_of(x, size):
            answer = stream.feed(piece)
        np.testing.assert_allclose(expected, answer.outputs["values"], rtol=0, atol=1e-5)
        assert answer.predictions == ()
        assert stream.position_count == 40


def test_a_masked_chunk_changes_no_output_and_no_state(stream_bundles: dict[str, Path]) -> None:
    stream = open_path(stream_bundles["states"])
    before = stream.feed([3, 49, 7]).outputs["values"][-1]
    state = stream.state["h"]
    np.testing.assert_array_equal(np.stack([before] * 5), stream.feed([0] * 5).outputs["values"])
    np.testing.assert_array_equal(state, stream.state["h"])


def test_a_state_can_be_saved_and_set_again(
    streaming_bundle: Path, stream_bundles: dict[str, Path], tmp_path: Path
) -> None:
    stream = open_path(streaming_bundle)
    stream.feed(TEXT[:31])  # this ends within a word
    np.savez(tmp_path / "state.npz", **stream.state)  # type: ignore[arg-type]  # numpy's own stub takes a bool there
    expected = [stream.feed(TEXT[31:]), stream.finish()]
    resumed = open_path(streaming_bundle)
    with np.load(tmp_path / "state.npz") as saved:
        resumed.state = dict(saved)
    actual = [resumed.feed(TEXT[31:]), resumed.finish()]
    assert [answer.predictions for answer in expected] == [answer.predictions for answer in actual]
    assert [answer.words for answer in expected] == [answer.words for answer in actual]
    sensor = open_path(stream_bundles["sensor"])
    assert {name: (v.shape, v.dtype.name) for name, v in sensor.state.items()} == {
        "memory.h": ((4,), "float32"),
        "memory.c": ((4,), "float32"),
        "upper.h": ((4,), "float32"),
        "positions": ((), "int64"),
    }


def test_a_state_that_does_not_fit_is_refused(stream_bundles: dict[str, Path]) -> None:
    stream = open_path(stream_bundles["states"])
    stream.feed([3])
    before = stream.state
    with pytest.raises(ValueError, match="the state should hold h, positions, not h"):
        stream.state = {"h": before["h"]}
    with pytest.raises(ValueError, match=r"h should be \(8,\) finite numbers, not \(3,\)"):
        stream.state = {**before, "h": np.zeros(3)}
    with pytest.raises(ValueError, match="finite"):
        stream.state = {**before, "h": np.full(8, np.nan)}
    with pytest.raises(ValueError, match=r"h should be \(8,\) finite numbers"):
        stream.state = {**before, "h": np.full(8, 1e300)}  # float32 cannot hold it
    np.testing.assert_array_equal(before["h"], stream.state["h"])


@pytest.mark.parametrize(
    ("network", "chunk", "reason"),
    [
        ("ids", [3, 12], r"ids should hold whole numbers in 0\.\.11"),
        ("ids", [-1], r"ids should hold whole numbers in 0\.\.11"),
        ("ids", [0.5], r"ids should hold whole numbers in 0\.\.11"),
        ("ids", [[3]], r"ids should be \(time\), not \(1, 1\)"),
        ("ids", {"x": [3]}, "a chunk should hold ids, not x"),
        ("sensor", [[1.0, np.nan, 0.0]], "x should hold finite numbers"),
        ("sensor", [[1e300, 0.0, 0.0]], "x should hold finite numbers, in float32 too"),
        ("sensor", [1.0, 2.0, 3.0], r"x should be \(time, 3\), not \(3,\)"),
    ],
)
def test_a_bad_chunk_is_refused_and_changes_nothing(
    stream_bundles: dict[str, Path], network: str, chunk: Any, reason: str
) -> None:
    stream = open_path(stream_bundles[network])
    good: Any = [3, 4] if network == "ids" else [[1.0, 2.0, 3.0]]
    stream.feed(good)
    before = stream.state
    with pytest.raises(ValueError, match=reason):
        stream.feed(chunk)
    for name, values in stream.state.items():
        np.testing.assert_array_equal(before[name], values)
    with pytest.raises(TypeError, match="made without a vocabulary"):
        stream.feed("a text")


def test_a_bundle_without_a_streaming_file_is_answered_with_the_option() -> None:
    with pytest.raises(ModelError, match=r"no model.stream.onnx: export it with --streaming"):
        rnnx.load("imdb").stream()


# Words of `make_tokenizer`, others, characters of one to four bytes, and marks.
_PARTS = [
    "電影",
    "Film",
    " ",
    "好",
    "ดี",
    "é",
    "e\u0301",
    "\u2018s",
    "\U0001f600",
    "!",
    "<br />",
    "\n",
    "w5",
    "\uff37",
    "\u200b",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(st.sampled_from([*(part.encode() for part in _PARTS), b"\xe9", b"\xf0\x9f"]), max_size=12),
    cuts=st.lists(st.integers(0, 60)),
)
def test_a_tagger_of_every_script_answers_each_word_of_pieces_cut_at_any_byte(
    parts: list[bytes], cuts: list[int], stream_bundles: dict[str, Path]
) -> None:
    text = b"".join(parts)
    bundle = read_directory(stream_bundles["ids"])
    tokenizer = make_tokenizer()
    stream = Stream(Session(bundle[NAME], device="cpu"), bundle.config, tokenizer)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    answers = [*(stream.feed(text[a:b]) for a, b in itertools.pairwise(edges)), stream.finish()]
    ids = tokenizer.encode(text).ids
    expected_words = tokenizer.rule.to_words(text, strip_breaks=True).split()
    words = [word for answer in answers for word in answer.words]
    assert [to_bytes(word) for word in words] == expected_words
    assert len(ids) == 1 + len(words)
    predictions = [prediction for answer in answers for prediction in answer.predictions]
    assert len(predictions) == len(words)
    expected = reference_of(stream_bundles["ids"]).predict(np.array([ids], np.int32))[0][1:]
    actual = np.concatenate([answer.outputs["probs"] for answer in answers])
    np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-5)
