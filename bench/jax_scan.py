"""The article's network in JAX: one gather from the folded table, `lax.scan` over the time, all of it jitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def jit_predict(jax: Any) -> Callable[..., Any]:
    """Builds it for a JAX that need not be installed where this is read.

    Args:
        jax: The module.

    Returns:
        (ids (batch, time), table (words, units), recurrent kernel, dense kernel, dense bias) to probabilities
        (batch, outputs). The weights are arguments: constants would be folded again for every shape.
    """

    @jax.jit  # type: ignore[untyped-decorator]  # JAX is imported untyped, since it need not be there
    def predict(ids: Any, table: Any, recurrent_kernel: Any, dense_kernel: Any, dense_bias: Any) -> Any:
        def step(h: Any, x_t: Any) -> tuple[Any, None]:
            return jax.numpy.tanh(x_t + h @ recurrent_kernel), None

        start = jax.numpy.zeros((ids.shape[0], table.shape[1]), table.dtype)
        last, _ = jax.lax.scan(step, start, table[ids.T])
        return jax.nn.sigmoid(last @ dense_kernel + dense_bias)

    return predict  # type: ignore[no-any-return]
