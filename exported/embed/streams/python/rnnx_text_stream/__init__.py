"""A text in chunks, and the answer so far after each of them, with onnxruntime and numpy alone."""

from rnnx_text_stream.model import Answer, State, StreamError, StreamModel

__all__ = ["Answer", "State", "StreamError", "StreamModel"]
