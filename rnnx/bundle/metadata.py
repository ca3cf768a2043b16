"""What an `.onnx` file says of itself, in its metadata_props: enough to use it without the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rnnx.bundle.config import ModelConfig, TokenizerConfig, WordsConfig, require_printable
from rnnx.errors import ModelError
from rnnx.strict_json import from_json

METADATA_KEY = "rnnx"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelMetadata:
    """The part of a config that an application needs."""

    name: str
    task: str
    labels: tuple[str, ...]
    vocabulary_size: int
    tokenizer: TokenizerConfig | None
    words: WordsConfig | None = None

    def __post_init__(self) -> None:
        require_printable(self.labels)


def read_metadata(properties: Mapping[str, str]) -> ModelMetadata:
    """Reads what a file says of itself.

    Raises:
        ModelError: If it says nothing, or nothing that can be read.
    """
    text = properties.get(METADATA_KEY, "")
    if not text or len(text) > _MOST_BYTES:
        raise ModelError("the .onnx file carries no metadata of rnnx; export the model again")
    try:
        return from_json(ModelMetadata, text)
    except ValueError as error:
        raise ModelError(f"the metadata in the .onnx file is broken: {error}") from error


def require_same(properties: Mapping[str, str], config: ModelConfig) -> None:
    """Makes sure that an `.onnx` file and the config beside it describe the same model.

    Raises:
        ModelError: If the file says nothing, or something else.
    """
    try:
        metadata = read_metadata(properties)
    except ModelError as error:
        raise ModelError(f"model {config.name}: {error}") from error
    for field in ("labels", "vocabulary_size", "tokenizer", "words"):
        said, expected = getattr(metadata, field), getattr(config, field)
        if said != expected:
            raise ModelError(
                f"model {config.name}: {field} is {expected!r:.200} in config.json but {said!r:.200} in the .onnx file"
            )
