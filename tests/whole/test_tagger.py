"""Tests a tagger of words from the treebank to the figures: training, export, inference and evaluation."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import rnnx
from rnnx.bundle.directory import read_directory, write_directory
from rnnx.bundle.samples import tagged_samples_from_json
from rnnx.cli import run
from rnnx.datasets import TaggedDataset
from rnnx.datasets.conllu import read_conllu
from rnnx.errors import DataError, ModelError, ParityError
from rnnx.export.source import open_source, renamed
from rnnx.infer.predictions import Tagging
from rnnx.infer.predictor import Predictor
from rnnx.runtime.session import Session
from rnnx.text.ids import read_id_encoder
from rnnx.text.word_encoder import WordEncoder, WordIds
from rnnx.text.word_vocabulary import VocabularySize
from rnnx.train.fit import Observer
from rnnx.train.recipes import TAGGER
from rnnx.train.run import train
from tests.conversions import export, shared
from tests.mutations import change, exports_after
from tests.processes import imported_by
from tests.treebank import make_sentences, to_conllu

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]
TEST = make_sentences(30, 3)
TEXT = "The small café walked! Every runner\u00a0sees the cat.\n\nA café\tjumped"


@pytest.fixture(scope="module")
def tagger_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "tagger"
    recipe = dataclasses.replace(
        TAGGER,
        # Endings tell of what stands but once or twice.
        vocabulary_size=VocabularySize(words=30, features=200, least_word_count=1, least_feature_count=1),
        words=dataclasses.replace(TAGGER.words, max_length=20, rule="bytes"),
        epochs=6,
        batch_size=16,
    )
    data = TaggedDataset.from_parts("own-ud", make_sentences(160, 1), make_sentences(40, 2))
    train(data, recipe, out, seed=3, observer=Observer())
    return out


@pytest.fixture(scope="module")
def bundle(tagger_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("bundles") / "own"
    with shared():
        assert run(["export", str(tagger_run), "--out", str(out), "--name", "own"]) == 0
    return out


@pytest.fixture(scope="module")
def tagger(bundle: Path) -> Predictor:
    return rnnx.load(bundle)


@pytest.fixture
def run_copy(tagger_run: Path, tmp_path: Path) -> Path:
    """Copies a run, so that a test can damage it."""
    return Path(shutil.copytree(tagger_run, tmp_path / "run"))


def tag(tagger: Predictor, *items: Any) -> list[Tagging]:
    given: Any = items
    return [tagging for tagging in tagger.predict(given) if isinstance(tagging, Tagging)]


def write(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def test_a_bundle_is_complete_and_proved(bundle: Path) -> None:
    read = read_directory(bundle)
    assert read.config.name == "own"
    assert read.config.words is not None
    assert [entry.name for entry in read.config.inputs] == ["ids", "features"]
    assert {"model.onnx", "model.batch.onnx", "golden.json", "vocabulary.txt", "parity.json"} <= read.files.keys()
    assert "model.text.onnx" not in read.files
    parity = json.loads(read["parity.json"])
    assert parity["verdict"].startswith("proved: on 40 sentences and ")
    ways = {way["way"] for way in parity["invariance"]}
    assert {"each row without its padding", "more padding in front", "more padding at the end"} <= ways
    card = read["README.md"].decode()
    assert "Tagger of words: `ADJ`, `DET`" in card
    assert "`SUFFIX3` is the last three characters" in card
    assert "`rnnx train own-ud-train.conllu --recipe tagger --seed 3`: 160 sentences, and 40 more" in card


def test_golden_json_can_be_reproduced_from_the_files(bundle: Path) -> None:
    """A program in any language can do this: words to ids by the vocabulary, and ids to tags by the ONNX file."""
    read = read_directory(bundle)
    encoder = read_id_encoder(read)
    assert isinstance(encoder, WordEncoder)
    session = Session(read["model.onnx"], device="cpu")
    rows = json.loads(read["golden.json"])
    assert len(rows) > 20
    for row in rows:
        words = [bytes.fromhex(word) for word in row["bytes"]]
        assert row["words"] == [word.decode("utf-8", "replace") for word in words]
        encoded = encoder.encode(words)
        assert encoded.ids.tolist() == row["ids"]
        assert encoded.features.tolist() == row["features"]
        probs = session.run({"ids": encoded.ids[None], "features": encoded.features[None]})[0][0]
        assert [read.config.labels[i] for i in probs.argmax(axis=-1)] == row["tags"]
        np.testing.assert_allclose(probs.max(axis=-1), row["probabilities"], atol=1e-5)
    # A later export must reproduce these samples.
    assert len(tagged_samples_from_json(read["golden.json"])) == len(rows)


def test_a_bundle_can_be_exported_again(bundle: Path, tmp_path: Path) -> None:
    again = read_directory(export(bundle, tmp_path / "again").path)
    assert again["golden.json"] == read_directory(bundle)["golden.json"]


def test_verify_proves_the_files_and_checks_the_vocabulary(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    swap_words(copy)
    with shared():
        assert run(["verify", str(bundle)]) == 0
        assert capsys.readouterr().out.count("verified: ") == 2
        assert run(["verify", str(copy)]) == 4
    assert "is not the vocabulary with which the file was exported" in capsys.readouterr().err


def test_info_shows_what_the_tagger_reads(bundle: Path, capsys: Capture) -> None:
    assert run(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "words\tthemselves and SUFFIX1, " in out
    assert "input\tfeatures int32 (batch, time, 8), 0 to " in out
    assert "training\trecipe tagger on own-ud, 160 sentences, seed 3" in out


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Replaces a file of a bundle or run, and updates its hash."""
    read = read_directory(folder)
    write_directory(folder, read.config, {**read.files, name: data})


