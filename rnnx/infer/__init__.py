"""Inference: sessions of onnxruntime and the predictor. Needs [cpu] or [cuda]; never imports TensorFlow."""
