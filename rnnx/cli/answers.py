"""Answers of `rnnx infer` as rows of a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnnx.cli.tags import describe_words

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnx.bundle.config import ModelConfig
    from rnnx.infer.predictions import Prediction, Values
    from rnnx.infer.text_files import Answer

# A float32 has no more digits than these to tell.
_DIGITS = 7


def describe_answer(a: Answer, position: str) -> dict[str, Any]:
    """One answer of the contract.

    Args:
        a: The answer.
        position: `line` or `index`: what says where in the source it stands.
    """
    from rnnx.infer.predictions import Tagging, Values

    item, prediction = a.item, a.prediction
    head = {"source": item.source, position: getattr(item, position)}
    if prediction is None:
        return {**head, "status": "error", "error": item.error}
    if isinstance(prediction, Tagging):
        return {**head, "status": "ok", "words": describe_words(prediction), "tokens": prediction.tokens}
    if isinstance(prediction, Values):
        outputs = {name: to_list(array) for name, array in prediction.outputs.items()}
        return {**head, "status": "ok", "outputs": outputs, "tokens": prediction.tokens}
    return {**head, "status": "ok", **describe_label(prediction)}


def describe_label(prediction: Prediction) -> dict[str, Any]:
    """A prediction of a label, as the contract has it."""
    return {
        "label": prediction.label,
        "label_id": prediction.label_id,
        "probability": round(prediction.probability, 6),
        "probs": {label: round(value, 6) for label, value in prediction.probs.items()},
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
    }


def to_list(array: npt.NDArray[Any]) -> Any:
    """An array as nested lists, each number in as many digits as a float32 has."""
    if array.ndim == 0:
        return float(f"{array:.{_DIGITS}g}")
    return [to_list(part) for part in array]


def headings(config: ModelConfig, top: int) -> list[str]:
    """The headings of what `cells` gives.

    Args:
        config: The model's.
        top: How many labels are shown.
    """
    if config.task == "classification":
        return ["Label", "Probability"] * top
    return [
        name
        for one in config.outputs
        for name in ([f"{one.name}[{i}]" for i in range(one.shape[0] or 0)] if _is_row(one.shape) else [one.name])
    ]


def cells(config: ModelConfig, prediction: Prediction | Values, top: int) -> list[object]:
    """One prediction as the cells of a row; an output over the time is one cell of JSON."""
    from rnnx.infer.predictions import Values

    if isinstance(prediction, Values):
        row: list[object] = []
        for one in config.outputs:
            values = to_list(prediction.outputs[one.name])
            row += values if _is_row(one.shape) else [json.dumps(values)]
        return row
    return label_cells(prediction, top)


def label_cells(prediction: Prediction, top: int) -> list[object]:
    """The likeliest labels and their probabilities as the cells of a row."""
    # The chosen label first, which a threshold may have made the less likely one.
    ranked = sorted(prediction.probs.items(), key=lambda pair: (pair[0] != prediction.label, -pair[1]))
    return [cell for label, value in ranked[:top] for cell in (label, f"{value:.4f}")]


def _is_row(shape: Sequence[int | None]) -> bool:
    return len(shape) == 1 and shape[0] is not None
