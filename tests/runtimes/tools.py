"""Applies the tools that people use on `.onnx` files to every form of a bundle, and runs what they make.

A tool takes a file and gives a changed one. The changed file has to give the answers of the reference on the golden
texts or the test data of the bundle: exactly, or nearly if the tool makes the weights smaller.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.utils
import onnx.version_converter

from tests.runtimes.tool_rows import (
    EXACT,
    NEAR,
    ToolRow,
    collect,
    difference_of_session,
    largest_difference,
    open_session,
    read_cases,
)

_SIZES = {"batch": 2, "time": 9, "bytes": 40}


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs onnxsim."""
    onnxsim: Any = __import__("onnxsim")
    simplified: onnx.ModelProto
    simplified, is_right = onnxsim.simplify(model)
    assert is_right
    return simplified


def infer_symbolic_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs onnxruntime's `symbolic_shape_infer`."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    inferred: onnx.ModelProto = SymbolicShapeInference.infer_shapes(model, auto_merge=True)
    return inferred


def pre_process(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs onnxruntime's `quant_pre_process`."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    return _through_file(lambda path: quant_pre_process(model, path, auto_merge=True))


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs onnxruntime's `quantize_dynamic`, with weights of 7 bits.

    With 8 bits, its default, sums of products overflow on processors without VNNI: `pos` was 0.065 off there.
    """
    from onnxruntime.quantization import quantize_dynamic

    return _through_file(lambda path: quantize_dynamic(model, path, reduce_range=True))


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs the float16 converter of onnxruntime."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    changed: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return changed


def to_float16_by_onnxconverter(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs the float16 converter of onnxconverter-common."""
    float16: Any = __import__("onnxconverter_common.float16", fromlist=["float16"])
    changed: onnx.ModelProto = float16.convert_float_to_float16(model, keep_io_types=True)
    return changed


def check(model: onnx.ModelProto) -> onnx.ModelProto:
    """Runs onnx's checker, with its shape inference."""
    onnx.checker.check_model(model, full_check=True)
    return model


def add_prefix(model: onnx.ModelProto) -> onnx.ModelProto:
    """Renames all values by `onnx.compose.add_prefix`, but not the inputs and outputs."""
    return onnx.compose.add_prefix(model, "model/", rename_inputs=False, rename_outputs=False)


def extract(model: onnx.ModelProto) -> onnx.ModelProto:
    """Takes everything between the inputs and the outputs by `onnx.utils.extract_model`."""
    names = [[value.name for value in values] for values in (model.graph.input, model.graph.output)]
    return onnx.utils.Extractor(model).extract_model(*names)


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        package: Its distribution.
        module: The module that has to be there; for some tools, a library that they import.
        change: What it does.
        tolerance: How far off its result may be.
    """

    package: str
    module: str
    change: Callable[[onnx.ModelProto], onnx.ModelProto]
    tolerance: float = EXACT


TOOLS = {
    "checker": Tool("onnx", "onnx", check),
    "shape inference": Tool("onnx", "onnx", lambda m: onnx.shape_inference.infer_shapes(m, True, True, True)),
    "version_converter, opset 21": Tool("onnx", "onnx", lambda m: onnx.version_converter.convert_version(m, 21)),
    "compose.add_prefix": Tool("onnx", "onnx", add_prefix),
    "extract_model": Tool("onnx", "onnx", extract),
    "onnxsim": Tool("onnxsim", "onnxsim", simplify),
    "symbolic_shape_infer": Tool("onnxruntime", "sympy", infer_symbolic_shapes),
    "quant_pre_process": Tool("onnxruntime", "sympy", pre_process),
    "quantize_dynamic": Tool("onnxruntime", "onnxruntime", quantize, NEAR),
    "float16, onnxruntime": Tool("onnxruntime", "onnxruntime", to_float16, NEAR),
    "float16, onnxconverter-common": Tool(
        "onnxconverter-common", "onnxconverter_common", to_float16_by_onnxconverter, NEAR
    ),
}


def missing(tool: str) -> str | None:
    """Returns what must be installed for a tool; None if it is there."""
    return None if find_spec(TOOLS[tool].module) else f"pip install {TOOLS[tool].module.replace('_', '-')}"


def use_tool(tool: str, files: Sequence[Path]) -> ToolRow:
    """Applies a tool to files of bundles, and runs the results in onnxruntime."""
    given = TOOLS[tool]

    def run(file: Path) -> float:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = given.change(onnx.load(file))
        return largest_difference(model, read_cases(file.parent, file.name))

    return collect(tool, version(given.package), files, run, given.tolerance)


def fix_dimensions(files: Sequence[Path]) -> ToolRow:
    """Fixes the dimensions, one by one and all, in the ways that onnxruntime has, and runs the files.

    The files only read ones, so that every id is known. Their answers have to be those of the file as it is.
    """

    def run(file: Path) -> float:
        model = onnx.load(file)
        dims = [dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim]
        names = sorted({dim.dim_param for dim in dims if dim.dim_param})
        inputs = {value.name: _ones(value) for value in model.graph.input}
        cases = [(inputs, open_session(model).run(None, inputs)[0])]
        choices = [*([name] for name in names), names]
        sessions = [
            *(open_session(model, {name: _SIZES[name] for name in chosen}) for chosen in choices),
            *(open_session(fix(model, chosen)) for fix in (_fix, _fix_outputs_too) for chosen in choices),
        ]
        return max(difference_of_session(session, cases) for session in sessions)

    return collect("dimensions fixed", version("onnxruntime"), files, run)


def _ones(value: onnx.ValueInfoProto) -> npt.NDArray[Any]:
    tensor = value.type.tensor_type
    shape = [dim.dim_value or _SIZES[dim.dim_param] for dim in tensor.shape.dim]
    return np.ones(shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def _fix(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

    fixed: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    for name in names:
        make_dim_param_fixed(fixed.graph, name, _SIZES[name])
    return fixed


def _fix_outputs_too(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    from onnxruntime.tools.onnx_model_utils import fix_output_shapes

    fixed = _fix(model, names)
    fix_output_shapes(fixed)
    return fixed


def _through_file(write: Callable[[str], object]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/changed.onnx")
        return onnx.load(f"{folder}/changed.onnx")
