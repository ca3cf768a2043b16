from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.datasets import Columns, Listener, TaggedDataset, kind_of, load_any, load_sentences
from rnnx.datasets.column_files import ColumnForm, find_form, parse_columns
from rnnx.errors import DataError

CONLL_2003 = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""
GERMEVAL = """\
#\thttp://example.org/1\t[2010-01-01]\t
1\tAnna\tB-PER\tO
2\tlebt\tO\tO
3\tin\tO\tO
4\tBonn\tB-LOC\tB-ORG

#\thttp://example.org/2\t[2010-01-01]
1\t#\tO\tO
2\tFC\tB-ORG\tO
3\tKöln\tI-ORG\tB-LOC
"""


class Heard:
    """Keeps what a reader says."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.listener = Listener(self.notes.append, self.warnings.append)


def write(folder: Path, content: str | bytes, name: str = "x.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def words_and_tags(data: TaggedDataset) -> list[list[tuple[str, str]]]:
    return [
        [(word.decode(), data.labels[i]) for word, i in zip(words, ids, strict=True)]
        for words, ids in zip(data.train.sentences, data.train.tag_ids, strict=True)
    ]


def test_a_file_as_of_conll_2003_is_read_with_its_last_column(tmp_path: Path) -> None:
    heard = Heard()
    data = load_sentences(str(write(tmp_path, CONLL_2003)), listener=heard.listener)
    assert words_and_tags(data) == [
        [("EU", "B-ORG"), ("rejects", "O"), ("German", "B-MISC")],
        [("Peter", "B-PER"), ("Blackburn", "I-PER")],
    ]
    assert (data.tag_column, data.file_name, data.name) == ("4", "x.conll", "x")
    assert [note.partition("x.conll: ")[2] for note in heard.notes] == [
        "words in column 1, tags in column 4 of 4 (--tag-column takes another one)",
        "tags of spans, scheme BIO",
    ]
    assert not heard.warnings


def test_another_column_can_be_named(tmp_path: Path) -> None:
    data = load_sentences(str(write(tmp_path, CONLL_2003)), columns=Columns(tag="2"))
    assert data.labels == ("JJ", "NNP", "VBZ")
    with pytest.raises(DataError, match=r"--tag-column should be a number of a column \(2, 3, 4\), not '5'"):
        load_sentences(str(write(tmp_path, CONLL_2003)), columns=Columns(tag="5"))


@pytest.mark.parametrize(("column", "labels"), [(None, ("B-LOC", "B-ORG", "B-PER", "I-ORG", "O")), ("4", None)])
def test_a_file_as_of_germeval_is_read_with_its_outer_names(
    tmp_path: Path, column: str | None, labels: tuple[str, ...] | None
) -> None:
    data = load_sentences(str(write(tmp_path, GERMEVAL, "x.tsv")), columns=Columns(tag=column))
    assert data.labels == (labels or ("B-LOC", "B-ORG", "O"))
    assert [list(words) for words in data.train.sentences][1] == [b"#", b"FC", "Köln".encode()]


def test_empty_cells_at_the_end_of_a_line_do_not_matter(tmp_path: Path) -> None:
    data = load_sentences(str(write(tmp_path, "a\tO\nb\tB-X\t\t\n")))
    assert words_and_tags(data) == [[("a", "O"), ("b", "B-X")]]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n"])
def test_line_ends_blank_lines_and_a_mark_at_the_start_do_not_matter(tmp_path: Path, line_end: str, start: str) -> None:
    data = load_sentences(str(write(tmp_path, (start + CONLL_2003).replace("\n", line_end))))
    assert [len(words) for words in data.train.sentences] == [3, 2]


def test_a_word_may_begin_with_the_sign_of_a_comment(tmp_path: Path) -> None:
    data = load_sentences(str(write(tmp_path, "# a comment\n# id 7\n#rnnx\tB-TAG\n#\tO\nis\tO\n# end of file\n")))
    assert words_and_tags(data) == [[("#rnnx", "B-TAG"), ("#", "O"), ("is", "O")]]
    data = load_sentences(str(write(tmp_path, "# NN\n# a comment\n#id 7\nis VB\n")))
    assert words_and_tags(data) == [[("#", "NN")], [("is", "VB")]]


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=5).filter(
    lambda word: not word.startswith("#") and not word.isspace()
)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-a", "I-a", "I-b"])), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


@given(sentences=SENTENCES, between=st.sampled_from([" ", "\t"]), count=st.integers(2, 4))
def test_sentences_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]], between: str, count: int
) -> None:
    lines = ["".join(between.join([w, *["_"] * (count - 2), t]) + "\n" for w, t in words) for words in sentences]
    path = write(tmp_path_factory.mktemp("columns"), "\n".join(lines))
    form = find_form(path)
    assert form is not None
    with path.open("rb") as file:
        read = [
            [(word.decode(), tag.decode()) for word, tag in zip(sentence.words, sentence.tags, strict=True)]
            for sentence in parse_columns(path, file, form)
        ]
    assert read == sentences


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "does not have a word and two to nine columns"),
        ("word\n", "does not have a word and two to nine columns"),
        ("a O\nb O c\n", r"x\.conll:2: should have 2 columns between blanks as the lines before it, not 3"),
        ("a\tO\nb\tO\n\nc\n", r"x\.conll:4: should have 2 columns between blanks as the lines before it, not 1"),
        ("a\tO\n\tO\n", r"x\.conll:2: the word \(column 1\) is empty"),
        ("a\tO\nb\t\n", r"x\.conll:2: the tag \(column 2\) should be a name, not ''"),
        ("a\tO\nb\t\x1b\n", r"x\.conll:2: the tag \(column 2\) should be a name, not '\\x1b'"),
    ],
)
def test_a_bad_file_names_the_line_and_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load_sentences(str(write(tmp_path, content)))


def test_tags_that_break_their_scheme_are_a_warning_with_their_lines(tmp_path: Path) -> None:
    heard = Heard()
    load_sentences(str(write(tmp_path, "a B-X\nb I-X\n\nc I-X\nd O\ne B-X\nf I-Y\n")), listener=heard.listener)
    (warning,) = heard.warnings
    assert re.search(r"x\.conll: 2 tags break the scheme BIO: line 4 \(I-X\), line 7 \(I-Y\); a span begins", warning)
    heard = Heard()
    load_sentences(str(write(tmp_path, "a O\n" + "b O\nc I-X\nd B-Y\n" * 7)), listener=heard.listener)
    assert "7 tags break the scheme BIO: line 3 (I-X)" in heard.warnings[0]
    assert "line 15 (I-X) and 2 more;" in heard.warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.conll", "", "sentences"),
        ("x.IOB2", "", "sentences"),
        ("x.tsv", GERMEVAL, "sentences"),
        ("x.txt", CONLL_2003, "sentences"),
        ("eng.train", CONLL_2003, "sentences"),
        ("x.tsv", "text\tlabel\ngood\tpos\n", "texts"),
        ("x.tsv", "good\tO\nbad\tO\n", "texts"),
        ("x.txt", "My blood type: O\nI am B-positive\n", "texts"),
        ("x.csv", "a,B-X\nb,O\n", "texts"),
    ],
)
def test_a_file_of_words_is_told_from_a_table(tmp_path: Path, name: str, content: str, kind: str) -> None:
    assert kind_of(str(write(tmp_path, content, name))) == kind


def test_a_column_of_tags_makes_a_table_a_file_of_words(tmp_path: Path) -> None:
    path = str(write(tmp_path, "the\tDT\ncat\tNN\n\nit\tPRP\n", "x.tsv"))
    assert (kind_of(path), kind_of(path, Columns(tag="2"))) == ("texts", "sentences")
    data = load_any(path, columns=Columns(tag="2"))
    assert data.labels == ("DT", "NN", "PRP")


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("eng.train", "eng.testa", "eng.testb"), "eng"),
        (("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"), "NER-de"),
        (("train.txt", "valid.txt", "test.txt"), "train.txt"),
    ],
)
def test_the_other_parts_are_found(tmp_path: Path, names: tuple[str, str, str], name: str) -> None:
    for part, count in zip(names, (5, 2, 3), strict=True):
        write(tmp_path, "Bonn B-LOC\nis O\n\n" * count, part)
    data = load_sentences(str(tmp_path / names[0]))
    assert data.validation is not None
    assert data.test is not None
    assert (data.name, len(data.train), len(data.validation), len(data.test)) == (name, 5, 2, 3)


def test_numbers_in_the_first_column_are_words_unless_they_count(tmp_path: Path) -> None:
    form = find_form(write(tmp_path, "1 CD O\n2 CD B-X\n4 CD O\n"))
    assert form == ColumnForm(has_tabs=False, count=3, word=0, tag=2, has_span_tags=True)
    form = find_form(write(tmp_path, "1 a O\n2 b B-X\n\n1 c O\n"))
    assert form == ColumnForm(has_tabs=False, count=3, word=1, tag=2, has_span_tags=True)
