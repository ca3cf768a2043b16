"""Runs a form of a network, and proves what it gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.proof.networks import Case
from rnnx.onnx_file.visible_states import with_states
from rnnx.proof.compare import Outputs, compare_runtime
from rnnx.proof.report import RuntimeReport
from rnnx.reference import Array
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session

# Real rounding may hide a mutant whose effect is this near to the bound. The ratios of right files are far below it.
HIDDEN_BELOW = 1.1


def run(form: Rewritten, case: Case) -> Outputs:
    """Runs a form of the network and returns its output and its states."""
    session = Session(with_states(form.model.SerializeToString(), form.recipe()), device="cpu")
    outputs = dict(zip(session.output_names, session.run(case.batch.given), strict=True))
    return Outputs(
        {"probs": outputs["probs"]},
        {layer: outputs[output].transpose(1, 0, 2) for layer, output in form.states.items()},
        None if form.cuts is None else {layer: outputs[output] for layer, output in form.cuts.items()},
    )


def prove(name: str, outputs: Outputs, case: Case) -> RuntimeReport:
    """Returns the report of the proof on a file's outputs."""
    return compare_runtime(name, case.network, [case.batch], [outputs], [{"probs": case.decisions}])


def passes(expected: Array, actual: npt.NDArray[np.float32], tolerance: tuple[float, float]) -> bool:
    """Compares the outputs alone, within a tolerance, as other tools do."""
    absolute, relative = tolerance
    return bool(np.allclose(actual, expected, rtol=relative, atol=absolute))
