"""Runs one ONNX file in onnxruntime, on the CPU or on CUDA.

This is the only module that imports onnxruntime. Inference and the proof run files through the same class, so what was
proved is what runs. A file that `rnnx.onnx_file.admission` does not admit is refused before onnxruntime sees it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rnnx.errors import (
    DeviceError,
    LowMemoryError,
    MissingExtraError,
    ModelError,
    NoKernelError,
    RnnxError,
    UsageError,
    lacks_memory,
    one_line,
)
from rnnx.onnx_file.admission import require_admissible
from rnnx.runtime.cuda import find_load_error, find_problems
from rnnx.runtime.fork_gate import FORK_GATE

try:
    import onnxruntime as ort
except (ImportError, MemoryError) as error:
    if lacks_memory(error):
        raise LowMemoryError("load onnxruntime") from error
    raise MissingExtraError(
        "onnxruntime is not installed: run pip install 'rnnx[cpu]', or 'rnnx[cuda]' for NVIDIA GPUs"
    ) from error

Device = Literal["auto", "cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# TF32 keeps 10 of the 23 mantissa bits of float32, which is not the arithmetic that was proved. From onnxruntime 1.28
# on, this option also reaches cuDNN's recurrences: they use CUDNN_FMA_MATH in place of CUDNN_DEFAULT_MATH.
CUDA_OPTIONS = {"use_tf32": "0"}
# The number of states per step (rows of the batch times units) from which CUDA is faster than the CPU. It was not
# measured yet, for lack of a GPU. Until bench/cuda/run_all.py gives a figure, it is None and `auto` uses the CPU.
CUDA_FROM_STATES: int | None = None
# The operators that run step by step. In a CUDA session, they must run on CUDA. Other nodes that onnxruntime 1.31
# leaves on the CPU only compute shapes, except for one Pad of integers in a text form.
_RECURRENCES = frozenset({"RNN", "LSTM", "GRU", "Scan", "Loop"})
# Parts of onnxruntime's messages that show that the GPU failed, and that the file and the batch are not to blame.
_GPU_FAILURES = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "Failed to allocate memory")
_AFTER_FORK = (
    "CUDA and threads do not survive a fork; start the workers with 'spawn', or load the model in each of them"
)
_loading = Lock()
# The process that first used CUDA; a child that is forked from it cannot use it.
_cuda_process: list[int] = []


class Session:
    """A loaded ONNX file.

    Attributes:
        device: The device that the session really uses: `cpu` or `cuda`.
        provider: onnxruntime's name of that device's execution provider.
        metadata: The metadata of the file, key to value.
        input_names: The names of the inputs, such as `ids` or `text`.
        input_shapes: The shape of each input, by name: a number for a fixed size, a name for a variable one.
        output_names: The names of the outputs, such as `probs` (the first).
    """

    def __init__(
        self, model: bytes, *, device: Device = "auto", threads: int = 1, has_many_shapes: bool = False
    ) -> None:
        """Loads a file.

        Args:
            model: The content of the file. External data cannot be read, because bytes have no folder.
            device: `cuda` never falls back to the CPU; `auto` is decided by `choose_device`.
            threads: Threads within an operator. Recurrences of this size are slower with more than one.
            has_many_shapes: Whether its batches are large and rarely have the same shape twice. onnxruntime then plans
                no memory for each shape, which takes 7% less memory and 2% less time. Small batches take 10% more time.

        Raises:
            DeviceError: If CUDA is requested and not available, or has no kernel for a recurrence of the file.
            LowMemoryError: If there is too little memory.
            ModelError: If the file is not admissible, or onnxruntime cannot load it.
        """
        require_admissible(model)
        self.device = choose_device(device)
        self.provider = _PROVIDERS[self.device]
        self._process = os.getpid()
        self._survives_fork = self.device == "cpu" and threads == 1
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = not has_many_shapes
        # Log only fatal errors (4): other errors are raised as exceptions, and warnings mean nothing to users.
        options.log_severity_level = 4
        ort.set_default_logger_severity(4)  # the same for messages outside a session
        self._session = _open_on_cuda(model, options) if self.device == "cuda" else _open(model, options)
        try:
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise ModelError(f"onnxruntime cannot load the model: {one_line(error)}") from error
        self.input_names: list[str] = [port.name for port in self._session.get_inputs()]
        self.input_shapes: dict[str, list[Any]] = {port.name: port.shape for port in self._session.get_inputs()}
        self.output_names = [output.name for output in self._session.get_outputs()]

    def run(self, batch: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """Runs a batch.

        Args:
            batch: The inputs by name, or the array of the only input: ids int32 `(batch, time)`, numbers float32
                `(batch, time, features)`, or for a text form the bytes of the texts, uint8 `(batch, bytes)`.

        Returns:
            The outputs, in the order of `output_names`.

        Raises:
            ModelError: If onnxruntime refuses the batch.
            RnnxError: If the GPU fails, or has too little memory for the batch.
            DeviceError: If this process was forked from the one that loaded the file, and the session has threads or
                uses CUDA, which do not survive that.
        """
        if not self._survives_fork and os.getpid() != self._process:
            raise DeviceError(f"this session was opened before this process was forked: {_AFTER_FORK}")
        try:
            given = batch if isinstance(batch, Mapping) else {self.input_names[0]: batch}
            with FORK_GATE:
                outputs: list[npt.NDArray[np.float32]] = self._session.run(None, given)
        except Exception as error:  # onnxruntime's exceptions share no other base
            if self.device == "cuda" and any(sign in str(error) for sign in _GPU_FAILURES):
                reason = one_line(error)
                raise RnnxError(f"the GPU failed, or has too little memory for this batch: {reason}") from error
            if lacks_memory(error):
                raise LowMemoryError("run this batch; a smaller batch size needs less") from error
            raise ModelError(f"onnxruntime cannot run the model: {one_line(error)}") from error
        return outputs

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a session of onnxruntime cannot be pickled or copied; load the model again")

    def run_by_name(self, given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Runs a batch as `run` does, and returns the outputs by name."""
        return dict(zip(self.output_names, self.run(given), strict=True))


