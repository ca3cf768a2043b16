"""Draws series as a sensor measures them: noisy oscillations of three frequencies, and decays of different rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MODES = {"slow": 0.05, "mid": 0.11, "fast": 0.2}  # periods per step
# The offset and the amplitude of each feature, as raw sensors have them: 20 degrees, 1000 hectopascals.
OFFSETS, SIZES = np.array([20.0, 1000.0]), np.array([3.0, 50.0])


def oscillations(count: int, seed: int, steps: int = 24) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Draws sequences `(count, steps, 2)` of every phase, with noise of a fifth of the amplitude, and their modes."""
    rng = np.random.default_rng(seed)
    names = [list(MODES)[i % 3] for i in range(count)]
    phases = rng.uniform(0, 2 * np.pi, count)
    angles = 2 * np.pi * np.array([MODES[name] for name in names])[:, None] * np.arange(steps) + phases[:, None]
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return OFFSETS + SIZES * (waves + 0.2 * rng.standard_normal(waves.shape)), np.array(names)


def decays(count: int, seed: int, steps: int = 16) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Draws sequences `(count, steps, 1)` that fall exponentially, and the half-life of each in steps."""
    rng = np.random.default_rng(seed)
    half_lives = rng.uniform(2, 12, count)
    curves = 300 + 5 * 0.5 ** (np.arange(steps) / half_lives[:, None])
    return (curves + 0.02 * rng.standard_normal(curves.shape))[:, :, None], half_lives


def save(path: Path, **arrays: Any) -> Path:
    """Writes a data set and returns its path."""
    np.savez(path, **arrays)
    return path
