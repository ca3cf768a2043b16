"""Rewrites of ONNX graphs, one per file, with the pattern next to its replacement. Imports onnx and numpy only.

Each rewrite takes a model and returns a new one that the checker accepts. A graph that is not supported is refused with
a reason, never left half rewritten. The proof decides whether the numbers stay the same (`rnnx.export.prove`).
"""