def swap_words(folder: Path) -> None:
    """Swaps two words in the vocabulary, and so their ids."""
    lines = read_directory(folder)["vocabulary.txt"].splitlines(keepends=True)
    lines[3], lines[4] = lines[4], lines[3]
    rewrite(folder, "vocabulary.txt", b"".join(lines))


def roll_features(folder: Path) -> None:
    """Moves the first feature to the end, so that all features get other ids."""
    lines = read_directory(folder)["vocabulary.txt"].splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b"=" in line)
    rewrite(folder, "vocabulary.txt", b"".join([*lines[:first], *lines[first + 1 :], lines[first]]))


def swap_tags(folder: Path) -> None:
    read = read_directory(folder)
    first, second, *others = read.config.labels
    write_directory(folder, dataclasses.replace(read.config, labels=(second, first, *others)), read.files)


def swap_slots(folder: Path) -> None:
    read = read_directory(folder)
    assert read.config.words is not None
    words = dataclasses.replace(read.config.words, features=read.config.words.features[::-1])
    write_directory(folder, dataclasses.replace(read.config, words=words), read.files)


@pytest.mark.parametrize("mutate", [swap_words, roll_features, swap_tags, swap_slots])
def test_another_reading_of_words_or_tags_is_found(mutate: Any, run_copy: Path) -> None:
    drift = 1e-5  # Keras itself differs by less than this
    assert open_source(run_copy).recorded_problems(drift) == []
    mutate(run_copy)
    assert open_source(run_copy).recorded_problems(drift)


def test_another_reading_is_not_published(run_copy: Path, tmp_path: Path) -> None:
    roll_features(run_copy)
    with pytest.raises(ParityError, match=r"word \d+ of sentence \d+ was recorded as .*nothing was published"):
        export(run_copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("rows", "form"), [("words", "model.onnx"), ("features", "model.batch.onnx")])
def test_shifted_ids_in_the_graph_are_not_published(rows: str, form: str, tagger_run: Path, tmp_path: Path) -> None:
    source = open_source(tagger_run)
    size = {entry.name: entry.size for entry in source.network.inputs}["ids" if rows == "words" else "features"]

    def shift(model: Any) -> None:
        (table,) = (t for t in model.graph.initializer if len(t.dims) == 2 and t.dims[0] == size)
        change(table, lambda values: np.roll(values, 1, axis=0))

    with pytest.raises(ParityError, match=f"{form}.*nothing was published"):
        exports_after(shift, tagger_run, tmp_path / "out", form)


def test_a_network_that_reads_other_ids_is_refused(run_copy: Path) -> None:
    read = read_directory(run_copy)
    assert read.config.words is not None
    words = dataclasses.replace(read.config.words, features=read.config.words.features[1:])
    write_directory(run_copy, dataclasses.replace(read.config, words=words), read.files)
    with pytest.raises(ModelError, match=r"its words become ids .* features \(None, 7\) .*but its network reads"):
        open_source(run_copy)


def test_an_invalid_name_is_refused(tagger_run: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["export", str(tagger_run), "--name", "/", "--out", str(tmp_path / "out")]) == 2
    assert "name should consist of letters" in capfd.readouterr().err
    assert renamed(open_source(tagger_run), "mine").config.name == "mine"


