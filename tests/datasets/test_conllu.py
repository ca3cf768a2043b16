from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.datasets import Columns, Listener, load_dataset, load_sentences
from rnnx.datasets.conllu import read_conllu
from rnnx.datasets.sentences import TaggedWords
from rnnx.errors import DataError, UsageError
from tests.treebank import make_sentences, to_conllu, write_treebank

# It has a multiword token, an empty node, comments, and no blank line at the end.
SAMPLE = """\
# sent_id = 1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tgone\tgo\tVERB\tVBN\t_\t_\t_\t_\t_

# text = _ Café
1\t_\t_\tPUNCT\t_\t_\t2\tpunct\t_\t_
2\tCafé\tcafé\tNOUN\tNN\t_\t0\troot\t_\tSpaceAfter=No
"""
READ = [
    TaggedWords((b"Do", b"n't", b"go"), ("AUX", "PART", "VERB")),
    TaggedWords((b"_", "Café".encode()), ("PUNCT", "NOUN")),
]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_words_and_tags_are_read_and_the_rest_is_skipped(tmp_path: Path, line_end: bytes, start: bytes) -> None:
    path = tmp_path / "x.conllu"
    path.write_bytes(start + SAMPLE.encode().replace(b"\n", line_end))
    assert read_conllu(path) == READ


WORDS = st.binary(min_size=1, max_size=6).filter(lambda word: not set(word) & set(b"\t\r\n"))
TAGS = st.sampled_from(["NOUN", "VERB", "X"])
SENTENCES = st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=6).map(
    lambda pairs: TaggedWords(tuple(word for word, _ in pairs), tuple(tag for _, tag in pairs))
)


@given(sentences=st.lists(SENTENCES, min_size=1, max_size=5))
def test_sentences_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[TaggedWords]
) -> None:
    path = tmp_path_factory.mktemp("conllu") / "x.conllu"
    path.write_bytes(to_conllu(sentences))
    assert read_conllu(path) == sentences


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no sentence"),
        ("# only a comment\n\n", "holds no sentence"),
        ("1\tgo\t_\tVERB\n", r"x\.conllu:1: should have 10 columns between tabs, not 4"),
        ("plain text\n", r"x\.conllu:1: should have 10 columns between tabs, not 1"),
        (SAMPLE.replace("3\tgo\tgo", "4\tgo\tgo"), r"x\.conllu:6: the ID should be 3, not b'4'"),
        (SAMPLE.replace("\n\n#", "\n#"), r"x\.conllu:9: the ID should be 4, not b'1' \(no blank line before it\?\)"),
        (SAMPLE.replace("1\tDo", "one\tDo"), r"x\.conllu:4: the ID should be 1, not b'one'"),
        (SAMPLE.replace("\tgo\tgo", "\t\tgo"), r"x\.conllu:6: the FORM \(column 2\) is empty"),
        (SAMPLE.replace("VERB\tVB\t", "_\tVB\t"), r"x\.conllu:6: the UPOS tag \(column 4\) should be a name, not '_'"),
        (SAMPLE.replace("VERB\tVB\t", "\x1b\tVB\t"), r"x\.conllu:6: the UPOS tag .* not '\\x1b'"),
    ],
)
def test_a_bad_file_names_the_line_and_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "x.conllu"
    path.write_bytes(content.encode())
    with pytest.raises(DataError, match=reason):
        read_conllu(path)


def test_a_training_file_is_loaded_with_its_validation_and_test_files(tmp_path: Path) -> None:
    data = load_sentences(str(write_treebank(tmp_path)))
    assert (data.name, data.labels) == ("own-ud", ("ADJ", "DET", "NOUN", "PUNCT", "VERB"))
    assert data.validation is not None
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (160, 40, 30)
    expected = make_sentences(40, 2)
    assert list(data.validation.sentences) == [sentence.words for sentence in expected]
    tags = [[data.labels[i] for i in ids] for ids in data.validation.tag_ids]
    assert tags == [list(sentence.tags) for sentence in expected]


