"""Adds the files of a tagger to the project of a kit: a library that cuts words itself, since no graph can.

The rules of taggers look ahead, and try again from an earlier place, as regular expressions do; standard operators of
ONNX cannot. So the kits have them in their own language. Imports the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.bundle.directory import GOLDEN_NAME, MODEL_NAME, SAMPLES_PATH, VOCABULARY_NAME, Directory
from rnnx.bundle.samples import tagged_samples_from_json
from rnnx.strict_json import parse_json, to_json, to_json_bytes

# What the rule `unicode-14` knows of each character, and the sentences and words of texts by the rule `bytes`.
CHARACTERS_NAME = "unicode-14.json"
TEXTS_PATH = SAMPLES_PATH / "taggers" / "texts.json"
# Of golden vectors that record no bound: above the rounding of a tagger in float32, and below what a mistake changes.
_TOLERANCE = 1e-4


def add_tagger(directory: Directory, folder: Path) -> None:
    """Adds `model.onnx`, `vocabulary.txt`, `config.json` and `golden.json` to a folder.

    Args:
        directory: The bundle of a tagger of words.
        folder: The folder that the library loads.
    """
    config = directory.config
    for name in (MODEL_NAME, VOCABULARY_NAME):
        (folder / name).write_bytes(directory[name])
    rule = config.words.rule if config.words else "bytes"
    keys, names = ("name", "labels", "vocabulary_size", "words"), (MODEL_NAME, VOCABULARY_NAME)
    add_config(config, keys, names, folder, needs_characters=rule != "bytes")
    texts = json.loads(TEXTS_PATH.read_bytes()) if rule == "bytes" else []
    golden = {"texts": texts, "sentences": _golden_sentences(directory[GOLDEN_NAME])}
    (folder / GOLDEN_NAME).write_bytes(to_json_bytes(golden))


def add_config(
    config: ModelConfig, keys: Sequence[str], names: Sequence[str], folder: Path, *, needs_characters: bool
) -> None:
    """Writes what a kit reads of a config, the hashes of the files that it has, and the table of characters.

    Args:
        config: The config of the bundle.
        keys: The fields that the kit reads.
        names: The files of the bundle that the kit has.
        folder: The folder that the library loads.
        needs_characters: Whether the rule of the model is `unicode-14`, which reads the table.
    """
    whole = json.loads(to_json(config))
    kept = {key: whole[key] for key in keys if key in whole}
    kept["files"] = {name: config.files[name] for name in names if name in config.files}
    if needs_characters:
        kept["characters"] = json.loads((SAMPLES_PATH / CHARACTERS_NAME).read_bytes())
    # The table has thousands of short lists: one line for all of them.
    text = to_json(kept, indent=None if needs_characters else 2)
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _golden_sentences(data: bytes) -> list[dict[str, Any]]:
    """Returns the rows of `golden.json` with the words in hexadecimal, so that every JSON parser can read them."""
    rows = parse_json(data)
    return [
        {
            "bytes": [word.hex() for word in sample.words],
            "ids": row["ids"],
            "features": row["features"],
            "tags": row["tags"],
            "probabilities": row["probabilities"],
            "tolerance": row.get("tolerance", _TOLERANCE),
        }
        for row, sample in zip(rows, tagged_samples_from_json(data), strict=True)
    ]
