"""Raw text into the graph: the tokenizer and the vocabulary as standard ONNX operators in front of a network.

Everything is computed on integers below 2^24, exact in int32, int64 and float32 alike, so that every runtime agrees:
no 64-bit arithmetic, no string tensors, no operators beyond `ai.onnx`. Imports onnx and numpy.
"""
