"""Export: a Keras model to an ONNX bundle with its proof. Needs the [train] extra and [cpu] or [cuda]."""
