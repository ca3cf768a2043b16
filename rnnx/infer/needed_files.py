"""Chooses which files of a bundle a predictor runs, and how many inputs at once. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, VOCABULARY_NAME
from rnnx.runtime.session import Device, has_choice

# On CUDA every step costs one or two kernel launches, however many rows it computes, so large batches pay. 1024 is an
# estimate of what fills a GPU; bench/cuda/run_all.py measures it, and has not been run on a GPU yet.
DEFAULT_BATCH_SIZES: Mapping[Device, int] = {"cpu": 64, "cuda": 1024}
# On a CPU the Scan form is faster than the RNN operator from this many numbers of state per step on (rows times units):
# with 32 units from two rows on, with 64 units always. Where the network puts out every state, a Scan makes one more
# call per step; then it is faster with 32 units from three rows on, with 64 units from two.
# `python -m bench.speed.forms` measures both. (A network with one Scan of each kind runs a single row of less than 100
# steps up to a fifth faster in the other form.)
SCAN_FROM_STATES = 64
SCAN_FROM_COLLECTED_STATES = 96


def files_for(config: ModelConfig, device: Device, batch_size: int | None) -> set[str]:
    """Names the files that a predictor may need, so that it reads them once, even if the bundle is replaced later.

    Args:
        config: The description of the bundle.
        device: As for `load`.
        batch_size: As for `load`.
    """
    if device == "cuda" or (device == "auto" and has_choice()):
        return {VOCABULARY_NAME, MODEL_NAME, BATCH_NAME}
    units = config.recurrent_units or 0
    sizes = (1, batch_size or DEFAULT_BATCH_SIZES["cpu"])
    return {VOCABULARY_NAME, *(choose_form("cpu", rows, units, config.collects_states) for rows in sizes)}


def choose_form(device: Device, rows: int, units: int, collects_states: bool) -> str:
    """Chooses the file that is fastest for a batch.

    Args:
        device: Where it runs.
        rows: The size of the batch.
        units: `ModelConfig.recurrent_units`; 0 if unknown.
        collects_states: `ModelConfig.collects_states`.

    Returns:
        The name of the file in the bundle.
    """
    threshold = SCAN_FROM_COLLECTED_STATES if collects_states else SCAN_FROM_STATES
    return BATCH_NAME if device == "cpu" and rows * units >= threshold else MODEL_NAME