def test_each_word_has_its_place_in_the_text(tagger: Predictor) -> None:
    for text in (TEXT, TEXT.encode()):
        (tagging,) = tag(tagger, text)
        for word in tagging.words:
            part = text[word.start : word.end]
            assert (part if isinstance(part, str) else part.decode()) == word.word
    (tagging,) = tag(tagger, TEXT)
    assert [[word.word for word in sentence] for sentence in tagging.sentences] == [
        ["The", "small", "café", "walked", "!"],
        ["Every", "runner", "sees", "the", "cat", "."],
        ["A", "café", "jumped"],
    ]
    assert [word.tag for word in tagging.sentences[0]] == ["DET", "ADJ", "NOUN", "VERB", "PUNCT"]
    assert all(0.2 < word.probability <= 1 for word in tagging.words)


def test_bytes_that_are_not_utf8_are_tagged_as_words(tagger: Predictor) -> None:
    escaped = b"the caf\xe9 sees \xff".decode("utf-8", "surrogateescape")
    (tagging,) = tag(tagger, "é " + escaped)
    assert [word.word for word in tagging.words] == ["é", "the", "caf\udce9", "sees", "\udcff"]
    assert [word.start for word in tagging.words] == [0, 2, 6, 11, 16]


def test_sentences_may_come_as_words(tagger: Predictor) -> None:
    words = list(TEST[0].words)
    expected = [word.tag for word in tagger.tag(words).words]
    assert expected == list(TEST[0].tags)
    given, text = tag(tagger, [word.decode() for word in words], b" ".join(words))
    assert [(w.word, w.tag, w.start) for w in given.words] == [
        (word.decode(), tag_, None) for word, tag_ in zip(words, expected, strict=True)
    ]
    assert text.tokens == len(words)
    assert tag(tagger, "", [], "\n \n") == [Tagging(())] * 3


@pytest.mark.parametrize("item", [3, None, ["a", ""], ["a", 3], {"a": 1}, [["a"]]])
def test_an_item_that_is_neither_text_nor_words_is_refused(item: Any, tagger: Predictor) -> None:
    with pytest.raises(DataError, match=r"model own reads texts, or sentences as lists of words; item 1 is neither"):
        tagger.predict(["a", item])


def test_a_single_text_is_a_type_error(tagger: Predictor) -> None:
    for ask in (tagger.predict, tagger.tag):
        with pytest.raises(TypeError):
            ask("the cat")
    with pytest.raises(ModelError, match="does not tag words"):
        rnnx.load("imdb").tag(["a"])


def test_batches_windows_and_threads_do_not_change_the_tags(bundle: Path) -> None:
    sentences = [words for words in (list(s.words) for s in make_sentences(80, 9)) for _ in range(2)]
    texts = [b" ".join(words) for words in sentences]
    expected = [[word.tag for word in tagging.words] for tagging in tag(rnnx.load(bundle, threads=1), *texts)]
    predictor = rnnx.load(bundle, batch_size=3, threads=4)
    predictor.window = 7  # so the texts do not fit into one window
    answers = tag(predictor, *texts)
    assert [[word.tag for word in tagging.words] for tagging in answers] == expected
    assert [tagging.tokens for tagging in answers] == list(map(len, sentences))


def test_a_long_sentence_is_split_as_in_training(bundle: Path, tagger: Predictor) -> None:
    read = read_directory(bundle)
    encoder = read_id_encoder(read)
    assert isinstance(encoder, WordEncoder)
    words = [word for sentence in make_sentences(12, 4) for word in sentence.words][:50]
    tagging = tagger.tag(words)
    assert len(tagging.sentences) == 1
    assert tagging.tokens == 50
    parts = [words[0:16], words[16:33], words[33:50]]  # three pieces of at most 20 words
    expected = [word.probability for part in parts for word in tagger.tag(part).words]
    np.testing.assert_allclose(expected, [word.probability for word in tagging.words], atol=1e-5)
    (text,) = tag(tagger, b" ".join(word for word in words if word not in b".!"))
    assert len(text.sentences) == 1


def test_padding_gets_no_tags(tagger: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    pad = WordEncoder.pad

    def padded(self: WordEncoder, rows: Any) -> WordIds:
        seen.append(pad(self, rows).ids.shape)
        return pad(self, rows)

    monkeypatch.setattr(WordEncoder, "pad", padded)
    short, long = tag(tagger, ["cat"], [word.decode() for word in TEST[1].words])
    assert seen == [(2, len(TEST[1].words))]
    assert (short.tokens, long.tokens) == (1, len(TEST[1].words))


def test_a_pipe_gets_a_line_for_each_word(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path, "a.txt", b"The cat sees. A cat walked.\n")
    assert run(["infer", "--model", str(bundle), file]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:4] for row in rows[2:6]] == [
        [file, "1", "sees", "VERB"],
        [file, "1", ".", "PUNCT"],
        [file, "2", "A", "DET"],
        [file, "2", "cat", "NOUN"],
    ]
    assert all(0 < float(row[4]) <= 1 for row in rows)
    assert run(["infer", "--model", str(bundle), "--lines", file, file]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[1:4] for row in rows[:1]] == [["1", "1", "The"]]


