"""Makes a training run from a text classifier with another rule of the tokenizer, and measures what that changes.

The weights stay. Words of the vocabulary that the new rule cannot find are left out, with their rows of the embedding,
which no text could reach; the other words are numbered again in their order. Samples are recorded anew, on texts that
the training held out. `rnnx export` makes a bundle of the run. The figures are those of the held-out part alone.

    python -m bench.training.change_rule BUNDLE RUN --data-dir FOLDER [--rule unicode-14]
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np

from rnnx.bundle.config import TextRuleName, TokenizerConfig, TrainingConfig, tool_versions
from rnnx.bundle.directory import (
    CURVES_NAME,
    HISTORY_NAME,
    KERAS_NAME,
    METRICS_NAME,
    SAMPLES_NAME,
    VOCABULARY_NAME,
    Directory,
    read_directory,
    write_directory,
)
from rnnx.bundle.find_model import find_directory
from rnnx.datasets import Examples, load_dataset, split_by_group
from rnnx.keras_models.describe import describe
from rnnx.keras_models.load_model import load_keras
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.classification import record_samples
from rnnx.train.recipes import RECIPES, TextRecipe
from rnnx.train.run import keras_bytes

_EMBEDDING = "embedding"


def shorten_vocabulary(vocabulary: Vocabulary, config: TokenizerConfig) -> tuple[Vocabulary, list[int]]:
    """Leaves out the words that the rule of a config does not find.

    Returns:
        The vocabulary, and the old id of each of its tokens.
    """
    rule, first = find_rule(config), len(SPECIAL_TOKENS)
    kept = [i for i in range(first, len(vocabulary)) if rule.find_wrong([vocabulary.tokens[i]]) is None]
    ids = [*range(first), *kept]
    return Vocabulary([vocabulary.tokens[i] for i in ids], rule), ids


def keep_rows(model: keras.Model, ids: list[int]) -> keras.Model:
    """Returns the same network whose embedding has only the rows of some ids, in their order."""
    document = model.get_config()
    for layer in document["layers"]:
        if layer["config"].get("name") == _EMBEDDING:
            layer["config"]["input_dim"] = len(ids)
    changed = type(model).from_config(document)
    for layer, old in zip(changed.layers, model.layers, strict=True):
        weights = old.get_weights()
        layer.set_weights([weights[0][ids]] if old.name == _EMBEDDING else weights)
    return changed


def held_out(bundle: Directory, data_dir: Path | None) -> Examples:
    """Returns the texts that the training of a bundle held out."""
    training = bundle.config.training
    recipe = RECIPES[training.recipe] if training else None
    if not isinstance(training, TrainingConfig) or not isinstance(recipe, TextRecipe):
        raise SystemExit(f"{bundle.path}: not a text classifier that rnnx trained")
    train = load_dataset(training.dataset, data_dir=data_dir).train
    part = split_by_group(train, recipe.validation_fraction, training.seed)[1]
    if len(part) != training.validation_count:
        raise SystemExit(f"{len(part)} texts were held out, not {training.validation_count} as in {bundle.path}")
    return part


def measure(model: keras.Model, tokenizer: Tokenizer, part: Examples) -> float:
    """Returns the accuracy of a network with one output on some texts."""
    rows = [tokenizer.encode(text).ids for text in part.texts]
    order, right = sorted(range(len(rows)), key=lambda i: len(rows[i])), 0
    for start in range(0, len(order), 128):
        batch = order[start : start + 128]
        probs = np.asarray(model.predict_on_batch(tokenizer.pad([rows[i] for i in batch])))[:, 0]
        right += int(np.sum((probs > 0.5) == part.label_ids[batch]))
    return right / len(rows)


def main() -> None:
    """Writes the run and prints the accuracy on the held-out part, before and after."""
    parser = argparse.ArgumentParser(description="Gives a text classifier another rule of the tokenizer.")
    parser.add_argument("bundle", help="the name of a shipped model, or the path of a bundle")
    parser.add_argument("run", type=Path, help="the folder of the run to write")
    parser.add_argument("--data-dir", type=Path, help="the folder of the reviews; without it they are downloaded")
    parser.add_argument("--rule", choices=["bytes", "unicode-14"], default="unicode-14", help="the new rule")
    arguments = parser.parse_args()
    bundle = read_directory(find_directory(arguments.bundle))
    old_config, rule = bundle.config.tokenizer, arguments.rule
    if old_config is None:
        raise SystemExit(f"{bundle.path}: reads no texts")
    part, old_model = held_out(bundle, arguments.data_dir), load_keras(bundle[KERAS_NAME], str(bundle.path))
    old = Tokenizer(old_config, Vocabulary.from_bytes(bundle[VOCABULARY_NAME], find_rule(old_config)))
    new_config = _with_rule(old_config, rule)
    vocabulary, ids = shorten_vocabulary(old.vocabulary, new_config)
    new, model = Tokenizer(new_config, vocabulary), keep_rows(old_model, ids)
    print(f"{len(old.vocabulary) - len(vocabulary)} words are left out")
    print(f"held-out accuracy {measure(old_model, old, part):.4f} before, {measure(model, new, part):.4f} after")
    config = dataclasses.replace(
        bundle.config,
        tokenizer=new_config,
        vocabulary_size=len(vocabulary),
        architecture=describe(model),
        parameter_count=int(model.count_params()),
        tools=tool_versions("keras", "tensorflow", "numpy"),
        files={},
        opset=None,
        recurrent_units=None,
        collects_states=False,
        inputs=(),
        outputs=(),
    )
    seed = bundle.config.training.seed if bundle.config.training else 0
    files = {name: bundle[name] for name in (HISTORY_NAME, METRICS_NAME, CURVES_NAME)}
    files[KERAS_NAME] = keras_bytes(model)
    files[VOCABULARY_NAME] = vocabulary.to_bytes()
    files[SAMPLES_NAME] = record_samples(model, new, part, config.labels, seed)
    write_directory(arguments.run, config, files)


def _with_rule(config: TokenizerConfig, rule: TextRuleName) -> TokenizerConfig:
    return dataclasses.replace(config, rule=rule)


if __name__ == "__main__":
    main()
