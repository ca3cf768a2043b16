"""Simulates an onnxruntime for CUDA on a machine without a GPU.

A test chooses what it reports; what it computes, it computes on the CPU.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest

from rnnx.runtime import session as module

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class FakeCuda:
    """An onnxruntime for CUDA on a machine on which nothing is missing; its sessions run on the CPU.

    Attributes:
        provider: The execution provider that its sessions report; if empty, no session can be opened.
        placed: The operators and the provider that each is placed on.
        asked: The settings that each session was opened with.
        problems: What is missing on the machine.
        run_error: The error that a run raises; if empty, runs succeed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider, self.run_error = CUDA, ""
        self.placed = [("RNN", CUDA), ("Gather", CPU)]
        self.asked: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._real = ort.InferenceSession
        monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(ort, "preload_dlls", lambda: print("Failed to load libcudart.so.13"), raising=False)  # noqa: T201  # as it does
        monkeypatch.setattr(ort, "cuda_version", "13.0", raising=False)
        monkeypatch.setattr(module, "find_problems", lambda version: self.problems)
        monkeypatch.setattr(ort, "InferenceSession", self._open)

    def _open(self, data: bytes, options: Any, **settings: Any) -> Any:
        self.asked.append(settings)
        real = self._real(data, options, providers=[CPU])
        if settings["providers"] == [CPU]:
            return real
        if not self.provider:
            raise RuntimeError("cuDNN is unavailable or disabled for CUDA Execution Provider")
        subgraphs = [
            SimpleNamespace(ep_name=where, get_nodes=lambda name=name: [SimpleNamespace(op_type=name)])
            for name, where in self.placed_in()
        ]
        return SimpleNamespace(
            get_providers=lambda: [self.provider, CPU],
            get_provider_graph_assignment_info=lambda: subgraphs,
            get_modelmeta=real.get_modelmeta,
            get_inputs=real.get_inputs,
            get_outputs=real.get_outputs,
            run=self._fail if self.run_error else real.run,
        )

    def placed_in(self) -> list[tuple[str, str]]:
        """Returns the operators of the file that is being opened, and the provider of each."""
        return self.placed

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError(self.run_error)
