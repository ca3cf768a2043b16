"""The section of the model card on accuracy or error, from the record of `rnnx evaluate --save`. Standard library."""

from __future__ import annotations

from typing import Any

from rnnx.card.card_kinds import CardKind, code
from rnnx.metrics.side_by_side import describe_comparison


def describe_evaluation(kind: CardKind, record: dict[str, Any]) -> str:
    """Writes the section with the figures of an evaluation.

    Args:
        kind: Describes the model.
        record: The content of `evaluation.json`; one from an earlier rnnx lacks some of the figures.
    """
    name, dataset, unit = kind.config.name, record["dataset"], kind.unit
    beside = "".join(f" --beside {model}" for model in record.get("beside", ()))
    measured = (
        f"on {record['count']:,} {unit} of {dataset}, "
        f"measured on the `model.onnx` with sha256 `{record['model_sha256'][:16]}...` by "
        f"`rnnx evaluate {name} {kind.dataset_argument(dataset)}{kind.part_option(dataset)}{beside} --save`."
    )
    if "micro_f1" in record:
        return f"## Accuracy\n\nMicro F1 **{record['micro_f1']:.4f}** {measured}\n\n{_label_sets(record, unit)}"
    if "baseline" in record:
        return f"## Error\n\nMean absolute error **{record['mae']:.4f}** {measured}\n\n{_ratings(record)}"
    if "labels" not in record:
        return f"## Error\n\nMeasured {measured}\n\n{_errors(record)}"
    unknown = (
        f" Of the {record['unknown_count']:,} words that are not in the vocabulary, "
        f"{record['unknown_accuracy']:.4f} are tagged correctly."
        if record.get("unknown_count")
        else ""
    )
    macro = f" The mean F1 of the labels is {record['macro_f1']:.4f}." if "macro_f1" in record else ""
    parts = [f"## Accuracy\n\n**{record['accuracy']:.4f}** {measured}{macro}{unknown}", _labels(record, unit)]
    if spans := record.get("spans"):
        parts.insert(1, _spans(spans))
    if side_by_side := record.get("side_by_side"):
        parts.append(describe_comparison(side_by_side, unit))
    if by_length := record.get("by_length"):
        parts.append(_lengths(by_length, kind))
    if calibration := record.get("calibration"):
        parts.append(_calibration(calibration, unit))
    return "\n\n".join(parts)


def describe_linear_part(part: dict[str, Any], score: str, unit: str) -> str:
    """Describes the linear model of the words that was added to the network.

    Args:
        part: `linear_part` of `metrics.json`; it should be in use.
        score: The name of the validation score.
        unit: What was validated on, in the plural.
    """
    return (
        "After the epochs, the same command added a linear model of the words to the logits: a logistic regression "
        "of the words of the training texts and of their character n-grams, which the network has as one vote of each "
        f"word for each label. How much they count was fitted on the validation {unit}. Judged with weights that were "
        f"fitted on the others, their {score} is {part['validation_with']:.4f} with it, and "
        f"{part['validation_without']:.4f} without."
    )


def describe_retraining(count: int, epochs: int) -> str:
    """Describes the last training, on what was held out as well.

    Args:
        count: The number of sequences.
        epochs: How many epochs the first training took.
    """
    return (
        f"After these {epochs} epochs, the same command trained the network again from the start, on all {count:,} "
        "sequences, with those that were held out. The model has the weights of that training. The figures above are "
        "those of the first one, because nothing was left to measure the second one on."
    )


def describe_temperature(metrics: dict[str, Any], unit: str) -> str:
    """Describes how the temperature in the head changed the validation figures.

    Args:
        metrics: The content of `metrics.json`.
        unit: What was validated on, in the plural.
    """
    names = {"negative_log_likelihood": "negative log likelihood", "brier_score": "Brier score"}
    names = {"expected_calibration_error": "expected calibration error", **names}
    before, after = (metrics["validation_calibration"][when] for when in ("before", "after"))
    rows = "\n".join(f"| {name} | {before[key]:.4f} | {after[key]:.4f} |" for key, name in names.items())
    return (
        f"The same command divided the logits by a temperature of {metrics['temperature']:.4f}, fitted on the "
        f"validation {unit} and now part of the head's weights. It changes probabilities, not labels:\n\n"
        f"| on validation | before | after |\n|---|---:|---:|\n{rows}"
    )


def _label_sets(record: dict[str, Any], unit: str) -> str:
    """Writes the figures of a model that gives several labels."""
    return (
        f"Macro F1 {record['macro_f1']:.4f}; micro precision {record['micro_precision']:.4f}, recall "
        f"{record['micro_recall']:.4f}. For {record['exact']:.4f} of the {unit} all labels are right.\n\n"
        f"{_label_rows(record, unit)}"
    )