def test_json_is_one_document_with_the_promised_fields(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    file, bad = write(tmp_path, "a.txt", "A café. The cat\n".encode()), write(tmp_path, "b.txt", b"")
    assert run(["infer", "--model", str(bundle), "--json", file, bad]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert list(first) == ["source", "line", "status", "words", "tokens"]
    assert first["tokens"] == 5
    word = first["words"][1]
    assert list(word) == ["word", "tag", "probability", "sentence", "start", "end"]
    assert (word["word"], word["sentence"], word["start"], word["end"]) == ("café", 1, 2, 7)
    assert [word["sentence"] for word in first["words"]] == [1, 1, 1, 2, 2]
    assert second["status"] == "error"
    assert run(["infer", "--model", str(bundle), "--jsonl", "--lines", file, file]) == 0
    assert [json.loads(line)["line"] for line in capsys.readouterr().out.splitlines()] == [1, 1]


def test_conllu_written_for_texts_can_be_read_again(bundle: Path, tmp_path: Path, capsysbinary: Any) -> None:
    file = write(tmp_path, "a.txt", b"The cat doesn't see\tthe  caf\xc3\xa9. \xff!\n\nA cat\n")
    assert run(["infer", "--model", str(bundle), "--conllu", file, file]) == 0
    out = capsysbinary.readouterr().out
    assert out.startswith(
        b"# sent_id = 1\n# text = The cat doesn't see the caf\xc3\xa9.\n1\tThe\t_\tDET\t_\t_\t_\t_\t_\t_\n"
    )
    assert b"\n3\tdoes\t_\t" in out
    assert b"\t_\t_\t_\t_\t_\tSpaceAfter=No\n4\tn't\t_\t" in out
    written = read_conllu(Path(write(tmp_path, "again.conllu", out)))
    assert written[: len(written) // 2] == written[len(written) // 2 :]
    assert [sentence.words[0] for sentence in written[:3]] == [b"The", b"\xff", b"A"]
    assert out.count(b"# sent_id = ") == len(written) == len({line for line in out.splitlines() if b"sent_id" in line})


def test_a_tagged_treebank_keeps_its_other_columns(bundle: Path, tmp_path: Path, capsysbinary: Any) -> None:
    data = (
        b"# newdoc id = d\r\n# sent_id = s1\n1-2\tThecat\t_\t_\t_\t_\t_\t_\t_\t_\n"
        b"1\tThe\tthe\t_\tDT\tA=b\t2\tdet\t2:det\tX=\xc3\xa9\n2\tcat\tcat\tX\tNN\t_\t0\troot\t_\t_\n"
        b"2.1\tgone\t_\t_\t_\t_\t_\t_\t0:exroot\t_\n\n# sent_id = s2\n1\tjumped\t_\t_\t_\t_\t_\t_\t_\t_\n"
    )
    file = write(tmp_path, "bare.conllu", data)
    assert run(["infer", "--model", str(bundle), "--conllu", file]) == 0
    the, cat = (word.tag.encode() for word in rnnx.load(bundle).tag(["The", "cat"]).words)
    (jumped,) = (word.tag.encode() for word in rnnx.load(bundle).tag(["jumped"]).words)
    expected = data.replace(b"\r\n", b"\n").replace(b"the\t_\tDT", b"the\t" + the + b"\tDT")
    expected = expected.replace(b"cat\tX\tNN", b"cat\t" + cat + b"\tNN")
    expected = expected.replace(b"jumped\t_\t_", b"jumped\t_\t" + jumped) + b"\n"
    assert capsysbinary.readouterr().out == expected
    assert run(["infer", "--model", str(bundle), file]) == 0
    rows = [line.split(b"\t")[1:5] for line in capsysbinary.readouterr().out.splitlines()]
    assert rows == [[b"1", b"1", b"The", the], [b"1", b"1", b"cat", cat], [b"8", b"1", b"jumped", jumped]]


def test_a_broken_treebank_fails_only_itself(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    bad = write(tmp_path, "bad.conllu", b"1\tThe\n")
    good = write(tmp_path, "good.conllu", to_conllu(TEST[:2]))
    assert run(["infer", "--model", str(bundle), "--conllu", bad, str(tmp_path / "none.conllu"), good]) == 1
    out, err = capsys.readouterr()
    assert f"error: {bad}: 1: should have 10 columns" in err
    assert "none.conllu: No such file" in err
    assert out.encode() == to_conllu(TEST[:2])


def test_options_that_do_not_fit_the_model_are_refused(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path, "a.txt", b"The cat")
    for arguments, reason in (
        (["--conllu"], "--conllu is for models that tag words; imdb does not"),
        (["--model", str(bundle), "-k", "2"], "-k and --threshold are for labels of whole texts"),
        (["--model", str(bundle), "--threshold", "0.7"], "-k and --threshold are for labels of whole texts"),
        (["--model", str(bundle), "--conllu", "--json"], "--json, --jsonl and --conllu exclude each other"),
    ):
        assert run(["infer", *arguments, file]) == 2
        assert reason in capsys.readouterr().err


def test_a_dash_reads_stdin(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The cat\n")))
    assert run(["infer", "--model", str(bundle), "-"]) == 0
    assert capsys.readouterr().out.startswith("-\t1\tThe\tDET\t")


def test_evaluation_counts_all_words_and_unknown_ones(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    from sklearn import metrics

    copy = Path(shutil.copytree(bundle, tmp_path / "own"))
    sentences = [
        *TEST,
        dataclasses.replace(TEST[0], words=tuple(w + b"ed" if len(w) > 4 else w for w in TEST[0].words)),
    ]
    file = write(tmp_path, "own-ud-test.conllu", to_conllu(sentences))
    assert run(["evaluate", str(copy), file, "--json", "--save"]) == 0
    figures = json.loads(capsys.readouterr().out)
    taggings = tag(rnnx.load(copy), *(list(s.words) for s in sentences))
    actual = [word.tag for tagging in taggings for word in tagging.words]
    expected = [tag_ for s in sentences for tag_ in s.tags]
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(expected, actual))
    assert figures["accuracy"] >= 0.95
    assert (figures["count"], figures["sentence_count"]) == (len(expected), len(sentences))
    labels = list(figures["labels"])
    assert figures["confusion"] == metrics.confusion_matrix(expected, actual, labels=labels).tolist()
    known = set(read_directory(copy)["vocabulary.txt"].splitlines())
    words = [word.lower() for s in sentences for word in s.words]
    right = [e == a for w, e, a in zip(words, expected, actual, strict=True) if w not in known]
    assert figures["unknown_count"] == len(right) > 0
    assert figures["unknown_accuracy"] == pytest.approx(np.mean(right))
    calibration = figures["calibration"]
    assert sum(row["count"] for row in calibration["bins"]) == len(expected)
    confidences = sum(word.probability for tagging in taggings for word in tagging.words)
    assert sum(row["count"] * row["confidence"] for row in calibration["bins"]) == pytest.approx(confidences)
    assert calibration["negative_log_likelihood"] is calibration["brier_score"] is None
    assert figures["by_length"] == []
    card = (copy / "README.md").read_text(encoding="utf-8")
    assert f"**{figures['accuracy']:.4f}** on {len(expected):,} words of own-ud-test, measured" in card
    assert "`rnnx evaluate own own-ud-test.conllu --save`" in card
    assert f"Of the {len(right)} words that are not in the vocabulary" in card
    assert run(["evaluate", str(copy), file]) == 0
    assert f"unknown words\t{len(right)}\n" in capsys.readouterr().out


def test_data_of_another_kind_is_refused(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    treebank = write(tmp_path, "a.conllu", to_conllu([dataclasses.replace(TEST[0], tags=("ODD",) * len(TEST[0].tags))]))
    table = write(tmp_path, "a.csv", b"text,label\na,DET\nb,ADJ\n")
    for arguments, reason in (
        ([str(bundle), treebank], "the data set has the labels ODD; the model knows only ADJ, DET"),
        ([str(bundle), table], "model own reads sentences with a tag for each word: give a .conllu or .conll file"),
        (["imdb", treebank], "model imdb reads texts"),
    ):
        assert run(["evaluate", *arguments]) == 1
        assert reason in capsys.readouterr().err


def test_inference_imports_no_framework(bundle: Path, tmp_path: Path) -> None:
    file = write(tmp_path, "a.txt", b"The cat")
    heavy = {"tensorflow", "keras", "tf2onnx", "onnx", "matplotlib"}
    assert not heavy & imported_by(["infer", "--model", str(bundle), "--conllu", file])
    assert not heavy & imported_by(["verify", str(bundle)])
