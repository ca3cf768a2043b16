"""Makes the states of a stateful model inputs and outputs of its plain form, if it cannot be a stream.

A stateful model that reads forward computes the same over a sequence in one call as in several, so it is exported as a
stream. A layer that reads backwards does not: in each call it begins at the end of that call, from the state that the
call before left. Nor does a layer that needs calls of a fixed length, such as a Flatten. So the plain form computes one
call: it is given all states, and puts out those after it. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.plain_names import PlainNames

_KINDS = ("h", "c")


@dataclass(frozen=True, eq=False)
class GivenState:
    """A state that is an input and an output.

    Attributes:
        layer: The recurrent layer of the saved model.
        index: Which of its states it is.
        input: The name of the input.
        output: The name of the output.
    """

    layer: Any
    index: int
    input: str
    output: str


@dataclass(frozen=True, eq=False)
class GivenStates:
    """All states of a model, as they are found.

    Attributes:
        names: Gives the inputs their names.
        states: The states, in the order of the inputs and outputs.
        inputs: The input of each state.
        outputs: The output of each state.
    """

    names: PlainNames
    states: list[GivenState] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def call(self, layer: Any, copied: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """Calls a copy of a stateful layer from given states.

        Args:
            layer: The layer of the saved model; `is_stateful` says that it is one.
            copied: A copy of it that returns its states.
            args: What the layer is called with.
            kwargs: The same, by name.

        Returns:
            The outputs of the layer, without lists in lists.

        Raises:
            ModelError: If it is called more than once, so that its second call begins after the first one.
        """
        if any(half is state.layer for state in self.states for half in halves_of(layer)):
            raise refusal(layer, "is stateful and called more than once; use a layer for each call")
        given = dict(zip(("sequences", "initial_state", "mask"), args, strict=False)) | dict(kwargs)
        x = given["sequences"]
        mask = given.get("mask")
        # Keras gives a layer no mask of its own accord if it is called with states.
        mask = getattr(x, "_keras_mask", None) if mask is None else mask
        first = [self._add(layer, half, i) for half in halves_of(layer) for i in range(len(_shapes(half)))]
        flat = keras.tree.flatten(copied(x, initial_state=first, **({} if mask is None else {"mask": mask})))
        self.outputs.extend(flat[-len(first) :])
        return list(flat if layer.return_state else flat[: -len(first)])

    def _add(self, layer: Any, half: Any, index: int) -> Any:
        side = "" if half is layer else "_backward" if half.go_backwards else "_forward"
        prefix = f"{layer.name}{side}_{_KINDS[index]}"
        tensor = keras.Input(_shapes(half)[index], name=self.names.of_state(f"{prefix}_in"))
        self.states.append(GivenState(half, index, tensor.name, f"{prefix}_out"))
        self.inputs.append(tensor)
        return tensor


def is_stateful(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of a layer begins from the states of the call before it; not if it is given other ones."""
    has_first = (len(args) > 1 and args[1] is not None) or kwargs.get("initial_state") is not None
    return isinstance(layer, layers.RNN | layers.Bidirectional) and layer.stateful and not has_first


def halves_of(layer: Any) -> list[Any]:
    """Returns the two layers of a Bidirectional, or a recurrent layer itself."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, layers.Bidirectional) else [layer]


def returning_states(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a recurrent layer, or of a Bidirectional, that returns its states too."""
    wrapped = {
        key: {**config[key], "config": returning_states(config[key]["config"])}
        for key in ("layer", "backward_layer")
        if isinstance(config.get(key), dict)
    }
    return {**config, **wrapped} if wrapped else {**config, "return_state": True}


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    """Returns the shape of each state of a stateful layer: a vector, or the image of a ConvLSTM."""
    return [tuple(state.shape[1:]) for state in keras.tree.flatten(layer.states)]