def _ratings(record: dict[str, Any]) -> str:
    """Writes the figures of a model that gives a number, next to those of the mean."""
    r2, pearson = ("-" if record[key] is None else f"{record[key]:.4f}" for key in ("r2", "pearson"))
    return (
        f"| | model | always {record['baseline']:.4g}, the mean |\n|---|---:|---:|\n"
        f"| mean absolute error | {record['mae']:.4f} | {record['baseline_mae']:.4f} |\n"
        f"| root mean squared error | {record['rmse']:.4f} | {record['baseline_rmse']:.4f} |\n"
        f"| R2 | {r2} | 0 |\n| correlation (Pearson) | {pearson} | - |"
    )


def _errors(record: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {m['mae']:.6g} | {m['rmse']:.6g} | {'-' if m['r2'] is None else format(m['r2'], '.4f')} |"
        for name, m in [("all", record), *((f"y[{i}]", m) for i, m in enumerate(record["outputs"]))]
    )
    return f"| output | MAE | RMSE | R2 |\n|---|---:|---:|---:|\n{rows}"


def _label_rows(record: dict[str, Any], unit: str) -> str:
    rows = "\n".join(
        f"| {code(label)} | {m['precision']:.4f} | {m['recall']:.4f} | {m['f1']:.4f} | {m['support']:,} |"
        for label, m in record["labels"].items()
    )
    return f"| label | precision | recall | F1 | {unit} |\n|---|---:|---:|---:|---:|\n{rows}"


def _labels(record: dict[str, Any], unit: str) -> str:
    labels = " | ".join(map(code, record["labels"]))
    confusion = "\n".join(
        f"| {code(label)} | {' | '.join(f'{n:,}' for n in row)} |"
        for label, row in zip(record["labels"], record["confusion"], strict=True)
    )
    return (
        f"{_label_rows(record, unit)}\n\n"
        "How often each label was predicted (columns) for each true label (rows):\n\n"
        f"| | {labels} |\n|---|{'---:|' * len(record['labels'])}\n{confusion}"
    )


def _spans(spans: dict[str, Any]) -> str:
    averages = {"all, micro average": spans["micro"], "all, macro average": spans["macro"]}
    rows = "\n".join(
        f"| {name} | {m['precision']:.4f} | {m['recall']:.4f} | {m['f1']:.4f} | {m['support']:,} |"
        for name, m in [*((code(label), m) for label, m in spans["labels"].items()), *averages.items()]
    )
    return (
        f"F1 of the spans: **{spans['micro']['f1']:.4f}** (micro average). A span counts if its words and its label "
        "are right, by the definition of conlleval and of seqeval's default mode.\n\n"
        f"| span | precision | recall | F1 | spans |\n|---|---:|---:|---:|---:|\n{rows}\n\nThe tags of single words:"
    )


def _lengths(by_length: list[dict[str, Any]], kind: CardKind) -> str:
    rows = "\n".join(f"| {_range(row)} | {row['accuracy']:.4f} | {row['count']:,} |" for row in by_length)
    return (
        f"### By length\n\nFrom the same run. The rows divide all {kind.unit} into fifths by length.\n\n"
        f"| {kind.length_unit} | accuracy | {kind.unit} |\n|---:|---:|---:|\n{rows}"
    )


def _range(row: dict[str, Any]) -> str:
    lengths = f"{row['shortest']:,}" + (f" to {row['longest']:,}" if row["longest"] > row["shortest"] else "")
    return f"{lengths}, cut: longer than the model reads" if row["is_cut"] else lengths


def _calibration(calibration: dict[str, Any], unit: str) -> str:
    likelihood, brier = calibration["negative_log_likelihood"], calibration["brier_score"]
    others = ""
    if likelihood is not None:
        others = f" Negative log likelihood {likelihood:.4f} nats; Brier score {brier:.4f} (half the squared distance)."
    rows = "\n".join(
        f"| {b['low']:.3f} to {b['high']:.3f} | {b['confidence']:.4f} | {b['accuracy']:.4f} | {b['count']:,} |"
        for b in calibration["bins"]
    )
    return (
        "### Calibration\n\nFrom the same run. Expected calibration error "
        f"**{calibration['expected_calibration_error']:.4f}**: the mean distance between the predicted probability and "
        f"the share of correct predictions, over 15 bins of equal width (Guo et al., ICML 2017).{others}\n\n"
        f"| predicted probability | mean | correct | {unit} |\n|---:|---:|---:|---:|\n{rows}"
    )
