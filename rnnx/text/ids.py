"""What makes ids of the texts, or of the words, that a model reads: chosen once, where its directory is opened."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from rnnx.bundle.config import ArraysConfig, ModelConfig, TokenizerConfig, WordsConfig
from rnnx.bundle.directory import VOCABULARY_NAME, Directory
from rnnx.errors import ModelError
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.text.word_encoder import WordEncoder
from rnnx.text.word_vocabulary import WordVocabulary

IdEncoder: TypeAlias = Tokenizer | WordEncoder


def read_id_encoder(directory: Directory) -> IdEncoder | None:
    """Reads what makes ids of a model's texts, or of its words.

    Args:
        directory: A run or a bundle.

    Returns:
        None for a model that reads numbers or ids.

    Raises:
        ModelError: If the vocabulary is missing or broken, or is not the one that the config describes.
    """
    config = directory.config
    match config.reading:
        case TokenizerConfig() as of_texts:
            words = Vocabulary.from_bytes(directory[VOCABULARY_NAME])
            _require_size(config, len(words), "words")
            return Tokenizer(of_texts, words)
        case WordsConfig() as of_words:
            tokens = WordVocabulary.from_bytes(directory[VOCABULARY_NAME])
            _require_size(config, len(tokens), "tokens")
            return WordEncoder(of_words, tokens)
        case ArraysConfig():
            return None
        case reading:
            assert_never(reading)


def _require_size(config: ModelConfig, size: int, what: str) -> None:
    if size != config.vocabulary_size:
        raise ModelError(
            f"model {config.name}: the vocabulary has {size} {what}, config.json says {config.vocabulary_size}"
        )
