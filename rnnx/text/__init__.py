"""Text to ids, on bytes, for training, inference and the graph alike. Imports numpy only."""
