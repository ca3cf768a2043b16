"""Rewrites of ONNX graphs, one per file: the pattern beside what replaces it. Imports onnx and numpy only.

Each takes a model and returns a new one that the checker accepts; what does not match is refused with a reason, never
left half done. Whether the numbers are the same is for the proof to say (`rnnx.export.prove`).
"""
