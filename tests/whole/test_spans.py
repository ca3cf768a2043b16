"""Tests a tagger of names from the file to the figures: training, export, inference, evaluation and card."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.bundle.front_matter import without_front_matter
from rnnx.cli import run
from rnnx.datasets import Columns, load_sentences
from rnnx.infer.predictions import Tagging
from rnnx.infer.predictor import Predictor
from rnnx.text.word_vocabulary import VocabularySize
from rnnx.train.fit import Observer, fit
from rnnx.train.recipes import TAGGER, TaggerRecipe
from rnnx.train.run import make_task, train
from tests.conversions import shared
from tests.names import make_names, to_columns, write_names
from tests.treebank import make_sentences

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]
TEXT = "Émile Öztürk left New York. Anna knows Köln."


def small_tagger(epochs: int) -> TaggerRecipe:
    return dataclasses.replace(
        TAGGER,
        vocabulary_size=VocabularySize(words=40, features=200, least_word_count=1, least_feature_count=1),
        epochs=epochs,
        batch_size=16,
    )


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_names(tmp_path_factory.mktemp("names"))


@pytest.fixture(scope="module")
def names_run(names: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "names"
    fitted = train(load_sentences(str(names)), small_tagger(8), out, seed=3, observer=Observer())
    assert fitted.span_f1 is not None
    assert fitted.span_f1 >= 0.95
    return out


@pytest.fixture(scope="module")
def bundle(names_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("bundles") / "names"
    with shared():
        assert run(["export", str(names_run), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tagger(bundle: Path) -> Predictor:
    return rnnx.load(bundle)


def tag_text(predictor: Predictor, text: str | bytes) -> Tagging:
    (answer,) = predictor.predict([text])
    assert isinstance(answer, Tagging)
    return answer


def test_the_run_holds_the_f1_of_the_held_out_spans(names_run: Path) -> None:
    directory = read_directory(names_run)
    metrics = json.loads(directory["metrics.json"])
    assert 0.95 <= metrics["validation_span_f1"] <= 1
    history = json.loads(directory["history.json"])
    assert metrics["validation_span_f1"] == max(epoch["validation_span_f1"] for epoch in history)
    assert directory.config.words is not None
    assert directory.config.words.tag_column == "2"


def test_the_epoch_with_the_best_spans_is_kept(names: Path) -> None:
    """All tags are right in each epoch, and the loss is lowest in the last; the spans are said to be best before."""
    found = iter([0.1, 0.8, 0.5])
    task = make_task(load_sentences(str(names)), small_tagger(3), 3)
    fitted = fit(dataclasses.replace(task, measure_spans=lambda model: next(found)), seed=3, observer=Observer())
    assert [epoch.validation_span_f1 for epoch in fitted.history] == [0.1, 0.8, 0.5]
    assert max(fitted.history, key=lambda epoch: (epoch.validation_score, -epoch.validation_loss)).epoch == 3
    assert (fitted.best.epoch, fitted.span_f1) == (2, 0.8)


def test_names_are_found_in_a_text_with_their_places_in_its_characters(tagger: Predictor) -> None:
    tagging = tag_text(tagger, TEXT)
    spans = tagging.spans
    assert spans is not None
    assert [(span.text, span.label, span.sentence) for span in spans] == [
        ("Émile Öztürk", "PER", 0),
        ("New York", "LOC", 0),
        ("Anna", "PER", 1),
        ("Köln", "LOC", 1),
    ]
    assert [TEXT[span.start : span.end] for span in spans] == [span.text for span in spans]
    for span in spans:
        words = tagging.sentences[span.sentence][span.first : span.last + 1]
        assert span.probability == min(word.probability for word in words)
    in_bytes = tag_text(tagger, TEXT.encode()).spans
    assert in_bytes is not None
    assert [TEXT.encode()[span.start : span.end].decode() for span in in_bytes] == [span.text for span in spans]


def test_names_are_found_in_given_words(tagger: Predictor) -> None:
    tagging = tagger.tag(["Anna", "Weber", "left", "New", "York", "."])
    assert tagging.spans is not None
    assert [(span.text, span.label, span.start, span.end) for span in tagging.spans] == [
        ("Anna Weber", "PER", None, None),
        ("New York", "LOC", None, None),
    ]


def test_rows_and_json_show_the_spans(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    assert run(["infer", "--model", str(bundle), str(tmp_path / "a.txt")]) == 0
    rows = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]
    assert [(*row[:3], *row[4:]) for row in rows] == [
        ("1", "Émile Öztürk", "PER", "0", "12"),
        ("1", "New York", "LOC", "18", "26"),
        ("2", "Anna", "PER", "28", "32"),
        ("2", "Köln", "LOC", "39", "43"),
    ]
    assert run(["infer", "--model", str(bundle), "--jsonl", str(tmp_path / "a.txt")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [TEXT[span["start"] : span["end"]] for span in answer["spans"]] == [span["text"] for span in answer["spans"]]
    assert [TEXT[word["start"] : word["end"]] for word in answer["words"]] == [word["word"] for word in answer["words"]]
    assert answer["spans"][0].keys() == {"text", "label", "probability", "sentence", "start", "end"}


def test_a_file_of_words_is_read_sentence_by_sentence(bundle: Path, names: Path, capsys: Capture) -> None:
    assert run(["infer", "--model", str(bundle), "--jsonl", str(names.with_name("own-test.conll"))]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sentences = make_names(30, 3)
    assert [[word["word"] for word in answer["words"]] for answer in answers] == [
        [word.decode() for word in sentence.words] for sentence in sentences
    ]
    lines = [1]
    for sentence in sentences[:-1]:
        lines.append(lines[-1] + len(sentence.words) + 1)
    assert [answer["line"] for answer in answers] == lines


def test_spans_have_no_column_in_conllu(bundle: Path, names: Path, capsys: Capture) -> None:
    assert run(["infer", "--model", str(bundle), "--conllu", str(names)]) == 2
    assert capsys.readouterr().err == f"error: --conllu is for parts of speech; {bundle} finds spans: use --jsonl\n"


def test_the_figures_count_spans_and_words(bundle: Path, names: Path, capsys: Capture) -> None:
    assert run(["evaluate", str(bundle), str(names), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    tags = [tag for sentence in make_names(30, 3) for tag in sentence.tags]
    assert figures["count"] == len(tags)
    assert list(figures["spans"]["labels"]) == ["LOC", "PER"]
    assert figures["spans"]["labels"]["LOC"]["support"] == tags.count("B-LOC")
    assert figures["spans"]["micro"]["f1"] >= 0.95
    mean = sum(metrics["f1"] for metrics in figures["spans"]["labels"].values()) / 2
    assert figures["spans"]["macro"]["f1"] == pytest.approx(mean)


def test_a_label_that_the_model_does_not_know_is_one_that_it_does_not_find(
    bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(to_columns(make_names(20, 5)).replace(b"-LOC", b"-TOWN"))
    assert run(["evaluate", str(bundle), str(path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["spans"]["labels"]
    assert (figures["TOWN"]["f1"], figures["LOC"]["precision"]) == (0.0, 0.0)
    assert figures["PER"]["f1"] >= 0.95


def test_the_card_and_info_show_the_spans(bundle: Path, names: Path, capsys: Capture) -> None:
    assert run(["evaluate", str(bundle), str(names), "--save"]) == 0
    out = capsys.readouterr().out
    assert "\nall, micro average\t" in out
    assert "\nPER\t" in out
    card = without_front_matter(read_directory(bundle)["README.md"].decode())
    assert card.startswith("# own-tagger\n\nTagger of spans: `LOC`, `PER`, from the tags `B-LOC`, `B-PER`, `I-LOC`, ")
    assert "F1 of the spans: **" in card
    assert "`rnnx evaluate own-tagger own-train.conll --save`" in card
    assert run(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "\nspans\tLOC, PER\n" in out
    assert "\ntags\tfrom column 2\n" in out
    assert '.predict(["A text."])[0].spans])' in out


def test_another_column_of_a_treebank_goes_the_whole_way(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "own.conllu"
    lines = []
    for sentence in make_sentences(60, 1):
        for i, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), 1):
            lines.append(b"\t".join([b"%d" % i, word, b"_", b"X", tag.lower().encode(), *[b"_"] * 5]))
        lines.append(b"")
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    data = load_sentences(str(path), columns=Columns(tag="xpos"))
    train(data, small_tagger(4), tmp_path / "run", seed=3, observer=Observer())
    with shared():
        assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "own")]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(tmp_path / "own"), str(path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures["labels"]) == ["adj", "det", "noun", "punct", "verb"]
    assert "spans" not in figures
    assert figures["accuracy"] >= 0.9
    assert run(["infer", "--model", str(tmp_path / "own"), "--conllu", str(path)]) == 0
    written = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line]
    original = [line.decode().split("\t") for line in lines if line]
    assert [[*row[:4], *row[5:]] for row in written] == [[*row[:4], *row[5:]] for row in original]
    right = [row[4] == expected[4] for row, expected in zip(written, original, strict=True)]
    assert sum(right) / len(right) == pytest.approx(figures["accuracy"])
    assert tag_text(rnnx.load(tmp_path / "own"), "The cat.").spans is None


def test_the_commands_say_what_they_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_names(tmp_path, (40, 10, 10))
    assert run(["train", str(path), "--out", str(tmp_path / "run"), "--epochs", "1"]) == 0
    captured = capfd.readouterr()
    assert f"{path}: words in column 1, tags in column 2 of 2\n" in captured.err
    assert f"{path}: tags of spans, scheme BIO\n" in captured.err
    assert "labels B-LOC, B-PER, I-LOC, I-PER, O; recipe tagger" in captured.err
    assert "\nvalidation_span_f1\t" in captured.out
