"""The answers of `rnnx infer` as rows of a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from rnnx.cli.tags import describe_spans, describe_words

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnx.bundle.config import ModelConfig
    from rnnx.infer.input_items import Answer
    from rnnx.infer.predictions import LabelSet, Prediction, Rating, Tagging, Values

    AnyPrediction: TypeAlias = Prediction | LabelSet | Rating | Tagging | Values

# Two float32 numbers that differ can agree in 7 digits, but further digits are noise in an answer.
_DIGITS = 7


def describe_answer(a: Answer, position: str) -> dict[str, Any]:
    """Returns one answer as the object of the JSON output.

    Args:
        a: The answer.
        position: `line` or `index`: the attribute of the item that says where in its file it is.
    """
    from rnnx.infer.predictions import LabelSet, Prediction, Rating, Tagging, Values

    item = a.item
    head = {"source": item.source, position: getattr(item, position)}
    match a.prediction:
        case None:
            return {**head, "status": "error", "error": item.error}
        case Tagging() as tagging:
            spans = {} if tagging.spans is None else {"spans": describe_spans(tagging)}
            return {**head, "status": "ok", **spans, "words": describe_words(tagging), "tokens": tagging.tokens}
        case Values() as values:
            outputs = {name: to_list(array) for name, array in values.outputs.items()}
            return {**head, "status": "ok", "outputs": outputs, "tokens": values.tokens}
        case Prediction() as prediction:
            return {**head, "status": "ok", **describe_label(prediction)}
        case LabelSet() as chosen:
            return {**head, "status": "ok", **describe_label_set(chosen)}
        case Rating() as rating:
            value = float(f"{rating.value:.{_DIGITS}g}")
            return {**head, "status": "ok", "value": value, "tokens": rating.tokens, "truncated": rating.truncated}
        case prediction:
            assert_never(prediction)


def describe_label(prediction: Prediction) -> dict[str, Any]:
    """Returns the prediction of a label as the fields of the JSON output."""
    return {
        "label": prediction.label,
        "label_id": prediction.label_id,
        "probability": round(prediction.probability, 6),
        "probs": {label: round(value, 6) for label, value in prediction.probs.items()},
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
    }


def describe_label_set(chosen: LabelSet) -> dict[str, Any]:
    """Returns the prediction of several labels as the fields of the JSON output."""
    return {
        "labels": list(chosen.labels),
        "probs": {label: round(value, 6) for label, value in chosen.probs.items()},
        "tokens": chosen.tokens,
        "truncated": chosen.truncated,
    }


def to_list(array: npt.NDArray[Any]) -> Any:
    """Returns an array as nested lists, each number rounded to the digits of a float32."""
    if array.ndim == 0:
        return float(f"{array:.{_DIGITS}g}")
    return [to_list(part) for part in array]


def headings(config: ModelConfig, top: int) -> list[str]:
    """Returns the headings of the cells that `cells_for` makes.

    Args:
        config: The description of the model.
        top: How many labels are shown.
    """
    if config.task == "classification":
        return ["Label", "Probability"] * top
    if config.task == "multilabel":
        return ["Labels", "Probabilities"]
    if config.kind == "texts" and config.task == "regression":
        return ["Value"]
    return [
        name
        for port in config.outputs
        for name in ([f"{port.name}[{i}]" for i in range(port.shape[0] or 0)] if _is_row(port.shape) else [port.name])
    ]


def cells_for(config: ModelConfig, top: int) -> Callable[[AnyPrediction], list[object]]:
    """Returns a function from a prediction to the cells of its row; an output over the time becomes one cell of JSON.

    Args:
        config: The description of the model.
        top: How many labels are shown.
    """
    from rnnx.infer.predictions import (  # once, not for each of a million rows
        LabelSet,
        Prediction,
        Rating,
        Tagging,
        Values,
    )

    def cells(prediction: AnyPrediction) -> list[object]:
        match prediction:
            case Prediction():
                return label_cells(prediction, top)
            case LabelSet() as chosen:
                probabilities = ", ".join(f"{chosen.probs[label]:.4f}" for label in chosen.labels)
                return [", ".join(chosen.labels) or "(none)", probabilities or "-"]
            case Rating() as rating:
                return [f"{rating.value:.4g}"]
            case Values() as values:
                row: list[object] = []
                for port in config.outputs:
                    numbers = to_list(values.outputs[port.name])
                    row += numbers if _is_row(port.shape) else [json.dumps(numbers)]
                return row
            case Tagging() as tagging:
                return [json.dumps(describe_words(tagging))]
            case _:
                assert_never(prediction)

    return cells


def label_cells(prediction: Prediction, top: int) -> list[object]:
    """Returns the most likely labels and their probabilities as the cells of a row."""
    # The chosen label comes first; with a threshold it may be the less likely one.
    if top == 1:
        return [prediction.label, f"{prediction.probability:.4f}"]
    ranked = sorted(prediction.probs.items(), key=lambda pair: (pair[0] != prediction.label, -pair[1]))
    return [cell for label, value in ranked[:top] for cell in (label, f"{value:.4f}")]


def _is_row(shape: Sequence[int | None]) -> bool:
    return len(shape) == 1 and shape[0] is not None
