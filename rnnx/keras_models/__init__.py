"""Turns Keras models into `reference.Network`, or refuses them with a reason.

Imports Keras, which the extra [train] installs.
"""
