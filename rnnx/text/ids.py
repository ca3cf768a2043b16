"""Chooses the encoder that turns the texts or words of a model into ids.

The choice is made once, when the directory of the model is opened.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from rnnx.bundle.config import ArraysConfig, ModelConfig, TokenizerConfig, WordsConfig
from rnnx.bundle.directory import VOCABULARY_NAME, Directory
from rnnx.errors import ModelError
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.text.word_encoder import WordEncoder
from rnnx.text.word_rules import find_word_rule
from rnnx.text.word_vocabulary import WordVocabulary

IdEncoder: TypeAlias = Tokenizer | WordEncoder


def read_id_encoder(directory: Directory) -> IdEncoder | None:
    """Reads the encoder of a model from its config and its vocabulary.

    Args:
        directory: A training run or a bundle.

    Returns:
        The tokenizer or the word encoder; None for a model that reads arrays.

    Raises:
        ModelError: If the vocabulary is missing or broken, or has another size than the config says.
    """
    config = directory.config
    match config.reading:
        case TokenizerConfig() as tokenizer_config:
            words = Vocabulary.from_bytes(directory[VOCABULARY_NAME], find_rule(tokenizer_config))
            _require_size(config, len(words), "words")
            return Tokenizer(tokenizer_config, words)
        case WordsConfig() as words_config:
            tokens = WordVocabulary.from_bytes(directory[VOCABULARY_NAME], find_word_rule(words_config.rule))
            _require_size(config, len(tokens), "tokens")
            return WordEncoder(words_config, tokens)
        case ArraysConfig():
            return None
        case reading:
            assert_never(reading)


def _require_size(config: ModelConfig, size: int, what: str) -> None:
    if size != config.vocabulary_size:
        raise ModelError(
            f"model {config.name}: the vocabulary has {size} {what}, but config.json says {config.vocabulary_size}"
        )
