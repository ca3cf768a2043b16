"""Runs the proofs, the tests and the timings that need a CUDA card."""
