"""Text in, sentences of tagged words out, with onnxruntime and numpy alone."""

from rnnx_tagger.tagger import Sentence, Tagger, TaggerError, Word

__all__ = ["Sentence", "Tagger", "TaggerError", "Word"]
