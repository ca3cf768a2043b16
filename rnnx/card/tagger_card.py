"""The parts of the model card that a tagger has for itself: what it is, and how words become ids. Standard library."""

from __future__ import annotations

from rnnx.bundle.config import ModelConfig, WordsConfig
from rnnx.card.usage import describe_inputs, describe_outputs, embed_snippet, session_snippet

_RULE = """\
Words to ids, on bytes, so that it is the same in every language:

- `ids`: the ASCII letters of a word are lowered; line N of `vocabulary.txt` is id N - 1.
- `features`: the ids of {slots}, each written `NAME=value`. `SUFFIX3` is the last three characters of the lowered
  word, `PREFIX3` its first three (all of it, if it is shorter); a character starts at the first byte and at each
  other one outside 0x80 to 0xBF. `SHAPE` puts `X` for A-Z, `x` for a-z, `d` for 0-9, `u` for a byte >= 0x80 and any
  other byte for itself; of equal ones in a row two stay, and of what comes out the first eight.
- What is not in the vocabulary is 2. A batch is padded with 0 in both inputs. A sentence of more than {longest} words
  is cut into as few pieces as there can be, of nearly equal length.

`golden.json` holds sentences with their ids, features, tags and probabilities to check against."""


def summary_of_tagger(config: ModelConfig) -> str:
    """What the card begins with."""
    labels = ", ".join(f"`{label}`" for label in config.labels)
    return (
        f"Tagger of words: {labels}. {config.parameter_count:,} parameters.\n\n"
        f"`model.onnx` (opset {config.opset}): {'; '.join(describe_inputs(config))} in, a sentence a row and a word a "
        f"position; {'; '.join(describe_outputs(config))} out: for each word a probability per tag, in the order above."
    )


def use_of_tagger(config: ModelConfig, words: WordsConfig) -> str:
    """How it is called, and how words become ids."""
    rule = _RULE.format(slots=", ".join(f"`{slot}`" for slot in words.features), longest=words.max_length)
    return (
        "## Use\n\nIn this directory:\n\n"
        "```sh\nrnnx infer --model . file.txt\nrnnx infer --model . --conllu file.txt\n```\n\n"
        f"```python\n{embed_snippet(config, '.')}\n```\n\n{rule}\n\nWith onnxruntime alone:\n\n"
        f"```python\n{session_snippet(config)}\n```"
    )
