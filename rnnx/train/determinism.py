"""Makes training deterministic: the same seed gives the same bits on the same machine. Imports TensorFlow.

By default TensorFlow sums the gradients of a word that occurs twice in a batch in the order in which its threads
finish. On two cores, no two trainings of the article's network ended with the same weights. A fixed order took 0 to 8 %
more time, in two measurements on a shared machine. That is so little that there is no option to switch it off.
"""

from __future__ import annotations

import keras
import tensorflow as tf


def begin(seed: int) -> None:
    """Makes every training in this process deterministic from now on; the seed decides start weights and dropout."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
