"""Several bundles measured on the same data, side by side: other seeds of a recipe, other recipes. Standard library."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnx.bundle.config import ModelConfig


@dataclass(frozen=True)
class Compared:
    """One bundle's figures.

    Attributes:
        name: The model's.
        recipe: That it was trained by; None for a network from elsewhere.
        seed: Of that training.
        parameter_count: Numbers learned.
        validation_accuracy: Of the kept epoch; each seed holds out other examples.
        accuracy: On the data that all were measured on.
        expected_calibration_error: Likewise.
        model_sha256: Of the `model.onnx` that was measured.
    """

    name: str
    recipe: str | None
    seed: int | None
    parameter_count: int
    validation_accuracy: float | None
    accuracy: float
    expected_calibration_error: float
    model_sha256: str


@dataclass(frozen=True)
class Spread:
    """The accuracies of one recipe's seeds; `deviation` is the sample standard deviation."""

    recipe: str
    count: int
    mean: float
    deviation: float
    lowest: float
    highest: float


def compare(config: ModelConfig, accuracy: float, calibration_error: float, model_sha256: str) -> Compared:
    """Takes the figures of one bundle together with where it comes from."""
    t = config.training
    return Compared(
        name=config.name,
        recipe=t.recipe if t else None,
        seed=t.seed if t else None,
        parameter_count=config.parameter_count,
        validation_accuracy=t.best_validation_accuracy if t else None,
        accuracy=accuracy,
        expected_calibration_error=calibration_error,
        model_sha256=model_sha256,
    )


def measure_spreads(rows: Sequence[Compared]) -> tuple[Spread, ...]:
    """Mean and spread of each recipe that was measured with more than one seed; a seed counts once."""
    recipes: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.recipe is not None and row.seed is not None:
            recipes.setdefault(row.recipe, {})[row.seed] = row.accuracy
    return tuple(
        Spread(recipe, len(all_), statistics.mean(all_), statistics.stdev(all_), min(all_), max(all_))
        for recipe, by_seed in recipes.items()
        if len(all_ := list(by_seed.values())) > 1
    )


def describe_comparison(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """The section of the card, from what `evaluation.json` holds under `side_by_side`."""
    compared = [Compared(**row) for row in rows]
    table = "\n".join(
        f"| {row.name} | {row.recipe or '-'} | {'-' if row.seed is None else row.seed} | {row.parameter_count:,} | "
        f"{'-' if row.validation_accuracy is None else format(row.validation_accuracy, '.4f')} | {row.accuracy:.4f} | "
        f"{row.expected_calibration_error:.4f} | `{row.model_sha256[:8]}` |"
        for row in compared
    )
    spreads = "".join(
        f"\n\nRecipe `{one.recipe}`, {one.count} seeds: mean **{one.mean:.4f}**, standard deviation "
        f"{one.deviation:.4f}, {one.lowest:.4f} to {one.highest:.4f}."
        for one in measure_spreads(compared)
    )
    return (
        f"### Side by side\n\nFrom the same run, on the same {unit}. Validation is what each training held out.\n\n"
        "| model | recipe | seed | parameters | validation accuracy | accuracy | calibration error | sha256 |\n"
        f"|---|---|---:|---:|---:|---:|---:|---|\n{table}{spreads}"
    )
