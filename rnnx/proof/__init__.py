"""The proof that a file computes what Keras computed: compares runtimes with the reference and reports the result.

It is made at export, and repeated by `rnnx verify` from the file alone. Needs [cpu] or [cuda]; never imports
TensorFlow or onnx.
"""
