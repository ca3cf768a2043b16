"""Measures latency, start-up and throughput of rnnx and its peers, and the figures that rnnx's own constants follow."""
