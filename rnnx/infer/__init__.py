"""Inference: the predictor, streams, evaluation and explanation. Needs [cpu] or [cuda]; never imports TensorFlow."""
