"""Latency, start-up and throughput of rnnx compared with its peers, and the tables that its own choices follow."""
