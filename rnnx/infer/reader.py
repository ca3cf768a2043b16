"""The three ways in which a model reads its input, and the one place that chooses among them.

Everything after `open_reader` asks the reader; nothing in this room asks `config.json` again which kind of model it is.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from rnnx.bundle.directory import MODEL_NAME, Directory
from rnnx.errors import ModelError
from rnnx.infer.encoders import ArrayReader, TextReader
from rnnx.infer.tagger import SentenceReader
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder

Reader: TypeAlias = TextReader | SentenceReader | ArrayReader


def open_reader(directory: Directory) -> Reader:
    """Chooses the reader of a bundle.

    Args:
        directory: From `rnnx.bundle.directory.read_directory` or `open_directory`.

    Raises:
        ModelError: If the vocabulary is missing or broken, or the bundle is a training run without an ONNX file.
    """
    config = directory.config
    match read_id_encoder(directory):
        case Tokenizer() as tokenizer:
            return TextReader(config.name, tokenizer)
        case WordEncoder() as encoder:
            return SentenceReader(config.name, encoder)
        case None:
            if not config.inputs:
                directory[MODEL_NAME]  # raises the clearer error of a training run, which has no such file
                raise ModelError(f"model {config.name}: its config.json names no inputs; export it again")
            return ArrayReader(config.name, config.inputs)
        case encoder:
            assert_never(encoder)
