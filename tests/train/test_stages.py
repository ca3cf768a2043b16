"""Tests the stages that unlabelled texts add before the epochs of the default recipe: teacher and language model."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.cli import run
from rnnx.datasets import Dataset, load_dataset
from rnnx.train import classification, language_model, teacher
from rnnx.train.checkpoint import checkpoint_place
from rnnx.train.fit import Observer
from rnnx.train.run import make_task, train
from rnnx.train.task import StageProgress
from tests.processes import start
from tests.texts import make_texts, tiny_recipe
from tests.trainings import DeathError, assert_same_run, dying, weights_of

pytestmark = pytest.mark.train

# The number of kills, over all stages; RNNX_KILLS=50 takes about ten minutes.
KILLS = int(os.environ.get("RNNX_KILLS", "2"))
# What a process has written in the middle of each stage: teacher, second epoch of the language model, epochs.
STAGES = ("a teacher judges", "language-model", "fit")

Capture = pytest.CaptureFixture[str]


def write_reviews(folder: Path, labelled: int, unlabelled: int) -> Path:
    """Writes a tree like the IMDB archive: four reviews of each film, and unlabelled reviews, the first one empty."""
    films: dict[str, list[str]] = {"neg": [], "pos": []}
    for i, (text, label) in enumerate(make_texts(labelled, 1)):
        place = folder / "train" / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{len(films[label])}_5.txt").write_bytes(text)
        films[label].append(f"http://www.imdb.com/title/tt{i // 4:07}/usercomments\n")
    for label, lines in films.items():
        (folder / "train" / f"urls_{label}.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "train" / "unsup").mkdir()
    for i, (text, _) in enumerate(make_texts(unlabelled, 3)):
        (folder / "train" / "unsup" / f"{i}_0.txt").write_bytes(text if i else b"")
    return folder


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("data") / "reviews", 160, 60)


@pytest.fixture(scope="module")
def whole(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains without an interruption and returns the run; read only."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(load_dataset(str(reviews)), tiny_recipe("default"), out, seed=3, observer=Observer())
    return out


def test_whole_films_are_held_out_and_unlabelled_texts_are_read(reviews: Path) -> None:
    data = load_dataset(str(reviews))
    task = make_task(data, tiny_recipe("default"), 3)
    assert task.counts == (144, 16), "a tenth of 160 reviews, four of each film"
    assert len(data.unlabelled) == 60
    assert task.prepare is not None
    without = make_task(dataclasses.replace(data, unlabelled=()), tiny_recipe("default"), 3)
    assert without.prepare is None
    article = make_task(data, tiny_recipe("article"), 3)
    assert (article.counts, article.prepare) == ((128, 32), None)


def dying_before(name: str, done: int) -> Observer:
    """Returns an observer that raises in a stage when the given amount of it is done."""

    def on_stage(p: StageProgress) -> None:
        if name in p.name and p.done == done:
            raise DeathError

    return Observer(on_stage=on_stage)


def test_crashes_in_every_stage_do_not_change_the_run(
    reviews: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = load_dataset(str(reviews)), tiny_recipe("default")
    asked: list[int] = []

    def judge(*args: object, **options: object) -> object:
        asked.append(1)
        return real(*args, **options)  # type: ignore[arg-type]  # the arguments are passed on unchanged

    real = teacher.judge
    monkeypatch.setattr(teacher, "judge", judge)
    # The language model has four batches of 64 texts in an epoch; it dies in the first epoch, and when both are done.
    for observer in (
        dying_before("teacher", 0),
        dying_before("language model", 2),
        dying_before("language model", 7),
        dying(1, 3),
        dying(2, None),
    ):
        with pytest.raises(DeathError):
            train(data, recipe, tmp_path / "run", seed=3, observer=observer)
    train(data, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert_same_run(whole, tmp_path / "run")
    assert asked == [1], "the probabilities of the teacher should be computed once"


def test_the_unlabelled_texts_change_the_weights(reviews: Path, whole: Path, tmp_path: Path) -> None:
    """Without them, or with others, the weights differ."""
    data, recipe = load_dataset(str(reviews)), tiny_recipe("default")
    for unlabelled in ((), [text for text, _ in make_texts(60, 4)]):
        out = tmp_path / f"run-{len(unlabelled)}"
        train(dataclasses.replace(data, unlabelled=unlabelled), recipe, out, seed=3, observer=Observer())
        assert weights_of(out) != weights_of(whole)


@pytest.mark.parametrize(
    "unlabelled", [[b""] * 3, [b"", b"...", b"zebra", *[b"a film"] * 7], [b"a wonderful film"], [b""] * 130]
)
def test_any_number_of_unlabelled_texts_is_enough(
    tiny_dataset: Dataset, tmp_path: Path, unlabelled: list[bytes]
) -> None:
    recipe = dataclasses.replace(tiny_recipe("default"), epochs=1, pretraining_epochs=1)
    data = dataclasses.replace(tiny_dataset, unlabelled=unlabelled)
    fitted = train(data, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert all(np.isfinite(weight).all() for weight in fitted.model.get_weights())
    assert np.isfinite(fitted.best.loss)


def test_three_labels_of_single_words_are_enough(tmp_path: Path) -> None:
    """No word is in two texts and no text has two words, so there is nothing to learn; training must not fail."""
    pairs = [(b"%s%d" % (label, i), label.decode()) for label in (b"a", b"b", b"c") for i in range(4)]
    data = dataclasses.replace(Dataset.from_pairs("d", pairs), unlabelled=[b"", b"other"])
    recipe = dataclasses.replace(tiny_recipe("default"), epochs=1)
    fitted = train(data, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert fitted.model.output_shape == (None, 3)
    assert all(np.isfinite(weight).all() for weight in fitted.model.get_weights())


@pytest.mark.parametrize("labels", [2, 3])
def test_label_ids_and_probabilities_have_the_same_loss(labels: int) -> None:
    """A label id is scored as probability 1 of that label; both are compared with the definition in float64."""
    rng = np.random.default_rng(1)
    ids = rng.integers(0, labels, (20, 1)).astype(np.int32)
    actual = rng.dirichlet(np.ones(labels), 20).astype(np.float32)
    soft = rng.dirichlet(np.ones(labels), 20).astype(np.float32)
    hard, right = np.eye(labels, dtype=np.float32)[ids[:, 0]], actual.argmax(axis=1)
    for expected, probs in ((ids, hard), (hard, hard), (soft, soft)):
        wanted = -(probs.astype(np.float64) * np.log(actual.astype(np.float64))).sum(axis=1)
        # With two labels, only the second has an output. Label ids always have one column.
        has_one_output = labels == 2
        told, given = actual[:, int(has_one_output) :], expected[:, int(has_one_output and expected.shape[1] > 1) :]
        losses = keras.ops.convert_to_numpy(classification._cross_entropy(given, told))
        # Keras clips probabilities to 1e-7 from 0 and 1. So -log is below 16, with an error of some units of 2^-24.
        np.testing.assert_allclose(losses, wanted, rtol=0, atol=1e-5)
        agrees = keras.ops.convert_to_numpy(classification._agree(given, told))
        assert agrees.tolist() == (probs.argmax(axis=1) == right).tolist()


@pytest.mark.parametrize("is_first", [True, False])
def test_ctrl_c_in_a_stage_reports_what_is_kept(
    reviews: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    if is_first:
        monkeypatch.setattr(teacher, "judge", interrupt)
    else:
        monkeypatch.setattr(language_model.LanguageModel, "draw", interrupt)
    assert run(["train", str(reviews), "--out", str(tmp_path / "run")]) == 130
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith(("before", "warning", "error"))]
    place = checkpoint_place(tmp_path / "run")
    assert told == [
        f"warning: {reviews}: 1 file without text (train/unsup/0_0.txt)",
        "before the epochs: a teacher judges the unlabelled texts",
        "warning: stopped before the first checkpoint; nothing is kept, and the same command begins again"
        if is_first
        else f"warning: stopped before the end of an epoch; the same command continues from {place}",
        "error: interrupted",
    ]
    assert place.exists() != is_first
    assert not (tmp_path / "run").exists()


def is_in(stage: str, place: Path, log: Path) -> bool:
    """Tells whether a process has reached the given stage."""
    if stage not in ("language-model", "fit"):
        return stage in log.read_text(encoding="utf-8")
    index = place / "checkpoint.json"
    return index.exists() and stage in json.loads(index.read_bytes())["stages"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork")
def test_kills_in_every_stage_do_not_change_the_run(tmp_path: Path) -> None:
    """`rnnx train` gets SIGKILL in each stage in turn; after a kill in all three, one training may finish."""
    data = write_reviews(tmp_path / "reviews", 400, 200)
    arguments = [str(data), "--epochs", "4", "--out"]
    start(["--help"], tmp_path / "help.log").join()  # this starts the server that later trainings fork from
    first = start(["train", *arguments, str(tmp_path / "whole")], tmp_path / "whole.log")
    first.join()
    assert first.exitcode == 0, (tmp_path / "whole.log").read_text(encoding="utf-8")
    rng = np.random.default_rng(11)
    hits = dict.fromkeys(STAGES, 0)
    place = checkpoint_place(tmp_path / "run")
    while sum(hits.values()) < KILLS:
        for stage in STAGES:
            log = tmp_path / "run.log"
            log.write_text("", encoding="utf-8")
            process = start(["train", *arguments, str(tmp_path / "run")], log)
            while process.is_alive() and not is_in(stage, place, log):
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
            process.join()
            assert process.exitcode in (0, -9), log.read_text(encoding="utf-8")
            hits[stage] += process.exitcode == -9
        last = start(["train", *arguments, str(tmp_path / "run")], tmp_path / "last.log")
        last.join()
        assert last.exitcode == 0, (tmp_path / "last.log").read_text(encoding="utf-8")
        assert_same_run(tmp_path / "whole", tmp_path / "run")
        assert not place.exists()
    print(hits)  # noqa: T201
    assert all(hits.values())
