"""Adds the files of a tagger or of a streaming model to the project of a kit: a library that cuts words itself.

The rules of taggers look ahead, and try again from an earlier place, as regular expressions do; standard operators of
ONNX cannot. A stream holds a word back that may go on in the next chunk. So the kits have the rules in their own
language. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.bundle.directory import GOLDEN_NAME, MODEL_NAME, STREAM_NAME, VOCABULARY_NAME, Directory
from rnnx.bundle.find_model import SAMPLES_PATH
from rnnx.bundle.samples import tagged_samples_from_json
from rnnx.onnx_file.wire import read_model
from rnnx.strict_json import parse_json, to_json, to_json_bytes

# What the rule `unicode-14` knows of each character, and the sentences and words of texts by the rule `bytes`.
CHARACTERS_NAME = "unicode-14.json"
TEXTS_PATH = SAMPLES_PATH / "taggers" / "texts.json"
# Of golden vectors that record no bound: above the rounding of a network in float32, and below what a mistake changes.
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
    kept = _keep(config, ("name", "labels", "vocabulary_size", "words"), (MODEL_NAME, VOCABULARY_NAME))
    _write_config(kept, folder, needs_characters=rule != "bytes")
    texts = json.loads(TEXTS_PATH.read_bytes()) if rule == "bytes" else []
    golden = {"texts": texts, "sentences": _golden_sentences(directory[GOLDEN_NAME])}
    (folder / GOLDEN_NAME).write_bytes(to_json_bytes(golden))


def add_stream(directory: Directory, folder: Path) -> None:
    """Adds `model.stream.onnx`, `vocabulary.txt`, `config.json` and `golden.json` to a folder.

    Args:
        directory: The bundle of a text model with a streaming file, which gives one answer for all of the text.
        folder: The folder that the library loads.

    Raises:
        ModelError: If the streaming file is broken.
    """
    config = directory.config
    for name in (STREAM_NAME, VOCABULARY_NAME):
        (folder / name).write_bytes(directory[name])
    keys = ("name", "task", "labels", "vocabulary_size", "tokenizer", "inputs", "outputs")
    kept = _keep(config, keys, (STREAM_NAME, VOCABULARY_NAME))
    kept["states"] = _state_sizes(directory[STREAM_NAME])
    needs_characters = config.tokenizer is not None and config.tokenizer.rule != "bytes"
    _write_config(kept, folder, needs_characters=needs_characters)
    (folder / GOLDEN_NAME).write_bytes(to_json_bytes(_golden_texts(directory)))


def _keep(config: ModelConfig, keys: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Returns the fields of a config that a kit reads, and the hashes of the files that it has."""
    whole = json.loads(to_json(config))
    kept = {key: whole[key] for key in keys if key in whole}
    return {**kept, "files": {name: config.files[name] for name in names if name in config.files}}


def _write_config(kept: dict[str, Any], folder: Path, *, needs_characters: bool) -> None:
    """Writes `config.json`, with the table of characters if the rule of the model is `unicode-14`."""
    if needs_characters:
        kept["characters"] = json.loads((SAMPLES_PATH / CHARACTERS_NAME).read_bytes())
    # The table has thousands of short lists: one line for all of them.
    text = to_json(kept, indent=None if needs_characters else 2)
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")


def _state_sizes(data: bytes) -> dict[str, int]:
    """Returns the units of each state that a streaming file takes, by name: `h` of the input `h_in` (batch, units)."""
    found = {}
    for port in read_model(data)["graph"]["input"]:
        if match := re.fullmatch(r"((?:.+\.)?[hc])_in", port["name"]):
            found[match[1]] = port["type"]["tensor_type"]["shape"]["dim"][1]["dim_value"]
    return found


def _golden_texts(directory: Directory) -> list[dict[str, Any]]:
    """Returns the golden texts that `model.onnx` reads to their ends, as a stream does, and its outputs for them."""
    config = directory.config
    most = config.tokenizer.max_length if config.tokenizer else 0
    return [
        {
            "bytes": row["text"].encode("utf-8", "surrogateescape").hex(),
            "ids": row["ids"],
            "outputs": row["probs"] if config.labels else [row["value"]],
            "tolerance": _TOLERANCE if config.labels else _TOLERANCE * max(1.0, abs(row["value"])),
        }
        for row in parse_json(directory[GOLDEN_NAME])
        if len(row["ids"]) < most
    ]


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
