"""One ONNX file in onnxruntime; the only module that imports it. Export proves files through this very class."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnnx.errors import DeviceError, MissingExtraError, ModelError, NoKernelError, RnnxError, one_line
from rnnx.onnx_file.admission import require_admissible
from rnnx.runtime.cuda import find_load_error, find_problems

try:
    import onnxruntime as ort
except ImportError as error:
    raise MissingExtraError(
        "onnxruntime is not installed: pip install 'rnnx[cpu]', or 'rnnx[cuda]' for NVIDIA cards"
    ) from error

Device = Literal["auto", "cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# TF32 keeps 10 bits of a float32's 23: not the arithmetic that was proved. From onnxruntime 1.28 on the option reaches
# cuDNN's recurrences too: they get CUDNN_FMA_MATH for it, in place of CUDNN_DEFAULT_MATH.
CUDA_OPTIONS = {"use_tf32": "0"}
# From how many numbers of state a step (rows of a batch times units) on a batch is faster on CUDA. Not measured yet:
# there was no card. As long as no figure of bench/cuda.py stands here, `auto` stays on the CPU.
CUDA_FROM_STATES: int | None = None
# What runs step by step. All else that onnxruntime 1.31 leaves on the CPU in a session on CUDA is about shapes, and in
# a text form one Pad of integers.
_RECURRENCES = frozenset({"RNN", "LSTM", "GRU", "Scan", "Loop"})
# What onnxruntime's messages say where it is not the file, nor the batch, that is wrong.
_CARD_FAILED = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "Failed to allocate memory")
_loading = Lock()


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
            device: `auto` is what `choose_device` says; `cuda` never lands on the CPU.
            threads: Within an operator; a recurrence of this size only loses by more than one.

        Raises:
            DeviceError: If CUDA is asked for and not there, or has no kernel for a recurrence of the file.
            ModelError: If the bytes may not be loaded, or onnxruntime cannot.
        """
        require_admissible(model)
        self.device = choose_device(device)
        self.provider = _PROVIDERS[self.device]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors reach us as exceptions, warnings are onnxruntime's own affair
        ort.set_default_logger_severity(4)  # what has no session yet is logged here
        self._session = _open_on_cuda(model, options) if self.device == "cuda" else _open(model, options)
        try:
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise ModelError(f"onnxruntime cannot load the model: {one_line(error)}") from error
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
            RnnxError: If the card fails, or has no room for it.
        """
        try:
            given = batch if isinstance(batch, Mapping) else {self.input_names[0]: batch}
            outputs: list[npt.NDArray[np.float32]] = self._session.run(None, given)
        except Exception as error:  # onnxruntime's exceptions share no other base
            if self.device == "cuda" and any(sign in str(error) for sign in _CARD_FAILED):
                raise RnnxError(f"the card failed, or has no room for such a batch: {one_line(error)}") from error
            raise ModelError(f"onnxruntime cannot run the model: {one_line(error)}") from error
        return outputs

    def run_by_name(self, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Runs a batch as `run` does; each output under its name."""
        return dict(zip(self.output_names, self.run(given), strict=True))


def _open(model: bytes, options: Any, providers: Any = ("CPUExecutionProvider",)) -> Any:
    # With its fallback, a session whose provider fails would be made anew on the CPU, when it is opened or in a run.
    try:
        return ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise ModelError(f"onnxruntime cannot load the model: {one_line(error)}") from error


def _open_on_cuda(model: bytes, options: Any) -> Any:
    """Opens a file on CUDA, all that runs step by step included.

    Raises:
        DeviceError: If that cannot be.
        ModelError: If the file cannot be opened anywhere.
    """
    if problems := cuda_problems():
        more = f"; rnnx doctor has {len(problems) - 1} more" if problems[1:] else ""
        raise DeviceError(f"no CUDA here: {problems[0]}{more}")
    options.use_deterministic_compute = True  # or sums are in another order each time
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    name = _PROVIDERS["cuda"]
    try:
        session = _open(model, options, [(name, CUDA_OPTIONS)])
    except ModelError as error:
        _open(model, ort.SessionOptions())  # raises if it is the file that is broken
        raise DeviceError(f"CUDA is here, but no session opens on it: {one_line(error.__cause__)}") from error
    if (got := session.get_providers()[0]) != name:  # without a word, when a library is missing (#23372)
        provider = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
        reason = find_load_error(provider) or "it does not say why; see what nvidia-smi says"
        raise DeviceError(f"asked for CUDA, onnxruntime gave {got}: {reason}")
    subgraphs = session.get_provider_graph_assignment_info()
    left = {node.op_type for one in subgraphs if one.ep_name != name for node in one.get_nodes()} & _RECURRENCES
    if left:
        raise NoKernelError(
            f"onnxruntime has no CUDA kernel for this model's {', '.join(sorted(left))}, and would run it on the CPU "
            "(it has one for RNN with tanh, LSTM with sigmoid and tanh, GRU with these and reset_after): --device cpu"
        )
    return session


def choose_device(device: Device, states: int = 1) -> Device:
    """Where to run: `auto` takes CUDA where it is there and a step has as many numbers as pay.

    Args:
        device: What was asked for.
        states: Rows of a batch times units.
    """
    if device != "auto":
        return device
    pays = CUDA_FROM_STATES is not None and states >= CUDA_FROM_STATES
    return "cuda" if pays and not cuda_problems() else "cpu"


def available_devices() -> list[Device]:
    """The devices that are there, the CPU first."""
    return ["cpu"] if cuda_problems() else ["cpu", "cuda"]


def devices_for(model: bytes) -> list[Device]:
    """Where a file can run here: not on a CUDA that would leave its recurrences to the CPU.

    Raises:
        DeviceError: If CUDA should be there, and cannot be used.
        ModelError: If onnxruntime cannot load the bytes.
    """
    devices = available_devices()
    if "cuda" in devices:
        try:
            Session(model, device="cuda")
        except NoKernelError:
            devices.remove("cuda")
    return devices


def has_choice() -> bool:
    """Whether `auto` may come to either device, for all that is known before one is looked for."""
    return CUDA_FROM_STATES is not None and has_cuda_build()


def has_cuda_build() -> bool:
    """Whether the installed onnxruntime is the one for CUDA, which says nothing of a card."""
    return _PROVIDERS["cuda"] in ort.get_available_providers()


def cuda_problems() -> tuple[str, ...]:
    """Why no session can run on CUDA here, each with its remedy; empty if nothing is known to be in the way."""
    if not has_cuda_build():
        available = ", ".join(ort.get_available_providers())
        return (
            f"this onnxruntime {ort.__version__} has no CUDA (it has {available}): "
            "pip uninstall onnxruntime onnxruntime-gpu, then pip install 'rnnx[cuda]'",
        )
    with _loading:  # stdout is everybody's
        return _library_problems()


@cache  # what is loaded stays loaded
def _library_problems() -> tuple[str, ...]:
    # Finds the libraries that pip installed. It prints what it misses, on stdout; we look for ourselves.
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()
    return tuple(find_problems(ort.cuda_version))


def available_providers() -> tuple[str, ...]:
    """The execution providers of the installed onnxruntime, fastest first."""
    return tuple(ort.get_available_providers())
