"""Chooses the examples that are held out for validation: by label, by group or at random, with a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnnx.errors import DataError


def hold_out_by_label(label_ids: npt.NDArray[np.int32], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Chooses examples at random, each label in the same proportion.

    Args:
        label_ids: `(count,)` int32, at least two of each label.
        fraction: The share that is held out, in 0..1.
        seed: The same seed gives the same choice.

    Returns:
        `(count,)` bool, True for the examples that are held out.

    Raises:
        DataError: If a label has a single example, so that one part would have none.
    """
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(label_ids), np.bool_)
    for label_id in np.unique(label_ids):
        indices = np.flatnonzero(label_ids == label_id)
        if len(indices) < 2:
            raise DataError(
                f"label {label_id} has a single training example; at least two are needed, because one is held out"
            )
        held_out[rng.choice(indices, _share(len(indices), fraction), replace=False)] = True
    return held_out


def hold_out_shares(group_ids: npt.NDArray[np.integer], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Chooses examples at random, the same share of each group; a group may be too small to give any.

    Args:
        group_ids: `(count,)`, the group of each example.
        fraction: The share that is held out, in 0..1.
        seed: The same seed gives the same choice.

    Returns:
        `(count,)` bool, True for the examples that are held out.
    """
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(group_ids), np.bool_)
    for group_id in np.unique(group_ids):
        indices = np.flatnonzero(group_ids == group_id)
        held_out[rng.choice(indices, min(round(len(indices) * fraction), len(indices) - 1), replace=False)] = True
    return held_out


def hold_out(count: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Chooses examples at random, so that neither part is empty.

    Args:
        count: The number of examples, at least 2.
        fraction: The share that is held out, in 0..1.
        seed: The same seed gives the same choice.

    Returns:
        `(count,)` bool, True for the examples that are held out.
    """
    held_out = np.zeros(count, np.bool_)
    held_out[np.random.default_rng(seed).choice(count, _share(count, fraction), replace=False)] = True
    return held_out


def hold_out_groups(groups: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Chooses whole groups at random, until they hold the wanted share of the examples.

    Args:
        groups: The group of each example.
        fraction: The share that is held out, in 0..1; whole groups exceed it by less than the last group.
        seed: The same seed gives the same choice.

    Returns:
        `(count,)` bool, True for the examples that are held out.
    """
    names, index, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = np.zeros(len(names), np.bool_)
    chosen[order[before < _share(len(groups), fraction)]] = True
    return np.asarray(chosen[index], np.bool_)


def _share(count: int, fraction: float) -> int:
    return min(max(round(count * fraction), 1), count - 1)
