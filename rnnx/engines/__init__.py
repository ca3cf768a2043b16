"""Runs a text model on tables that are larger than a machine: on Arrow batches, in shards, on Ray and on Spark.

    >>> from rnnx.engines import ArrowPredictor
    >>> answer = ArrowPredictor("imdb", "review")  # answer(batch) is the batch with the answers

Imports pyarrow, of `[tables]`, when it is used; Ray is the extra `[ray]`, and Spark is the user's own.
"""

from __future__ import annotations

from rnnx.engines.arrow_predictor import ArrowPredictor

__all__ = ["ArrowPredictor"]
