"""Runs one system of `cuda_speed` in a process of its own, because PyTorch, JAX and onnxruntime each bring a cuDNN.

It is started with the system's name and a folder that holds `model.onnx`, `model.batch.onnx`, `tf2onnx.onnx` and
`weights.npz`. It answers each line of JSON on stdin with one on stdout:

    {"cell": FOLDER}   runs `ids.npy` and compares with `expected.npy`: {"max_abs_diff": ..., "ms": [...]}
    {"calls": N}       runs the same ids N times: {"ms": [...]}

If it fails, the answer is {"error": ...}. Each timed call takes ids as a NumPy array in the memory of the host and
returns probabilities as one.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.jax_scan import jit_predict

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Run = Callable[[Ids], Floats]
_WARM_CALLS = 3
_CPU_ROWS = 64  # the batch size of the predictor on a CPU


def open_session(name: str) -> Callable[[Path, Ids], Run]:
    """Makes the function that loads a file into the session that users run."""

    def prepare(folder: Path, ids: Ids) -> Run:
        from rnnx.runtime.session import Session

        session = Session((folder / name).read_bytes(), device="cuda")
        return lambda given: session.run(given)[0]

    return prepare


def open_bound(*, captures: bool) -> Callable[[Path, Ids], Run]:
    """Makes the function that loads `model.onnx` for one shape, with input and output buffers kept on the card.

    Args:
        captures: Whether onnxruntime captures the run as a CUDA graph.
    """

    def prepare(folder: Path, ids: Ids) -> Run:
        import onnxruntime as ort

        session = _open_on_cuda(folder / "model.onnx", enable_cuda_graph=str(int(captures)))
        given = ort.OrtValue.ortvalue_from_numpy(ids, "cuda", 0)
        probs = ort.OrtValue.ortvalue_from_shape_and_type((len(ids), 1), np.float32, "cuda", 0)
        binding = session.io_binding()
        binding.bind_ortvalue_input(session.get_inputs()[0].name, given)
        binding.bind_ortvalue_output(session.get_outputs()[0].name, probs)

        def run(ids: Ids) -> Floats:
            given.update_inplace(ids)
            session.run_with_iobinding(binding)
            result: Floats = probs.numpy()
            return result

        return run

    return prepare


def open_default_graph(folder: Path, ids: Ids) -> Run:
    """Loads tf2onnx's graph into a session with the same options; `rnnx.runtime.session` refuses a Loop."""
    session = _open_on_cuda(folder / "tf2onnx.onnx")

    def run(ids: Ids) -> Floats:
        probs: Floats = session.run(None, {"ids": ids})[0]
        return probs

    return run


def _open_on_cuda(path: Path, **settings: str) -> Any:
    """Opens a session of onnxruntime's own with the options that rnnx uses on CUDA, and further ones.

    Raises:
        RuntimeError: If CUDA cannot be used.
    """
    import onnxruntime as ort

    from rnnx.runtime.session import CUDA_OPTIONS, cuda_problems

    if problems := cuda_problems():
        raise RuntimeError(problems[0])
    options = ort.SessionOptions()
    options.use_deterministic_compute = True
    providers = [("CUDAExecutionProvider", {**CUDA_OPTIONS, **settings})]
    return ort.InferenceSession(path.read_bytes(), options, providers=providers, enable_fallback=0)


def open_cpu(folder: Path, ids: Ids) -> Run:
    """Runs rows as `rnnx infer` does on the CPU: in batches of 64, as many at once as there are cores."""
    from rnnx.runtime.session import Session

    name = "model.onnx" if len(ids) == 1 else "model.batch.onnx"
    session = Session((folder / name).read_bytes(), device="cpu")
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))

    def run(ids: Ids) -> Floats:
        parts = [ids[start : start + _CPU_ROWS] for start in range(0, len(ids), _CPU_ROWS)]
        if len(parts) == 1:
            return session.run(ids)[0]
        return np.concatenate(list(pool.map(lambda part: session.run(part)[0], parts)))

    return run


def open_torch(folder: Path, ids: Ids) -> Run:
    """Runs PyTorch's `nn.RNN`, which uses cuDNN, without TF32, as for all systems."""
    torch: Any = importlib.import_module("torch")

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    weights = {key: torch.tensor(value) for key, value in np.load(folder / "weights.npz").items()}
    embedding = torch.nn.Embedding.from_pretrained(weights["table"])
    features, units = weights["kernel"].shape
    rnn = torch.nn.RNN(features, units, batch_first=True)
    dense = torch.nn.Linear(units, 1)
    rnn.load_state_dict(
        {
            "weight_ih_l0": weights["kernel"].T,
            "weight_hh_l0": weights["recurrent_kernel"].T,
            "bias_ih_l0": weights["bias"],
            "bias_hh_l0": torch.zeros(units),
        }
    )
    dense.load_state_dict({"weight": weights["dense_kernel"].T, "bias": weights["dense_bias"]})
    modules = [module.eval().cuda() for module in (embedding, rnn, dense)]

    def run(ids: Ids) -> Floats:
        with torch.inference_mode():
            _, last = modules[1](modules[0](torch.from_numpy(ids).cuda()))
            probs: Floats = torch.sigmoid(modules[2](last[0])).cpu().numpy()
        return probs

    return run


def open_jax(folder: Path, ids: Ids) -> Run:
    """Jits the network in JAX: one gather from the folded table, then `lax.scan` over the time."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax: Any = importlib.import_module("jax")

    if jax.default_backend() != "gpu":
        raise RuntimeError(f"JAX runs on {jax.default_backend()}, not on the card")
    jax.config.update("jax_default_matmul_precision", "highest")  # no TF32
    weights = np.load(folder / "weights.npz")
    names = ("folded", "recurrent_kernel", "dense_kernel", "dense_bias")
    arrays = [jax.device_put(weights[name]) for name in names]

    predict = jit_predict(jax)
    return lambda given: np.asarray(predict(given, *arrays))


SYSTEMS: dict[str, Callable[[Path, Ids], Run]] = {
    "rnnx model.onnx": open_session("model.onnx"),
    "rnnx model.onnx, buffers kept": open_bound(captures=False),
    "rnnx model.onnx, CUDA graph": open_bound(captures=True),
    "rnnx model.batch.onnx": open_session("model.batch.onnx"),
    "rnnx on the CPU, all cores": open_cpu,
    "tf2onnx's graph": open_default_graph,
    "PyTorch nn.RNN": open_torch,
    "JAX lax.scan": open_jax,
}


def time_calls(run: Run, ids: Ids, count: int) -> list[float]:
    """Returns the milliseconds of each call."""
    times = []
    for _ in range(count):
        before = time.perf_counter()
        run(ids)
        times.append((time.perf_counter() - before) * 1e3)
    return times


def main(name: str, folder: Path) -> None:
    """Answers requests until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not mix with the answers
    run: Run | None = None
    ids: Ids = np.zeros((0, 0), np.int32)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "cell" in asked:
                cell = Path(asked["cell"])
                ids, expected = np.load(cell / "ids.npy"), np.load(cell / "expected.npy")
                run = SYSTEMS[name](folder, ids)
                actual = run(ids)
                off = float(np.abs(expected - actual).max()) if actual.shape == expected.shape else None
                answer: dict[str, Any] = {"max_abs_diff": off, "ms": time_calls(run, ids, _WARM_CALLS)}
            else:
                assert run is not None  # noqa: S101  # the first request is a cell
                answer = {"ms": time_calls(run, ids, asked["calls"])}
        except Exception as error:  # noqa: BLE001  # a system that fails is a result too
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
