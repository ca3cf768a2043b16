"""The only room that imports onnxruntime: sessions, and the requirements of CUDA. Needs [cpu] or [cuda]."""
