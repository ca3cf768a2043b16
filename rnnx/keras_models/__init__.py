"""Reads Keras models: a file of Keras becomes a `reference.Network`, or is refused with a reason. Needs [train]."""
