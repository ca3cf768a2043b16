"""Turns texts and words into ids, by rules on bytes that training, inference and the ONNX graph share."""
