"""The operations that layers are made of, each with its value, its float32 rounding bound and its derivative.

A layer is written once, on these operations (`rnnx.reference`). Called with arrays, it computes with NumPy. Called with
values that `track` returns, it also gives the bound of its rounding (`rnnx.rounding.layer_bounds`) and its derivative
(`rnnx.rounding.layer_gradients`).

| primitive | where |
|---|---|
| `+`, `-`, `@`, `sum`, `mean`, `divide_by_count` | `sums` |
| `*`, `/`, `fold`, `rsqrt`, `sqrt`, `mix`, `weights` | `products` |
| `activate`, `apply`, `softmax`, `largest`, `maximum`, `norm`, `unit`, `variance` | `functions` |
| `[...]`, `reshape`, `swap`, `split`, `concatenate`, `where`, `repeat`, `pad`, `windows` | `moves` |
| `log`, `power` | `powers` |
| `compare`, `choose`, `step`, `first_largest` | `comparisons` |
| the activations and their allowances | `activations` |
| other functions, such as sin and erf | `elementary` |

A new primitive is a function in one of these files. Given plain arrays it returns NumPy's result; given tracked ones it
calls `Tracked.result` with the value, the inherited error, the links for the backward pass, and the terms if it is a
sum. `tests/primitives` has what it needs to pass.

Imports numpy only.
"""

from rnnx.primitives.activations import ACTIVATIONS, ActivationFunction, ActivationName
from rnnx.primitives.arrays import Array, Mask
from rnnx.primitives.comparisons import Relation, StepName, choose, compare, first_largest, step
from rnnx.primitives.elementary import FUNCTIONS, FunctionName
from rnnx.primitives.functions import (
    activate,
    apply,
    largest,
    log_softmax,
    maximum,
    norm,
    softmax,
    sort,
    unit,
    variance,
)
from rnnx.primitives.moves import concatenate, pad, repeat, split, swap, where, windows
from rnnx.primitives.operands import exact
from rnnx.primitives.operators import track
from rnnx.primitives.powers import log, power
from rnnx.primitives.products import fold, mix, rsqrt, sqrt, weights
from rnnx.primitives.sums import divide_by_count
from rnnx.primitives.tracked import Trace, Tracked

__all__ = [
    "ACTIVATIONS",
    "FUNCTIONS",
    "ActivationFunction",
    "ActivationName",
    "Array",
    "FunctionName",
    "Mask",
    "Relation",
    "StepName",
    "Trace",
    "Tracked",
    "activate",
    "apply",
    "choose",
    "compare",
    "concatenate",
    "divide_by_count",
    "exact",
    "first_largest",
    "fold",
    "largest",
    "log",
    "log_softmax",
    "maximum",
    "mix",
    "norm",
    "pad",
    "power",
    "repeat",
    "rsqrt",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "step",
    "swap",
    "track",
    "unit",
    "variance",
    "weights",
    "where",
    "windows",
]
