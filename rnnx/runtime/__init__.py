"""The only door to onnxruntime: sessions, and what CUDA needs on this machine. Needs [cpu] or [cuda]."""
