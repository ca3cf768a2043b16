"""rnnx: train a Keras SimpleRNN on text, export it to ONNX with a proof, run it anywhere."""

__version__ = "0.1.0"
