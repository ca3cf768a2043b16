"""The part of the model card on how good a model is, from what `rnnx evaluate --save` wrote. Standard library."""

from __future__ import annotations

from typing import Any

from rnnx.bundle.config import ModelConfig
from rnnx.metrics.side_by_side import describe_comparison


def code(label: str) -> str:
    """A label as code in a Markdown table."""
    return "`" + label.replace("`", "'").replace("|", "\\|") + "`"


def describe_evaluation(config: ModelConfig, record: dict[str, Any], dataset: str) -> str:
    """The section with the figures of an evaluation.

    Args:
        config: The bundle's description.
        record: What `evaluation.json` holds; one of an earlier rnnx has neither calibration nor lengths.
        dataset: What was measured on, as the command line takes it.
    """
    unit = "words" if config.words else config.kind
    # A data set without a test part is its training part, which may be asked for by name all the same.
    part = " --part train" if not config.words and record["dataset"].endswith("(train part)") else ""
    beside = "".join(f" --beside {given}" for given in record.get("beside", ()))
    measured = (
        f"on {record['count']:,} {unit} of {record['dataset']}, "
        f"measured on the `model.onnx` with sha256 `{record['model_sha256'][:16]}...` by "
        f"`rnnx evaluate {config.name} {dataset}{part}{beside} --save`."
    )
    if "labels" not in record:
        return f"## Error\n\nMeasured {measured}\n\n{_errors(record)}"
    unknown = (
        f" Of the {record['unknown_count']:,} words that the vocabulary does not hold, "
        f"{record['unknown_accuracy']:.4f} are right."
        if record.get("unknown_count")
        else ""
    )
    parts = [f"## Accuracy\n\n**{record['accuracy']:.4f}** {measured}{unknown}", _labels(record, unit)]
    if side_by_side := record.get("side_by_side"):
        parts.append(describe_comparison(side_by_side, unit))
    if by_length := record.get("by_length"):
        parts.append(_lengths(by_length, unit, config.kind == "texts"))
    if calibration := record.get("calibration"):
        parts.append(_calibration(calibration, unit))
    return "\n\n".join(parts)


def describe_temperature(metrics: dict[str, Any], unit: str) -> str:
    """What the temperature that is folded into the head did to the validation part, from `metrics.json`."""
    names = {"negative_log_likelihood": "negative log likelihood", "brier_score": "Brier score"}
    names = {"expected_calibration_error": "expected calibration error", **names}
    before, after = (metrics["validation_calibration"][when] for when in ("before", "after"))
    rows = "\n".join(f"| {name} | {before[key]:.4f} | {after[key]:.4f} |" for key, name in names.items())
    return (
        f"The same command divided the logits by a temperature of {metrics['temperature']:.4f}, fitted on the "
        f"validation {unit} and folded into the head; it changes probabilities, not labels:\n\n"
        f"| on validation | before | after |\n|---|---:|---:|\n{rows}"
    )


def _errors(record: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {m['mae']:.6g} | {m['rmse']:.6g} | {'-' if m['r2'] is None else format(m['r2'], '.4f')} |"
        for name, m in [("all", record), *((f"y[{i}]", m) for i, m in enumerate(record["outputs"]))]
    )
    return f"| output | MAE | RMSE | R2 |\n|---|---:|---:|---:|\n{rows}"


def _labels(record: dict[str, Any], unit: str) -> str:
    rows = "\n".join(
        f"| {code(label)} | {m['precision']:.4f} | {m['recall']:.4f} | {m['f1']:.4f} | {m['support']:,} |"
        for label, m in record["labels"].items()
    )
    said = " | ".join(f"said {code(label)}" for label in record["labels"])
    confusion = "\n".join(
        f"| {code(label)} | {' | '.join(f'{n:,}' for n in row)} |"
        for label, row in zip(record["labels"], record["confusion"], strict=True)
    )
    return (
        f"| label | precision | recall | F1 | {unit} |\n|---|---:|---:|---:|---:|\n{rows}\n\n"
        f"| true | {said} |\n|---|{'---:|' * len(record['labels'])}\n{confusion}"
    )


def _lengths(by_length: list[dict[str, Any]], unit: str, is_text: bool) -> str:
    rows = "\n".join(f"| {_range(row)} | {row['accuracy']:.4f} | {row['count']:,} |" for row in by_length)
    return (
        f"### By length\n\nFrom the same run; a row ends where another fifth of all {unit} does.\n\n"
        f"| {'tokens' if is_text else 'steps'} | accuracy | {unit} |\n|---:|---:|---:|\n{rows}"
    )


def _range(row: dict[str, Any]) -> str:
    lengths = f"{row['shortest']:,}" + (f" to {row['longest']:,}" if row["longest"] > row["shortest"] else "")
    return f"{lengths}, cut: longer than the model reads" if row["is_cut"] else lengths


def _calibration(calibration: dict[str, Any], unit: str) -> str:
    likelihood, brier = calibration["negative_log_likelihood"], calibration["brier_score"]
    others = ""
    if likelihood is not None:
        others = f" Negative log likelihood {likelihood:.4f} nats; Brier score {brier:.4f} (half the square distance)."
    rows = "\n".join(
        f"| {b['low']:.3f} to {b['high']:.3f} | {b['confidence']:.4f} | {b['accuracy']:.4f} | {b['count']:,} |"
        for b in calibration["bins"]
    )
    return (
        "### Calibration\n\nFrom the same run. Expected calibration error "
        f"**{calibration['expected_calibration_error']:.4f}**: how far the share that is right lies from the "
        f"probability that was said, over 15 bins of equal width (Guo et al., ICML 2017).{others}\n\n"
        f"| probability said | mean | right | {unit} |\n|---:|---:|---:|---:|\n{rows}"
    )
