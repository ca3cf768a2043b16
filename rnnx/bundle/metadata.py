"""The metadata of an `.onnx` file: what an application needs to use the file without the rest of its bundle.

It is stored as JSON in the `metadata_props` of the file. Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rnnx.bundle.config import ModelConfig, TokenizerConfig, WordsConfig, require_printable
from rnnx.errors import ModelError
from rnnx.strict_json import OMIT_DEFAULT, from_json

METADATA_KEY = "rnnx"
_MAX_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class ModelMetadata:
    """The part of a config that an application needs.

    Attributes:
        least_time: The fewest positions of an input.
        vocabulary_sha256: The hash of the words that belong to the ids, as `vocabulary.txt` has them; empty for a model
            that reads no text, and in a file that was exported before it was recorded.
    """

    name: str
    task: str
    labels: tuple[str, ...]
    vocabulary_size: int
    tokenizer: TokenizerConfig | None
    words: WordsConfig | None = None
    thresholds: tuple[float, ...] = field(default=(), metadata=OMIT_DEFAULT)
    least_time: int = field(default=1, metadata=OMIT_DEFAULT)
    vocabulary_sha256: str = field(default="", metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        require_printable(self.labels)


def read_metadata(properties: Mapping[str, str]) -> ModelMetadata:
    """Reads the metadata of a file.

    Args:
        properties: The `metadata_props` of the file, key to value.

    Raises:
        ModelError: If the metadata is missing or broken.
    """
    text = properties.get(METADATA_KEY, "")
    if not text or len(text) > _MAX_CHARACTERS:
        raise ModelError("the .onnx file has no metadata of rnnx; export the model again")
    try:
        return from_json(ModelMetadata, text)
    except ValueError as error:
        raise ModelError(f"the metadata in the .onnx file is broken: {error}") from error


def require_same(properties: Mapping[str, str], config: ModelConfig) -> None:
    """Makes sure that an `.onnx` file and the config of its bundle describe the same model.

    Args:
        properties: The `metadata_props` of the file, key to value.
        config: The config of the bundle.

    Raises:
        ModelError: If the metadata is missing, broken, or differs from the config.
    """
    try:
        metadata = read_metadata(properties)
    except ModelError as error:
        raise ModelError(f"model {config.name}: {error}") from error
    for name in ("labels", "vocabulary_size", "tokenizer", "words", "thresholds"):
        expected, actual = getattr(config, name), getattr(metadata, name)
        if actual != expected:
            raise ModelError(
                f"model {config.name}: {name} is {expected!r:.200} in config.json but {actual!r:.200} in the .onnx file"
            )
