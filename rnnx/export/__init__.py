"""Exports a Keras model to a bundle of ONNX files with their proof. Needs the extra [train], and [cpu] or [cuda]."""
