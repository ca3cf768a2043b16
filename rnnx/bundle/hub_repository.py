"""Lays a bundle out as a model repository of the Hugging Face Hub.

The `.onnx` files are in `onnx/`, where the Hub's own tools expect them; `config.json` has the labels by the names that
the Hub reads; `README.md` is the card with its front matter. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.bundle.directory import (
    BATCH_NAME,
    CARD_NAME,
    CURVES_NAME,
    EVALUATION_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    PARITY_NAME,
    PLOT_NAME,
    STREAM_NAME,
    TEXT_NAME,
    VOCABULARY_NAME,
    Directory,
)
from rnnx.bundle.front_matter import add_front_matter, shipped_licence, without_front_matter
from rnnx.strict_json import to_json

_FORMS = (MODEL_NAME, BATCH_NAME, TEXT_NAME, STREAM_NAME)
_OTHER_FILES = (VOCABULARY_NAME, GOLDEN_NAME, EVALUATION_NAME, PARITY_NAME, CURVES_NAME, PLOT_NAME)
_FOLDER = "onnx"
_MODEL_FILE = re.compile(rf"(?<![\w/.])(?:{'|'.join(map(re.escape, _FORMS))})(?!\w)")
_IMAGE = re.compile(r"\n\n!\[[^]\n]*\]\(([^)\n]+)\)")
# What a program needs of the config, under the key `rnnx`.
_KEPT = ("name", "task", "thresholds", "tokenizer", "words", "inputs", "outputs")
_PROBLEM_TYPES = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}
# What `git push` needs; `hf upload` stores large files by itself.
_GIT_ATTRIBUTES = "*.onnx filter=lfs diff=lfs merge=lfs -text\n*.png filter=lfs diff=lfs merge=lfs -text\n"
_SECTION = re.compile(r"\n\n## (Accuracy|Error|Use|Embed|Network|Training|Proof|Files)\n\n")
_USE = (
    f"The files in `{_FOLDER}/` need onnxruntime and NumPy. The libraries transformers and transformers.js do not have "
    "this kind of network. `hf download` gets the repository; the lines below run in its folder."
)


def add_hub_files(directory: Directory, project: Path) -> None:
    """Adds the files of a repository, and replaces the README of the sample by the card of the model.

    Args:
        directory: A bundle of any kind.
        project: A copy of the sample.

    Raises:
        ModelError: If the bundle has no `model.onnx` or no card.
    """
    config = directory.config
    paths = {name: f"{_FOLDER}/{name}" for name in _FORMS if name == MODEL_NAME or name in config.files}
    paths |= {name: name for name in _OTHER_FILES if name in config.files}
    (project / _FOLDER).mkdir()
    for name, path in paths.items():
        (project / path).write_bytes(directory[name])
    (project / CONFIG_NAME).write_text(_hub_config(config), encoding="utf-8")
    (project / ".gitattributes").write_text(_GIT_ATTRIBUTES, encoding="utf-8")
    card = _hub_card(directory, paths)
    card = add_front_matter(card, config, directory.files, shipped_licence(directory.path))
    (project / CARD_NAME).write_text(card, encoding="utf-8")


def _hub_config(config: ModelConfig) -> str:
    whole = json.loads(to_json(config))
    fields: dict[str, object] = {"model_type": "rnnx"}
    if config.labels:
        fields["id2label"] = {str(i): label for i, label in enumerate(config.labels)}
        fields["label2id"] = {label: i for i, label in enumerate(config.labels)}
    if config.kind == "texts" and config.task in _PROBLEM_TYPES:
        fields["problem_type"] = _PROBLEM_TYPES[config.task]
    if config.vocabulary_size:
        fields["vocab_size"] = config.vocabulary_size
    fields["rnnx"] = {name: whole[name] for name in _KEPT if whole.get(name)}
    return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"


def _hub_card(directory: Directory, paths: dict[str, str]) -> str:
    """Writes the card of the bundle again, for the files of this layout and for programs without rnnx."""
    summary, *rest = _SECTION.split(without_front_matter(directory[CARD_NAME].decode()))
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    # The commands and the first lines of Python need the whole bundle; after them is what any program needs.
    rule = sections.get("Use", "").partition("```python\n")[2].partition("\n```\n\n")[2]
    text_form = _until_first_program(sections.get("Embed", ""))
    parts = [summary, "## Use\n\n" + "\n\n".join(part for part in (_USE, text_form, rule) if part)]
    titles = ("Accuracy", "Error", "Network", "Training", "Proof")
    parts += [f"## {title}\n\n{sections[title]}" for title in titles if title in sections]
    sizes = "\n".join(f"| `{name}` | {len(directory[name]):,} |" for name in paths)
    parts.append(f"## Files\n\n| file | bytes |\n|---|---:|\n{sizes}")
    tools = ", ".join(f"{name} {version}" for name, version in directory.config.tools.items())
    parts.append(f"Made with {tools}. This page is generated; `rnnx embed huggingface` writes it.")
    card = _IMAGE.sub(lambda image: image[0] if image[1] in paths else "", "\n\n".join(parts))
    return _MODEL_FILE.sub(rf"{_FOLDER}/\g<0>", card) + "\n"


def _until_first_program(section: str) -> str:
    text, fence, rest = section.partition("```python\n")
    return f"{text}{fence}{rest.partition('```')[0]}```" if fence else ""
