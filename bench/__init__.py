"""Benchmarks of rnnx: its speed, how sharp its proof is, how fast it trains, and all of that on a CUDA card.

They run as modules from the repository root, for instance `python -m bench.speed.latency`. This file imports neither
numpy nor a framework: `bench.machine.restrict` has to run before either of them is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"

# As `rnnx` does it; some benchmarks import onnxruntime first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
