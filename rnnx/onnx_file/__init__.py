"""An `.onnx` file as bytes: what may be loaded, and how to look inside without the onnx package.

`wire` reads protobuf strictly, `admission` decides whether a file may be loaded, `messages` parses one that may.
"""
