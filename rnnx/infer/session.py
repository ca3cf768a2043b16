"""One ONNX file in onnxruntime; the only module that imports it. Export proves files through this very class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnnx.admission import require_admissible
from rnnx.errors import DeviceError, MissingExtraError, ModelError

try:
    import onnxruntime as ort
except ImportError as error:
    raise MissingExtraError(
        "onnxruntime is not installed: pip install 'rnnx[cpu]', or 'rnnx[cuda]' for NVIDIA cards"
    ) from error

Device = Literal["auto", "cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# TF32 keeps 10 bits of a float32's 23: not the arithmetic that was proved.
_CUDA_OPTIONS = {"use_tf32": "0"}


class Session:
    """A loaded ONNX file.

    Attributes:
        device: `cpu` or `cuda`: what it really runs on.
        provider: onnxruntime's name for it.
        metadata: The file's own key-value pairs.
        input_names: `ids` or `text` where there is one input.
        input_shapes: By input: a number where a size is fixed, a name where it is not.
        output_names: `probs` first.
    """

    def __init__(self, model: bytes, *, device: Device = "auto", threads: int = 1) -> None:
        """Loads a file.

        Args:
            model: Its bytes; from bytes there is no folder that external data could escape from.
            device: `auto` takes CUDA if it is there; `cuda` never lands on the CPU.
            threads: Within an operator; a recurrence of this size only loses by more than one.

        Raises:
            DeviceError: If CUDA is asked for and not there.
            ModelError: If the bytes may not be loaded, or onnxruntime cannot.
        """
        require_admissible(model)
        self.device: Device = expected_device(device)
        self.provider = _PROVIDERS[self.device]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors reach us as exceptions, warnings are onnxruntime's own affair
        ort.set_default_logger_severity(4)  # what has no session yet is logged here
        providers: list[Any] = [self.provider]
        if self.device == "cuda":
            ort.preload_dlls()
            providers = [(self.provider, _CUDA_OPTIONS)]
        try:
            self._session = ort.InferenceSession(model, options, providers=providers)
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise ModelError(f"onnxruntime cannot load the model: {_one_line(error)}") from error
        got = self._session.get_providers()[0]
        if got != self.provider:  # onnxruntime falls back without a word when a library is missing (#23372)
            if device == "cuda":
                raise DeviceError(f"asked for CUDA, onnxruntime gave {got}; rnnx doctor says what is missing")
            self.device, self.provider = "cpu", got
        self.input_names: list[str] = [one.name for one in self._session.get_inputs()]
        self.input_shapes: dict[str, list[Any]] = {one.name: one.shape for one in self._session.get_inputs()}
        self.output_names = [output.name for output in self._session.get_outputs()]

    def run(self, batch: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """Runs a batch.

        Args:
            batch: The inputs by name, or the single one: ids (batch, time) int32, numbers (batch, time, features)
                float32, or for a text form, bytes (batch, bytes) uint8.

        Returns:
            Each output, in the order of `output_names`.

        Raises:
            ModelError: If onnxruntime refuses the batch.
        """
        try:
            given = batch if isinstance(batch, Mapping) else {self.input_names[0]: batch}
            outputs: list[npt.NDArray[np.float32]] = self._session.run(None, given)
        except Exception as error:  # as above
            raise ModelError(f"onnxruntime cannot run the model: {_one_line(error)}") from error
        return outputs

    def run_by_name(self, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Runs a batch as `run` does; each output under its name."""
        return dict(zip(self.output_names, self.run(given), strict=True))


def expected_device(device: Device) -> Device:
    """What a session that asks for a device should get, by what onnxruntime says it has.

    Raises:
        DeviceError: If CUDA is asked for and onnxruntime has none.
    """
    available = ort.get_available_providers()
    if device == "cuda" and _PROVIDERS["cuda"] not in available:
        raise DeviceError(
            f"no CUDA in this onnxruntime {ort.__version__} (it has {', '.join(available)}); "
            "pip uninstall onnxruntime, then pip install 'rnnx[cuda]'"
        )
    if device == "auto":
        return "cuda" if _PROVIDERS["cuda"] in available else "cpu"
    return device


def available_devices() -> list[Device]:
    """The devices that onnxruntime has, the CPU first."""
    available = ort.get_available_providers()
    return [device for device, provider in _PROVIDERS.items() if provider in available]  # type: ignore[misc]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def available_providers() -> tuple[str, ...]:
    """The execution providers of the installed onnxruntime, fastest first."""
    return tuple(ort.get_available_providers())
