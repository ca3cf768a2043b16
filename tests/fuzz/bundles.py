"""Bundles of a few units, really trained and exported, for the fuzz suite to read with and to break.

`python -m tests.fuzz.bundles FOLDER` writes them once, for runs that shall not wait for TensorFlow: RNNX_FUZZ_BUNDLES
names the folder then.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from rnnx.datasets import Dataset, TaggedDataset, load_series
from tests.conftest import make_texts
from tests.sensors import oscillations, save
from tests.treebank import make_sentences

# Texts to labels; words to tags; numbers to labels; numbers to numbers; ids to tags.
NAMES = ("texts", "words", "series", "sensor", "ids")
_UNITS = 4


def make_bundles(folder: Path) -> None:
    """Trains and exports one of each kind into a folder, which is made; takes half a minute."""
    from rnnx.export.pipeline import export
    from tests.streams import bare_networks

    folder.mkdir(parents=True, exist_ok=True)
    _train_texts(folder / "runs" / "texts")
    _train_words(folder / "runs" / "words")
    _train_series(folder / "runs" / "series")
    for name in ("texts", "words", "series"):
        export(folder / "runs" / name, folder / name, streaming=name == "texts")
    networks = bare_networks()
    for name, network in (("sensor", "sensor"), ("ids", "tagger")):
        networks[network].save(folder / "runs" / f"{name}.keras")
        export(folder / "runs" / f"{name}.keras", folder / name, streaming=True)


def _train_texts(out: Path) -> None:
    from rnnx.train.fit import Observer
    from rnnx.train.run import train
    from tests.streams import forward_recipe

    recipe = dataclasses.replace(forward_recipe(), epochs=1)
    train(Dataset.from_pairs("tiny", make_texts(120, 1)), recipe, out, seed=3, observer=Observer())


def _train_words(out: Path) -> None:
    from keras import Input, Model, layers

    from rnnx.text.word_vocabulary import VocabularySize
    from rnnx.train.fit import Observer
    from rnnx.train.networks import TAGGER_FEATURES
    from rnnx.train.recipes import get_tagger_recipe
    from rnnx.train.run import train

    def build(word_count: int, vocabulary_size: int, tags: int) -> Any:
        ids = Input((None,), dtype="int32", name="ids")
        features = Input((None, len(TAGGER_FEATURES)), dtype="int32", name="features")
        words = layers.Embedding(word_count, _UNITS, mask_zero=True, name="words")
        y = layers.Embedding(vocabulary_size, 2, name="feature_values")(features)
        y = layers.Reshape((-1, 2 * len(TAGGER_FEATURES)), name="feature_row")(y)
        x = layers.Concatenate(name="both")([words(ids), y])
        x = layers.SimpleRNN(_UNITS, return_sequences=True, name="rnn")(x, mask=words.compute_mask(ids))
        return Model([ids, features], layers.Dense(tags, activation="softmax", name="probs")(x), name="tagger")

    recipe = get_tagger_recipe("tagger")
    recipe = dataclasses.replace(
        recipe,
        vocabulary_size=VocabularySize(words=30, features=40, least_word_count=1, least_feature_count=1),
        words=dataclasses.replace(recipe.words, max_length=8),
        build=build,
        epochs=1,
    )
    data = TaggedDataset.from_parts("tiny", make_sentences(60, 1), make_sentences(20, 2))
    train(data, recipe, out, seed=3, observer=Observer())


def _train_series(out: Path) -> None:
    from keras import Input, Model, layers

    from rnnx.train.fit import Observer
    from rnnx.train.recipes import get_series_recipe
    from rnnx.train.run import train

    def build(features: int, outputs: int, activation: str) -> Any:
        x, present = Input((None, features), name="x"), Input((None,), dtype="bool", name="present")
        y = layers.Bidirectional(layers.SimpleRNN(_UNITS), name="rnn")(x, mask=present)
        return Model([x, present], layers.Dense(outputs, activation=activation, name="probs")(y), name="series")

    out.parent.mkdir(parents=True, exist_ok=True)
    x, y = oscillations(60, 1, steps=8)
    data = load_series(str(save(out.parent / "series.npz", x=x, y=y)), "classification")
    recipe = dataclasses.replace(get_series_recipe("series"), build=build, epochs=1)
    train(data, recipe, out, seed=3, observer=Observer())


if __name__ == "__main__":
    make_bundles(Path(sys.argv[1]))
