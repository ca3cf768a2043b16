"""Turns Keras's attention layers into nodes of the reference, or refuses them with a reason. Imports Keras.

An attention has two or three inputs with a mask each, settings that belong to its call, and perhaps a second output:
the weights. A MultiHeadAttention is read as the layers that it consists of: a Dense for each of the queries, keys and
values, the attention of all heads, and a Dense of what it gives. So each of its products is compared alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.explicit_masks import mask_input, mask_node_of
from rnnx.keras_models.layer_settings import float64, refusal, require
from rnnx.keras_models.operation_parts import (
    MOST_CONSTANTS,
    OF_HEADS,
    attention_inputs,
    call_arguments,
    is_exact,
    is_explicit,
    masks_read,
)
from rnnx.reference import Array, Input, Node
from rnnx.reference.attention import MaskEffect


def read_attention(layer: Any, inputs: tuple[str, ...], ports: Mapping[str, Input]) -> tuple[list[Node], list[str]]:
    """Turns an attention into nodes of the reference.

    Args:
        layer: An instance of one of `ATTENTIONS`, called once.
        inputs: The nodes of its inputs, in the order of `layer.input` without the masks.
        ports: The inputs of the model, by their names in Keras; masks may be among them.

    Returns:
        The nodes, and the node of each output.

    Raises:
        ModelError: If a setting is not supported.
    """
    arguments = call_arguments(layer)
    if arguments.get("training"):
        raise refusal(layer, "is called with training=True, so that its dropout is random")
    is_causal = bool(arguments.get("use_causal_mask"))
    pairs = arguments.get("attention_mask") if type(layer) in OF_HEADS else None
    masks = {id(mask) for mask in masks_read(layer, ())}
    tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool" or id(tensor) in masks]
    name_of = {id(tensor): name for tensor, name in zip(tensors, inputs, strict=True)}
    given = attention_inputs(layer)
    if any(x is not None and (id(x) not in name_of or len(x.shape) != 3) for _, x, _ in given):
        raise refusal(layer, "should read two or three computed sequences, (batch, time, features)")
    nodes: list[Node] = []
    names: tuple[str, ...] = ()
    for role, tensor, mask in given:
        if tensor is not None:
            masked = _with_mask(layer, role, tensor, mask, name_of, ports)
            names += (masked[-1].name if masked else name_of[id(tensor)],)
            nodes += masked
        elif mask is not None:
            raise refusal(layer, f"has a {role}_mask, and no {role}; leave it out")
    gives_weights = bool(arguments.get("return_attention_scores"))
    if type(layer) in OF_HEADS:
        settings = {"is_causal": is_causal, **_read_pairs(layer, pairs)}
        of_pairs = name_of[id(pairs)] if settings.get("has_pairs") else None
        read, ends = _read_heads(layer, names, of_pairs, settings, gives_weights=gives_weights)
        _, query, mask = given[0]
        if is_explicit(query, mask):
            # Keras hands on the mask that it propagates with the query all the same.
            features = keras.tree.flatten(layer.output)[0].shape[2:]
            own = Node(f"{layer.name}.unmasked", reference.Reshape((-1, *features)), (ends[0],))
            if getattr(query, "_keras_mask", None) is not None:
                own = Node(f"{layer.name}.mask", reference.TakeMask(), (ends[0], name_of[id(query)]))
            read, ends = [*read, own], [own.name, *ends[1:]]
        return [*nodes, *read], ends
    weights, attention = _read_one_head(layer, is_causal=is_causal)
    read = [Node(layer.name, attention, names)]
    if gives_weights:
        read.append(Node(f"{layer.name}.weights", weights, names))
    return [*nodes, *read], [node.name for node in read]


def _with_mask(
    layer: Any, role: str, tensor: Any, mask: Any, name_of: Mapping[int, str], ports: Mapping[str, Input]
) -> list[Node]:
    """Returns nodes that give an input another mask than Keras propagates with it; none if it has that one.

    Args:
        layer: The attention.
        role: The role of the input.
        tensor: The input.
        mask: Its mask, or None.
        name_of: The nodes of the inputs, and of the masks that operations compute, by the ids of their tensors.
        ports: The inputs of the model, by their names in Keras.

    Raises:
        ModelError: If rounding could decide what the mask is, or Keras does not use it.
    """
    name, read = f"{layer.name}.{role}_mask", name_of[id(tensor)]
    if mask is None and type(layer) not in OF_HEADS and getattr(tensor, "_keras_mask", None) is not None:
        # A Reshape to the same shape has no mask.
        return [Node(name, reference.Reshape((-1, *tensor.shape[2:])), (read,))]
    if not is_explicit(tensor, mask):
        return []
    if role == "query" and type(layer) is layers.MultiHeadAttention:
        raise refusal(
            layer,
            "has a query_mask, which Keras replaces by the mask that it propagates with the query; leave it out, or "
            "give an attention_mask",
        )
    if not isinstance(mask, keras.KerasTensor):
        raise refusal(layer, f"has a constant mask of its {role}; compute it from inputs of the model, or leave it out")
    if (source := mask_input(mask, ports)) is not None:
        return [Node(name, reference.TakeMask(), (read, source))]
    if id(mask) not in name_of or len(mask.shape) != 2:
        raise refusal(layer, f"has a mask of the shape {mask.shape} of its {role}; it should be (batch, time)")
    if not is_exact(mask):
        raise refusal(
            layer,
            "has a mask of computed numbers, where rounding could decide; compute it from inputs of the model by "
            "comparisons",
        )
    made = Node(mask_node_of(f"{layer.name}.{role}"), reference.AsMask(), (name_of[id(mask)],))
    return [made, Node(name, reference.TakeMask(), (read, made.name))]


def _read_pairs(layer: Any, pairs: Any) -> dict[str, Any]:
    """Reads which keys each query reads: `sliding_window`, and `attention_mask`, which is computed or constant.

    Raises:
        ModelError: If it is computed with rounding, or does not fit.
    """
    window = getattr(layer, "_sliding_window", getattr(layer, "sliding_window", None))
    settings: dict[str, Any] = {} if window is None else {"window": int(window)}
    if pairs is None:
        return settings
    query, value = (call_arguments(layer)[name].shape[1] for name in ("query", "value"))
    if isinstance(pairs, keras.KerasTensor):
        if len(pairs.shape) != 3:
            raise refusal(layer, f"has an attention_mask of {pairs.shape}; it should be (batch, queries, keys)")
        if not is_exact(pairs):
            raise refusal(
                layer,
                "has an attention_mask of computed numbers, where rounding could decide; compute it from inputs of the "
                "model by comparisons",
            )
        return {**settings, "has_pairs": True}
    values = np.asarray(keras.ops.convert_to_numpy(pairs)) != 0
    sizes = values.shape[1:] if values.ndim == 3 and len(values) == 1 else values.shape
    if len(sizes) != 2 or any(size not in (1, time) for size, time in zip(sizes, (query, value), strict=True)):
        raise refusal(
            layer,
            f"has a constant attention_mask of the shape {values.shape} for {query} queries and {value} keys; it "
            "should be (queries, keys) of a fixed time: for an open time, use use_causal_mask=True",
        )
    if values.size > MOST_CONSTANTS:
        raise refusal(layer, f"has an attention_mask of more than {MOST_CONSTANTS:,} constants; use a shorter time")
    return {**settings, "pairs": tuple(values.ravel().astype(int).tolist()), "pair_sizes": sizes}


def _read_one_head(layer: Any, *, is_causal: bool) -> tuple[reference.Layer, reference.Layer]:
    """Returns the weights and the attention of an Attention or an AdditiveAttention."""
    scale = None if layer.scale is None else float64(layer.scale)
    if type(layer) is layers.AdditiveAttention:
        return (
            reference.AdditiveWeights(scale, is_causal=is_causal),
            reference.AdditiveAttention(scale, is_causal=is_causal),
        )
    factor = 1.0 if scale is None else float(scale)
    if layer.score_mode == "concat":
        outer = float(float64(layer.concat_score_weight))
        return (
            reference.AdditiveWeights(None, factor, outer, is_causal),
            reference.AdditiveAttention(None, factor, outer, is_causal),
        )
    return (
        reference.AttentionWeights(factor, is_causal=is_causal),
        reference.Attention(factor, is_causal=is_causal),
    )


def _read_heads(
    layer: Any, names: tuple[str, ...], of_pairs: str | None, settings: dict[str, Any], *, gives_weights: bool
) -> tuple[list[Node], list[str]]:
    """Returns the parts of an attention of several heads as nodes, and the node of each output.

    Args:
        layer: The attention.
        names: The nodes of its queries, values, and keys if they are given.
        of_pairs: The node that says which keys each query reads; None if there is none.
        settings: Those of the attention that say which keys are read.
        gives_weights: Whether its weights are an output, too.
    """
    require(layer, layer.get_config(), use_gate=False, sliding_window=None)
    is_grouped = type(layer) is layers.GroupQueryAttention
    if not is_grouped and tuple(layer.attention_axes) != (1,):
        raise refusal(layer, f"has attention_axes={layer.attention_axes!r}; only the time is supported")
    projections = {
        part: getattr(layer, f"_{part}_dense") if is_grouped else getattr(layer, f"{part}_dense")
        for part in ("query", "value", "key", "output")
    }
    if len(projections["output"].kernel.shape) != 3:
        raise refusal(layer, "has an output_shape of several axes; only one is supported")
    if any(getattr(dense, "lora_enabled", False) or dense.quantization_mode for dense in projections.values()):
        raise refusal(layer, "is quantized or has LoRA weights")
    query, value, key = (*names, names[1])[:3]
    parts = {"query": query, "value": value, "key": key}
    nodes = [Node(f"{layer.name}.{part}", _projection(projections[part], 1), (name,)) for part, name in parts.items()]
    read = tuple(node.name for node in nodes)
    if is_grouped and layer.num_repeats > 1:
        for part in ("value", "key"):
            nodes += _repeat_heads(layer, f"{layer.name}.{part}", parts[part])
        read = (read[0], *(f"{name}.repeated" for name in read[1:]))
    # Keras 3.15 removes masked keys if it has to compute the weights, and replaces their scores otherwise.
    masking: MaskEffect = "remove" if gives_weights or layer.dropout > 0 else "replace"
    scale, heads = (
        (layer._inverse_sqrt_head_dim, layer.num_query_heads)
        if is_grouped
        else (layer._inverse_sqrt_key_dim, layer.num_heads)
    )
    read = (*read, of_pairs) if of_pairs else read
    whole = reference.Attention(float(scale), int(heads), masking, **settings)
    nodes.append(Node(f"{layer.name}.heads", whole, read))
    nodes.append(Node(layer.name, _projection(projections["output"], 2), (nodes[-1].name,)))
    ends: list[str] = [layer.name]
    if gives_weights:
        nodes.append(
            Node(
                f"{layer.name}.weights", reference.AttentionWeights(float(scale), int(heads), masking, **settings), read
            )
        )
        ends.append(nodes[-1].name)
    return nodes, ends


def _repeat_heads(layer: Any, name: str, masked: str) -> list[Node]:
    """Returns nodes that repeat the heads of the keys or the values, as several heads of the queries read each.

    Args:
        layer: The attention.
        name: The node with the features of all heads.
        masked: A node with the mask of the sequence, which a Reshape drops.
    """
    sizes = int(layer.num_key_value_heads), int(layer.head_dim)
    count = int(layer.num_repeats)
    return [
        Node(f"{name}.split", reference.Reshape((-1, *sizes)), (name,)),
        Node(f"{name}.heads", reference.Rearrange("repeat", 2, count), (f"{name}.split",)),
        Node(f"{name}.joined", reference.Reshape((-1, count * sizes[0] * sizes[1])), (f"{name}.heads",)),
        Node(f"{name}.repeated", reference.TakeMask(), (f"{name}.joined", masked)),
    ]


def _projection(dense: Any, summed: int) -> reference.Dense:
    """Returns an EinsumDense of a MultiHeadAttention, which sums over the first axes of its kernel, as a Dense."""
    kernel = float64(dense.kernel)
    inputs = int(np.prod(kernel.shape[:summed]))
    matrix: Array = kernel.reshape(inputs, -1)
    bias = np.zeros(matrix.shape[1]) if dense.bias is None else float64(dense.bias).reshape(-1)
    return reference.Dense(matrix, bias, "linear")
