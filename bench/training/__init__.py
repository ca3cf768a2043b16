"""Measures how long rnnx and a plain Keras script train until they reach an accuracy."""
