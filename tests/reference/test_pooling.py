"""Tests merging, pooling and reshaping layers and their masks, with numbers that can be checked on paper."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.reference import (
    Array,
    Concatenate,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    Masking,
    Merge,
    Network,
    Node,
    Pooling1D,
    RepeatVector,
    Reshape,
    Reverse,
    SimpleRNN,
    TakeMask,
    Tensor,
    ZeroPadding1D,
)

FIRST, SECOND = np.array([[True, False, False]]), np.array([[False, False, True]])


def column(*values: float) -> Array:
    """Makes one row of positions with one feature."""
    return np.array(values)[None, :, None]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("add", [5.0, 7.0, 9.0]),
        ("subtract", [-3.0, -3.0, -3.0]),
        ("multiply", [1.0, 0.0, 6.0]),
        ("average", [2.5, 3.5, 4.5]),
        ("maximum", [1.0, 2.0, 6.0]),
        ("minimum", [1.0, 2.0, 6.0]),
    ],
)
def test_a_merge_is_unmasked_where_any_input_is(operation: str, expected: list[float]) -> None:
    """Where one input is masked, a product, a maximum and a minimum are the number of the other one."""
    layer = Merge(operation)  # type: ignore[arg-type]  # a str from the parameters
    a, b = column(1, 2, 3), column(4, 5, 6)
    given = layer(Tensor(a, FIRST), Tensor(b, SECOND))
    assert given.values[0, :, 0].tolist() == expected
    assert given.mask is not None
    assert given.mask.tolist() == [[True, False, True]]
    assert layer(Tensor(a, FIRST), Tensor(b)).mask is None


@pytest.mark.parametrize(
    ("operation", "expected", "unmasked"),
    [("multiply", [4.0, 5.0, 6.0], [4.0, 10.0, 18.0]), ("maximum", [4.0, 5.0, 6.0], [4.0, 5.0, 6.0]),
     ("minimum", [1.0, 5.0, 6.0], [1.0, 2.0, 3.0])],
)  # fmt: skip
def test_a_merge_ignores_what_the_mask_of_one_input_hides(
    operation: str, expected: list[float], unmasked: list[float]
) -> None:
    layer = Merge(operation)  # type: ignore[arg-type]  # a str from the parameters
    a, b = column(1, 2, 3), column(4, 5, 6)
    for inputs in ((Tensor(a, FIRST), Tensor(b)), (Tensor(b), Tensor(a, FIRST))):
        assert layer(*inputs).values[0, :, 0].tolist() == expected
    assert layer(Tensor(a), Tensor(b)).values[0, :, 0].tolist() == unmasked


def test_a_merge_repeats_a_row_for_all_positions() -> None:
    x, row = np.arange(6.0).reshape(1, 3, 2), np.array([[10.0, 20.0]])
    assert Merge("add")(Tensor(x), Tensor(row)).values.tolist() == [[[10.0, 21.0], [12.0, 23.0], [14.0, 25.0]]]


def test_concatenate_treats_a_missing_mask_as_all_ones() -> None:
    a, b = column(1, 2, 3), column(4, 5, 6)
    both = Concatenate()(Tensor(a, FIRST), Tensor(b, SECOND)).mask
    assert both is not None
    assert both.tolist() == [[True, False, True]]
    half = Concatenate()(Tensor(a, FIRST), Tensor(b)).mask
    assert half is not None
    assert half.all()
    assert Concatenate()(Tensor(a), Tensor(b)).mask is None


def test_pooling_keeps_a_time_of_one_if_requested() -> None:
    x = Tensor(column(1, 5, 3), FIRST | SECOND)
    assert GlobalAveragePooling1D(keepdims=True)(x).values.tolist() == [[[2.0]]]
    assert GlobalMaxPooling1D(keepdims=True)(x).values.tolist() == [[[5.0]]]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Pooling1D("maximum", 2, 2, is_padded=False), [2.0, 4.0]),
        (Pooling1D("maximum", 2, 2, is_padded=True), [2.0, 4.0, 5.0]),
        (Pooling1D("average", 2, 2, is_padded=False), [1.5, 3.5]),
        (Pooling1D("average", 2, 2, is_padded=True), [1.5, 3.5, 5.0]),  # the last window covers one position
        (Pooling1D("average", 3, 1, is_padded=True), [1.5, 2.0, 3.0, 4.0, 4.5]),
        (Pooling1D("maximum", 4, 3, is_padded=True), [3.0, 5.0]),  # one position of padding at each end
        (Pooling1D("maximum", 6, 1, is_padded=False), []),
    ],
)
def test_pooling_windows_computed_by_hand(layer: Pooling1D, expected: list[float]) -> None:
    given = layer(Tensor(column(1, 2, 3, 4, 5), np.ones((1, 5), bool)))
    assert given.values[0, :, 0].tolist() == expected
    assert given.mask is None


def test_reshaping_drops_the_mask() -> None:
    x = Tensor(np.arange(6.0).reshape(1, 3, 2), FIRST)
    padded, reshaped = ZeroPadding1D(1, 0)(x), Reshape((-1, 1, 2))(x)
    assert padded.values.tolist() == [[[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]]
    assert reshaped.values.shape == (1, 3, 1, 2)
    assert padded.mask is reshaped.mask is None
    assert RepeatVector(2)(Tensor(np.array([[1.0, 2.0]]))).values.tolist() == [[[1.0, 2.0], [1.0, 2.0]]]


def test_an_unknown_operation_raises() -> None:
    with pytest.raises(ValueError, match="dot"):
        Merge("dot")(Tensor(column(1)))  # type: ignore[arg-type]  # wrong on purpose


def network(*layers: tuple[str, Layer, tuple[str, ...]]) -> Network:
    rng = np.random.default_rng(0)
    rnn = SimpleRNN(rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), np.zeros(2), "tanh", return_sequences=False)
    read = {name for _, _, inputs in layers for name in inputs}
    embeddings = [
        Node(name, Embedding(rng.normal(size=(4, 2)), mask_zero=name == "masked"), ("ids",))
        for name in ("masked", "plain")
        if name in read
    ]
    body = [Node(*layer) for layer in layers]
    return Network([*embeddings, *body, Node("rnn", rnn, (body[-1].name,))])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([("x", Merge("add"), ("masked", "masked"))], True),
        ([("x", Merge("add"), ("masked", "plain"))], False),
        ([("x", Concatenate(), ("masked", "plain"))], False),
        ([("x", Merge("add"), ("plain", "plain"))], False),
        ([("x", Pooling1D("maximum", 2, 2, is_padded=True), ("masked",))], False),
        ([("x", ZeroPadding1D(1, 1), ("masked",))], False),
        ([("x", Reshape((-1, 2)), ("masked",))], False),
        ([("x", Masking(0.0), ("masked",))], False),  # the layer replaces the mask
        ([("both", Merge("add"), ("masked", "plain")), ("x", TakeMask(), ("both", "masked"))], True),
        ([("both", Merge("add"), ("masked", "plain")), ("x", TakeMask(), ("both", "plain"))], False),
        ([("row", Reshape((-1, 2)), ("plain",)), ("x", TakeMask(), ("row", "masked"))], True),
        ([("row", Reshape((-1, 1)), ("plain",)), ("x", TakeMask(), ("row", "masked"))], False),
        ([("x", Reverse(), ("masked",))], False),  # the mask is not reversed with it
        ([("once", Reverse(), ("masked",)), ("x", Reverse(), ("once",))], True),
        ([("m", GlobalAveragePooling1D(), ("masked",)), ("x", RepeatVector(2), ("m",))], True),
        ([("m", GlobalAveragePooling1D(keepdims=True), ("masked",)), ("x", Reshape((1, 2)), ("m",))], True),
    ],
)
def test_padding_changes_the_answer_if_a_mask_is_dropped(
    layers: list[tuple[str, Layer, tuple[str, ...]]], expected: bool
) -> None:
    made = network(*layers)
    assert made.masks_zero is expected
    # A network that claims to mask its padding gives the same output for a row and for the padded row.
    if expected:
        alone, padded = (
            made.predict(np.array([[1, 2, 3]], np.int32)),
            made.predict(np.array([[0, 0, 1, 2, 3]], np.int32)),
        )
        np.testing.assert_allclose(alone, padded, rtol=1e-13)
