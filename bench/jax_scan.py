"""The article's network in JAX: one gather from the folded table, then `lax.scan` over the time, jitted as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def jit_predict(jax: Any) -> Callable[..., Any]:
    """Builds the jitted network. JAX is an argument, so that this module can be imported where it is not installed.

    Args:
        jax: The module.

    Returns:
        A function of ids `(batch, time)`, the folded table `(words, units)`, the recurrent kernel, the dense kernel and
        the dense bias. It returns probabilities `(batch, outputs)`. The weights are arguments because JAX would fold
        constants again for every shape.
    """

    @jax.jit  # type: ignore[untyped-decorator]  # JAX need not be installed, so it is untyped here
    def predict(ids: Any, table: Any, recurrent_kernel: Any, dense_kernel: Any, dense_bias: Any) -> Any:
        def step(h: Any, x_t: Any) -> tuple[Any, None]:
            return jax.numpy.tanh(x_t + h @ recurrent_kernel), None

        start = jax.numpy.zeros((ids.shape[0], table.shape[1]), table.dtype)
        last, _ = jax.lax.scan(step, start, table[ids.T])
        return jax.nn.sigmoid(last @ dense_kernel + dense_bias)

    return predict  # type: ignore[no-any-return]
