"""Puts the tokenizer and the vocabulary in front of a network, as standard ONNX operators that read raw text.

All arithmetic is on integers below 2^24, which int32, int64 and float32 represent exactly, so that every runtime
computes the same ids. There is no 64-bit arithmetic, no string tensor and no operator outside `ai.onnx`. Only `build`
and `storage` import onnx, so that `rnnx verify` can build the tokenizer without it.
"""
