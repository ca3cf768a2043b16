"""A comparison of several models on the same data, such as several seeds of a recipe, or several recipes.

Imports the standard library and the bundle's configuration only.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnx.bundle.config import ModelConfig


@dataclass(frozen=True)
class MeasuredModel:
    """The figures of one model in the comparison.

    Attributes:
        name: The name of the model.
        recipe: The recipe that trained it; None if the network was not trained by rnnx.
        seed: The seed of that training; None if the network was not trained by rnnx.
        parameter_count: Number of trained parameters.
        validation_accuracy: The validation accuracy of the epoch that was kept, in 0..1. Each seed holds out other
            examples, so these are not comparable across seeds. None if it was not recorded.
        accuracy: The accuracy on the data that all models were measured on, in 0..1.
        expected_calibration_error: The calibration error on the same data, in 0..1.
        model_sha256: The SHA-256 of the `model.onnx` that was measured, in hexadecimal.
    """

    name: str
    recipe: str | None
    seed: int | None
    parameter_count: int
    validation_accuracy: float | None
    accuracy: float
    expected_calibration_error: float
    model_sha256: str

    @classmethod
    def of(cls, config: ModelConfig, accuracy: float, calibration_error: float, model_sha256: str) -> MeasuredModel:
        """Combines the figures of one model with the recipe and the seed from its configuration."""
        training = config.training
        return cls(
            name=config.name,
            recipe=training.recipe if training else None,
            seed=training.seed if training else None,
            parameter_count=config.parameter_count,
            validation_accuracy=training.best_validation_accuracy if training else None,
            accuracy=accuracy,
            expected_calibration_error=calibration_error,
            model_sha256=model_sha256,
        )


@dataclass(frozen=True)
class Spread:
    """The spread of the accuracy over the seeds of one recipe.

    Attributes:
        recipe: The name of the recipe.
        count: Number of seeds.
        mean: The mean accuracy.
        deviation: The sample standard deviation of the accuracy.
        lowest: The lowest accuracy.
        highest: The highest accuracy.
    """

    recipe: str
    count: int
    mean: float
    deviation: float
    lowest: float
    highest: float


def measure_spreads(rows: Sequence[MeasuredModel]) -> tuple[Spread, ...]:
    """Returns the spread of each recipe that was measured with more than one seed; each seed counts once."""
    by_recipe: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.recipe is not None and row.seed is not None:
            by_recipe.setdefault(row.recipe, {})[row.seed] = row.accuracy
    return tuple(
        Spread(
            recipe,
            len(accuracies),
            statistics.mean(accuracies),
            statistics.stdev(accuracies),
            min(accuracies),
            max(accuracies),
        )
        for recipe, by_seed in by_recipe.items()
        if len(accuracies := list(by_seed.values())) > 1
    )


def describe_comparison(rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Writes the section of the model card that compares models.

    Args:
        rows: The entries under `side_by_side` in `evaluation.json`.
        unit: What the data consists of, such as `texts`.

    Returns:
        Markdown, without a final line break.
    """
    compared = [MeasuredModel(**row) for row in rows]
    table = "\n".join(
        f"| {row.name} | {row.recipe or '-'} | {'-' if row.seed is None else row.seed} | {row.parameter_count:,} | "
        f"{'-' if row.validation_accuracy is None else format(row.validation_accuracy, '.4f')} | {row.accuracy:.4f} | "
        f"{row.expected_calibration_error:.4f} | `{row.model_sha256[:8]}` |"
        for row in compared
    )
    spreads = "".join(
        f"\n\nRecipe `{spread.recipe}`, {spread.count} seeds: mean **{spread.mean:.4f}**, standard deviation "
        f"{spread.deviation:.4f}, {spread.lowest:.4f} to {spread.highest:.4f}."
        for spread in measure_spreads(compared)
    )
    return (
        f"### Side by side\n\nFrom the same run, on the same {unit}. Validation is what each training held out.\n\n"
        "| model | recipe | seed | parameters | validation accuracy | accuracy | calibration error | sha256 |\n"
        f"|---|---|---:|---:|---:|---:|---:|---|\n{table}{spreads}"
    )
