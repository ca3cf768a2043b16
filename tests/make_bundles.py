"""Makes the committed bundles of `tests/data/bundles`: a few units each, really trained and exported.

`python -m tests.make_bundles` writes them again; it needs the [train] extra and takes half a minute. Tests that read a
bundle, or damage a copy of one, use these and so need no TensorFlow. Run it after a change to the files of a bundle.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from rnnx.bundle.directory import read_directory, write_directory
from rnnx.datasets import TaggedDataset, load_series
from tests.sensors import oscillations, save
from tests.texts import tiny_dataset
from tests.treebank import make_sentences

BUNDLES = Path(__file__).parent / "data" / "bundles"
# Two text classifiers by their recipes, and a third that streams; then networks from words to tags, from numbers to
# labels, from numbers to numbers, from ids to tags, and from ids to all states of a layer.
NAMES = ("article", "default", "texts", "words", "series", "sensor", "ids", "states")
# A text classifier that rnnx exported before it stored integers of 16 bits as bytes. It stays as it is: 320 Chinese
# characters, so that every table of its tokenizer that can need 16 bits does.
EARLIER = "earlier"
_UNITS = 4
# Plots are for people; no test reads the plots of these bundles.
_LEFT_OUT = (".png",)


def make_bundles(folder: Path) -> None:
    """Trains and exports a bundle of each name into a folder, and replaces what it holds."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            exported = _export(name, Path(scratch))
            bundle = read_directory(exported)
            files = {file: data for file, data in bundle.files.items() if not file.endswith(_LEFT_OUT)}
            write_directory(folder / name, dataclasses.replace(bundle.config, files={}), files)


def _export(name: str, scratch: Path) -> Path:
    from rnnx.export.pipeline import export

    trainings = {"texts": _train_texts, "words": _train_words, "series": _train_series}
    if name in ("sensor", "ids", "states"):
        from tests.streams import bare_networks

        source = scratch / f"{name}.keras"
        bare_networks()[name].save(source)
    else:
        source = scratch / "runs" / name
        trainings.get(name, _train_recipe)(source)
    return export(source, scratch / "bundles" / name, streaming=name in ("texts", "sensor", "ids", "states")).path


def _train_recipe(out: Path) -> None:
    from rnnx.train.fit import Observer
    from rnnx.train.run import train
    from tests.texts import tiny_recipe

    train(tiny_dataset(), tiny_recipe(out.name), out, seed=3, observer=Observer())


def _train_texts(out: Path) -> None:
    from rnnx.train.fit import Observer
    from rnnx.train.run import train
    from tests.streams import forward_recipe

    train(tiny_dataset(), forward_recipe(), out, seed=3, observer=Observer())


def _train_words(out: Path) -> None:
    from keras import Input, Model, layers

    from rnnx.text.word_vocabulary import VocabularySize
    from rnnx.train.fit import Observer
    from rnnx.train.networks import TAGGER_FEATURES
    from rnnx.train.recipes import TAGGER
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

    recipe = dataclasses.replace(
        TAGGER,
        vocabulary_size=VocabularySize(words=30, features=40, least_word_count=1, least_feature_count=1),
        words=dataclasses.replace(TAGGER.words, max_length=8, rule="bytes"),
        build=build,
        epochs=1,
    )
    data = TaggedDataset.from_parts("tiny", make_sentences(60, 1), make_sentences(20, 2))
    train(data, recipe, out, seed=3, observer=Observer())


def _train_series(out: Path) -> None:
    from keras import Input, Model, layers

    from rnnx.train.fit import Observer
    from rnnx.train.recipes import SERIES
    from rnnx.train.run import train

    def build(features: int, outputs: int, activation: str) -> Any:
        x, present = Input((None, features), name="x"), Input((None,), dtype="bool", name="present")
        y = layers.Bidirectional(layers.SimpleRNN(_UNITS), name="rnn")(x, mask=present)
        return Model([x, present], layers.Dense(outputs, activation=activation, name="probs")(y), name="series")

    out.parent.mkdir(parents=True, exist_ok=True)
    x, y = oscillations(60, 1, steps=8)
    data = load_series(str(save(out.parent / "series.npz", x=x, y=y)), "classification")
    recipe = dataclasses.replace(SERIES, build=build, epochs=1)
    train(data, recipe, out, seed=3, observer=Observer())


if __name__ == "__main__":
    make_bundles(BUNDLES)