def test_the_validation_and_test_files_may_be_missing(tmp_path: Path) -> None:
    data = load_sentences(str(write_treebank(tmp_path, (20, 0, 0))))
    assert (data.validation, data.test) == (None, None)
    assert data.choose(None)[1] == "train"
    with pytest.raises(DataError, match="no test part"):
        data.choose("test")


@pytest.mark.parametrize("name", ["own-ud-test.conllu", "strained.conllu"])
def test_a_file_without_train_in_its_name_is_loaded_alone(tmp_path: Path, name: str) -> None:
    write_treebank(tmp_path)
    (tmp_path / name).write_bytes(to_conllu(make_sentences(7, 5)))
    data = load_sentences(str(tmp_path / name))
    assert (data.name, len(data.train), data.validation, data.test) == (name.removesuffix(".conllu"), 7, None, None)


def test_a_treebank_is_not_loaded_as_labelled_texts(tmp_path: Path) -> None:
    path = str(write_treebank(tmp_path))
    with pytest.raises(
        UsageError, match=r"holds sentences with a tag for each word \(\.conllu, \.conll\), but texts with a label"
    ):
        load_dataset(path)
    with pytest.raises(UsageError, match="no data set"):
        load_sentences(str(tmp_path / "none.conllu"))
    with pytest.raises(UsageError, match=r"--data-dir is the folder of the IMDB reviews; leave it out for .*\.conllu"):
        load_sentences(path, data_dir=tmp_path)


TREEBANK = """\
1\tDo\tdo\tAUX\tVBP\tMood=Ind|Tense=Pres\t3\taux\t_\tNER=O
2\tBonn\tBonn\tPROPN\tNNP\t_\t3\tnsubj\t_\tNER=B-LOC|SpaceAfter=No
3\tgo\tgo\tVERB\tVB\tMood=Inf\t0\troot\t_\tNER=I-PER
"""


@pytest.mark.parametrize(
    ("column", "tags", "said"),
    [
        (None, ["AUX", "PROPN", "VERB"], "upos"),
        ("xpos", ["VBP", "NNP", "VB"], "xpos"),
        ("XPOS", ["VBP", "NNP", "VB"], "xpos"),
        ("5", ["VBP", "NNP", "VB"], "xpos"),
        ("lemma", ["do", "Bonn", "go"], "lemma"),
        ("feats", ["Mood=Ind|Tense=Pres", "_", "Mood=Inf"], "feats"),
        ("feats.Mood", ["Ind", "_", "Inf"], "feats.Mood"),
        ("misc.NER", ["O", "B-LOC", "I-PER"], "misc.NER"),
        ("deprel", ["aux", "nsubj", "root"], "deprel"),
    ],
)
def test_the_tags_are_read_from_another_column(tmp_path: Path, column: str | None, tags: list[str], said: str) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(TREEBANK, encoding="utf-8")
    data = load_sentences(str(path), columns=Columns(tag=column))
    assert [data.labels[i] for i in data.train.tag_ids[0]] == tags
    assert (data.tag_column, data.file_name) == (said, None)


@pytest.mark.parametrize("column", ["ner", "id", "head", "1", "xpos.Case", "feats.", "feats.a b", ""])
def test_a_column_without_tags_is_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(TREEBANK, encoding="utf-8")
    with pytest.raises(UsageError, match=r"--tag-column of a \.conllu file should be lemma, upos, xpos, feats, deprel"):
        load_sentences(str(path), columns=Columns(tag=column))


def test_an_empty_tag_of_another_column_names_the_column_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(TREEBANK.replace("VB\t", "_\t"), encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.conllu:3: the XPOS tag \(column 5\) should be a name, not '_'"):
        load_sentences(str(path), columns=Columns(tag="xpos"))


def test_spans_in_a_treebank_that_break_their_scheme_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_text("# text = x\n" + TREEBANK, encoding="utf-8")
    warnings: list[str] = []
    load_sentences(str(path), columns=Columns(tag="misc.NER"), listener=Listener(on_warning=warnings.append))
    assert "1 tag breaks the scheme BIO: line 4 (I-PER)" in warnings[0]
