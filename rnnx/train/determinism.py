"""The same seed, the same bits.

Left to itself, TensorFlow sums the gradients of a word that stands twice in a batch in the order in which its threads
come by: on two cores, no two trainings of the article's network ended with the same weights. An order that is always
the same took 0 to 8 of 100 more time there, in two measurements on a shared machine, so there is no flag for it.
"""

from __future__ import annotations

import keras
import tensorflow as tf


def begin(seed: int) -> None:
    """Makes all that this process trains from now on a function of the seed, dropout and start weights included."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
