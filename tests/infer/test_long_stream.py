"""Tests a stream of 100 000 steps: chunks of any size give the same states, and the memory does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.report import RuntimeReport
from rnnx.reference import Network, SimpleRNN
from rnnx.rounding.decisions import Decisions, label_ids
from rnnx.rounding.recurrent_bounds import step_bound
from rnnx.runtime.session import Session
from tests.streams import open_path, pieces_of, reference_of


def undecided(network: Network, answers: npt.NDArray[np.float32]) -> dict[str, Decisions]:
    """Returns decisions without an end-to-end bound, because only the steps are compared."""
    unknown, nothing = np.full(answers.shape, np.inf), np.zeros(answers.shape[:-1], np.bool_)
    name = next(iter(network.ends))
    values = answers.astype(np.float64)
    return {
        name: Decisions(
            "values", values, unknown, unknown, label_ids("values", values), nothing, np.ones(len(values), np.bool_)
        )
    }


def compare_states(network: Network, ids: npt.NDArray[np.int32], states: npt.NDArray[np.float32]) -> RuntimeReport:
    batch, whole = ProbeBatch(ids[None], ("a long sequence",)), states[None]
    outputs = Outputs({"values": whole}, {"rnn": whole})
    return compare_runtime("stream", network, [batch], [outputs], [undecided(network, whole)])


STEPS = 100_000


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 500])
def test_100_000_steps_in_chunks_equal_those_in_one_run(stream_bundles: dict[str, Path], size: int) -> None:
    path = stream_bundles["states"]
    ids = np.random.default_rng(0).integers(0, 50, STEPS).astype(np.int32)
    ids[40_000:41_500] = 0  # these chunks are fully masked
    stream, network = open_path(path), reference_of(path)
    states = np.concatenate([stream.feed(piece).outputs["values"] for piece in pieces_of(ids, size)])
    assert states.shape == (STEPS, 8)
    whole = Session((path / "model.onnx").read_bytes(), device="cpu").run(ids[None])[0][0]
    for found in (states, whole):
        report = compare_states(network, ids, found)
        assert report.problems == ()
        assert report.worst.ratio is not None
        assert report.worst.ratio < 1
    # The slope of tanh is at most 1. So a step multiplies the distance d of two runs by |U| at most, and each run adds
    # its bound b: d' <= |U| d + 2 b, and so d <= 2 b / (1 - |U|).
    layer = network.recurrent_nodes["rnn"]
    assert isinstance(layer, SimpleRNN)
    x = network.forward(ids[None], {"rnn": states[None]})[network.nodes[0].name].values[0]
    before = np.concatenate([np.zeros((1, 8)), states[:-1]])
    step = np.linalg.norm(step_bound(layer, x, before, np.zeros_like(x)), axis=1).max()
    norm = np.linalg.norm(layer.recurrent_kernel, 2)
    assert norm < 0.91
    assert np.linalg.norm(states.astype(np.float64) - whole, axis=1).max() <= 2 * step / (1 - norm)
    np.testing.assert_array_equal(states[-1], stream.state["h"])
    broken = states.copy()
    broken[50_000:] = np.roll(states, 1, axis=0)[50_000:]  # from here on, each state is one position late
    assert not compare_states(network, ids, broken).passed


def test_the_memory_of_python_does_not_grow_with_the_length(stream_bundles: dict[str, Path]) -> None:
    """This is the memory of Python and NumPy; the next test measures the whole process, with onnxruntime."""
    stream = open_path(stream_bundles["states"])
    ids = np.random.default_rng(0).integers(0, 50, 500).astype(np.int32)
    peaks = []
    tracemalloc.start()
    # The first hundred chunks fill caches of Python (30 kB). Where TensorFlow is imported, they are full already.
    for count in (150, 10, 200):
        tracemalloc.reset_peak()
        for _ in range(count):
            stream.feed(ids)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert stream.position_count == 360 * 500
    assert peaks[2] <= peaks[1] + 10_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no module resource")
def test_the_memory_of_the_process_does_not_grow_with_the_length(stream_bundles: dict[str, Path]) -> None:
    code = (
        "import json, resource, sys\nimport numpy as np\nfrom rnnx.bundle.directory import read_directory\n"
        "from rnnx.infer.stream import open_stream\nfrom pathlib import Path\n"
        "stream = open_stream(read_directory(Path(sys.argv[1])), device='cpu')\n"
        "ids = np.random.default_rng(0).integers(0, 50, 500).astype(np.int32)\npeaks = []\n"
        "for count in (20, 200):\n    for _ in range(count):\n        stream.feed(ids)\n"
        "    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "print(json.dumps([stream.position_count, *peaks]))\n"
    )
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code, str(stream_bundles["states"])],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    positions, before, after = json.loads(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    assert positions == 110_000
    assert (after - before) * unit < 2 << 20  # the states of 100 000 steps would need 3.2 MB
