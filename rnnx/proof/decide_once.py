"""Computes the decisions of the reference once for all files of a bundle.

The files of a bundle have the same weights and mostly the same golden vectors. The decisions depend on nothing else,
and they are the most expensive part of `rnnx verify`. Imports NumPy only.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import TypeAlias

import numpy as np

from rnnx.proof.compare import ProbeBatch
from rnnx.proof.progress import track
from rnnx.reference import Network
from rnnx.reference.shapes import output_shapes
from rnnx.rounding.decisions import Decisions, decide

BatchDecisions: TypeAlias = dict[str, Decisions]  # by output name

_MAX_ENTRIES = 4  # two for a bundle of texts, whose model.text.onnx has golden vectors of its own
_lock = Lock()
_entries: dict[str, Future[list[BatchDecisions]]] = {}


def decide_once(network: Network, batches: Sequence[ProbeBatch]) -> list[BatchDecisions]:
    """Decides batches as `decide_batches` does, or returns the result of an earlier call with equal arguments.

    Threads may call it at the same time: with equal arguments, one of them computes, and the others wait.

    Args:
        network: The reference.
        batches: The whole batch, and then its rows alone.

    Returns:
        The decisions of each batch. They are shared, and must not be changed.

    Raises:
        ValueError: If the batches do not fit the network.
    """
    key = _digest(network, batches)
    with _lock:
        entry = _entries.get(key)
        is_new = entry is None
        if entry is None:
            entry = _entries[key] = Future()
            for old in list(_entries)[:-_MAX_ENTRIES]:
                del _entries[old]
    if is_new:
        _fill(key, entry, lambda: decide_batches(network, batches))
    return entry.result()


def _fill(key: str, entry: Future[list[BatchDecisions]], compute: Callable[[], list[BatchDecisions]]) -> None:
    try:
        entry.set_result(compute())
    except BaseException as error:  # also Ctrl-C: the other threads must not wait forever
        with _lock:
            _entries.pop(key, None)
        entry.set_exception(error)
        raise


def decide_batches(network: Network, batches: Sequence[ProbeBatch]) -> list[BatchDecisions]:
    """Decides the whole batch, and takes from it the decisions of the rows that are alone in the other batches.

    A row alone is decided again if the result may differ: for an output at each position, only some positions are
    followed, and which ones depends on the time.

    Args:
        network: The reference.
        batches: The whole batch, and then its rows alone, with or without its padding.

    Returns:
        The decisions of each batch.

    Raises:
        ValueError: If the batches do not fit the network.
    """
    shapes, sizes = _row_shapes(network, batches[0]), output_shapes(network)
    rows = {name: i for i, name in enumerate(batches[0].names)}
    decisions: list[BatchDecisions] = []
    for batch in track(batches, "bounding the rounding errors"):
        if not decisions:
            decisions.append(decide(network, batch.given))
            whole = decisions[0]
            has_time = any(decision.values.ndim > 2 or None in sizes[name] for name, decision in whole.items())
            # An output may lack a bound where another one has it, because it depends on a jump.
            has_bound = np.logical_or.reduce([decision.has_bound for decision in whole.values()])
            continue
        i = rows.get(batch.names[0])
        if i is None or (has_time and _row_shapes(network, batch) != shapes):
            decisions.append(decide(network, batch.given, None if i is None else has_bound[i : i + 1]))
        else:
            decisions.append({name: decision.row(i) for name, decision in whole.items()})
    return decisions


def _row_shapes(network: Network, batch: ProbeBatch) -> dict[str, tuple[int, ...]]:
    return {name: values.shape[1:] for name, values in network.named(batch.given).items()}


def _digest(network: Network, batches: Sequence[ProbeBatch]) -> str:
    """Hashes everything that the decisions depend on: the layers with their weights, the inputs and the outputs."""
    digest = hashlib.sha256(repr((network.inputs, dict(network.outputs))).encode())
    for node in network.nodes:
        fields = {field.name: getattr(node.layer, field.name) for field in dataclasses.fields(node.layer)}
        digest.update(repr((node.name, type(node.layer).__name__, node.inputs)).encode())
        _update(digest, fields)
    for batch in batches:
        digest.update(repr(batch.names).encode())
        _update(digest, network.named(batch.given))
    return digest.hexdigest()


def _update(digest: hashlib._Hash, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            digest.update(repr((name, value.dtype.str, value.shape)).encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr((name, value)).encode())
