"""Answers a data set of Ray in actors, without the wait for ever of actors that leave no CPU for reading.

    >>> from rnnx.engines.ray_data import answer_dataset
    >>> answers = answer_dataset(reviews, "imdb", "review", actors=8)

Needs `[ray]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnx.engines.arrow_predictor import BATCH_ROWS, ArrowPredictor
from rnnx.errors import MissingExtraError, UsageError
from rnnx.infer.arguments import require_count


def answer_dataset(
    dataset: Any,
    model: str | Path,
    text_column: str,
    *,
    actors: int | None = None,
    batch_rows: int = BATCH_ROWS,
    **options: Any,
) -> Any:
    """Answers the rows of a data set of Ray with a text model, in actors with one CPU each.

    Args:
        dataset: The `ray.data.Dataset`.
        model: The name of a shipped model, or the path of a bundle that every node has.
        text_column: The column of the texts, by name or by number from 1.
        actors: How many there are; None means one less than the cluster has CPUs.
        batch_rows: The rows of a batch.
        options: Those of `ArrowPredictor`.

    Returns:
        A `ray.data.Dataset` with the columns of the data set, and those that `ArrowPredictor.schema` adds.

    Raises:
        MissingExtraError: If Ray is not installed.
        ModelError: If there is no such model.
        UsageError: If the actors would leave no CPU for reading, which Ray would wait for without end; if the model
            does not label texts; or if an option is not one of the allowed values.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("rnnx.engines.ray_data needs Ray: pip install 'rnnx[ray]'") from error
    ArrowPredictor(model, text_column, **options)  # what is wrong is said here, and not by every actor
    size = _require_free_cpu(int(ray.cluster_resources().get("CPU", 0)), require_count("actors", actors))
    return dataset.map_batches(
        ArrowPredictor,
        fn_constructor_args=(model, text_column),
        fn_constructor_kwargs=options,
        batch_format="pyarrow",
        batch_size=batch_rows,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=size),
    )


def _require_free_cpu(cpus: int, actors: int | None) -> int:
    """How many actors there are."""
    if cpus < 2:
        raise UsageError(f"the Ray cluster has {cpus} CPUs; an actor and the reading of the data need one each")
    if actors is not None and actors >= cpus:
        raise UsageError(
            f"{actors} actors: the Ray cluster has {cpus} CPUs, and reading needs one; give at most {cpus - 1}"
        )
    return actors or cpus - 1