def _open(model: bytes, options: Any, providers: Any = ("CPUExecutionProvider",)) -> Any:
    # With its fallback, onnxruntime would open a new session on the CPU if the provider failed, on load or in a run.
    try:
        with FORK_GATE:
            return ort.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no other base
        if lacks_memory(error):
            raise LowMemoryError("load the model") from error
        raise ModelError(f"onnxruntime cannot load the model: {one_line(error)}") from error


def _open_on_cuda(model: bytes, options: Any) -> Any:
    """Opens a file on CUDA, and makes sure that its recurrences run there.

    Raises:
        DeviceError: If CUDA is not available, or no session opens on it.
        NoKernelError: If onnxruntime would run a recurrence on the CPU.
        ModelError: If the file cannot be opened on any device.
    """
    if problems := cuda_problems():
        more = f"; rnnx doctor lists {len(problems) - 1} more" if problems[1:] else ""
        raise DeviceError(f"CUDA is not available: {problems[0]}{more}")
    if _cuda_process and _cuda_process[0] != os.getpid():
        raise DeviceError(f"CUDA was used before this process was forked: {_AFTER_FORK}")
    _cuda_process[:] = [os.getpid()]
    options.use_deterministic_compute = True  # otherwise the order of sums may change from run to run
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    name = _PROVIDERS["cuda"]
    try:
        session = _open(model, options, [(name, CUDA_OPTIONS)])
    except ModelError as error:
        _open(model, ort.SessionOptions())  # raises ModelError if the file is broken
        reason = one_line(error.__cause__)
        raise DeviceError(f"CUDA is available, but no session opens on it: {reason}") from error
    # Without a library, onnxruntime silently falls back to another provider (onnxruntime #23372).
    if (actual := session.get_providers()[0]) != name:
        provider = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
        reason = find_load_error(provider) or "it gives no reason; run nvidia-smi to see why"
        raise DeviceError(f"onnxruntime fell back from CUDA to {actual}: {reason}")
    subgraphs = session.get_provider_graph_assignment_info()
    on_others = {node.op_type for graph in subgraphs if graph.ep_name != name for node in graph.get_nodes()}
    if on_cpu := on_others & _RECURRENCES:
        raise NoKernelError(
            f"onnxruntime has no CUDA kernel for this model's {', '.join(sorted(on_cpu))}, and would run it on the CPU "
            "(it has kernels for RNN with tanh, LSTM with sigmoid and tanh, and GRU with these and reset_after): "
            "use --device cpu"
        )
    return session


def choose_device(device: Device, states: int = 1) -> Device:
    """Chooses the device to run on.

    Args:
        device: The device that was requested. `auto` uses CUDA if it is available and the batch is large enough.
        states: The number of states per step: rows of the batch times units.

    Returns:
        `cpu` or `cuda`.

    Raises:
        UsageError: If there is no such device.
    """
    require_device(device)
    if device != "auto":
        return device
    is_large = CUDA_FROM_STATES is not None and states >= CUDA_FROM_STATES
    return "cuda" if is_large and not cuda_problems() else "cpu"


def require_device(device: Any) -> None:
    """Makes sure that a device is one of `auto`, `cpu` and `cuda`.

    Raises:
        UsageError: If it is not.
    """
    if device not in get_args(Device):
        raise UsageError(f"device should be {', '.join(get_args(Device))}, not {device!r:.60}")


def available_devices() -> list[Device]:
    """Returns the devices that are available on this machine, the CPU first."""
    return ["cpu"] if cuda_problems() else ["cpu", "cuda"]


def devices_for(model: bytes) -> list[Device]:
    """Returns the devices of this machine that can run a file, the CPU first.

    CUDA is left out if onnxruntime would run a recurrence of the file on the CPU.

    Raises:
        DeviceError: If CUDA is available, but no session opens on it.
        ModelError: If onnxruntime cannot load the file.
    """
    devices = available_devices()
    if "cuda" in devices:
        try:
            Session(model, device="cuda")
        except NoKernelError:
            devices.remove("cuda")
    return devices


def has_choice() -> bool:
    """Says whether `auto` may choose CUDA, as far as is known without looking for a GPU."""
    return CUDA_FROM_STATES is not None and has_cuda_build()


def has_cuda_build() -> bool:
    """Says whether the installed onnxruntime is a build for CUDA; there may be no GPU all the same."""
    return _PROVIDERS["cuda"] in ort.get_available_providers()


def cuda_problems() -> tuple[str, ...]:
    """Returns the reasons why no session can run on CUDA, each with its remedy; empty if no problem is known."""
    if not has_cuda_build():
        available = ", ".join(ort.get_available_providers())
        return (
            f"the installed onnxruntime {ort.__version__} does not support CUDA (it supports {available}): "
            "run pip uninstall onnxruntime onnxruntime-gpu, then pip install 'rnnx[cuda]'",
        )
    with _loading:  # stdout, which is redirected below, belongs to the whole process
        return _library_problems()


@cache  # a loaded library stays loaded
def _library_problems() -> tuple[str, ...]:
    # preload_dlls loads the libraries that pip installed. It prints those that are missing; find_problems reports them.
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()
    return tuple(find_problems(ort.cuda_version))


def available_providers() -> tuple[str, ...]:
    """Returns the execution providers of the installed onnxruntime, the fastest first."""
    return tuple(ort.get_available_providers())
