"""Tests tables as people have them: what is found out, what is said, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnx.datasets import Columns, TableForm
from rnnx.errors import DataError, UsageError
from tests.datasets.tables import load_bytes

NO_HEADER = TableForm(has_header=False)
SKIP = TableForm(skips_bad_rows=True)


@pytest.mark.parametrize("name", ["sms.tsv", "SMSCollection", "sms.txt", "sms.csv"])
def test_a_table_without_header_is_recognised_and_read_with_an_option(tmp_path: Path, name: str) -> None:
    content = "ham\tare you there\nspam\tWIN money\nham\tyes\nspam\tmoney now\n"
    with pytest.raises(DataError, match=r"there seems to be no header: if so, give --no-header"):
        load_bytes(tmp_path, name, content)
    loaded = load_bytes(tmp_path, name, content, form=NO_HEADER)
    assert loaded.pairs == [("are you there", "ham"), ("WIN money", "spam"), ("yes", "ham"), ("money now", "spam")]
    assert loaded.notes == ["text column: 2", "label column: 1"]
    named = load_bytes(tmp_path, name, content, Columns("2", "1"), NO_HEADER)
    assert (named.pairs, named.notes) == (loaded.pairs, [])


def test_columns_without_names_are_chosen_by_number(tmp_path: Path) -> None:
    content = 'a "quoted" text\tOTHER\tNONE\n"open\tOFFENSE\tINSULT\nc\tOTHER\tNONE\nd\tOFFENSE\tABUSE\n'
    loaded = load_bytes(tmp_path, "g.txt", content, Columns("1", "3"), NO_HEADER)
    assert loaded.data.labels == ("ABUSE", "INSULT", "NONE")
    assert loaded.pairs[1] == ('"open', "INSULT")
    with pytest.raises(DataError, match=r"columns are '1', '2', '3'; choose them by number with --text-column"):
        load_bytes(tmp_path, "g.txt", content, form=NO_HEADER)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            Columns("revew"),
            "no column 'revew'; the columns are 'id', 'sentiment', 'review text'; perhaps you mean 'review",
        ),
        (Columns("9"), "no column '9'; the columns are 'id', 'sentiment', 'review text'; name yours"),
        (
            Columns(label="SENTIMNT"),
            "no column 'SENTIMNT'; the columns are .*; perhaps you mean 'sentiment'; name yours",
        ),
        (
            Columns("foo", "bar"),
            "no column 'foo' and no column 'bar'; the columns are 'id', 'sentiment', 'review text'; name",
        ),
        (Columns("3", "3"), "column 'review text' cannot be both the text and the label; name another one"),
    ],
)
def test_only_the_missing_column_is_named_and_the_one_like_it(tmp_path: Path, columns: Columns, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_bytes(tmp_path, "t.csv", "id,sentiment,review text\n1,pos,good\n2,neg,bad\n", columns)


def test_the_options_that_are_proposed_read_a_table_without_a_header(tmp_path: Path) -> None:
    rows = [
        ("7", "a good film", "pos"),
        ("8", "a bad film", "neg"),
        ("9", "bad and long", "neg"),
        ("10", "good", "pos"),
    ]
    content = "".join(f"{','.join(row)}\n" for row in rows)
    with pytest.raises(DataError, match=r"--no-header, and the .*, perhaps --text-column 2 --label-column 3$"):
        load_bytes(tmp_path, "t.csv", content)
    loaded = load_bytes(tmp_path, "t.csv", content, Columns("2", "3"), NO_HEADER)
    assert loaded.pairs == [(text, label) for _, text, label in rows]
    with pytest.raises(DataError, match=r"if so, give --no-header$"):
        load_bytes(tmp_path, "t.csv", "".join(f"{text},{label}\n" for _, text, label in rows))


def test_columns_of_marks_are_proposed_as_labels(tmp_path: Path) -> None:
    content = "text,joy,fear\na,1,0\nb,0,1\nc,1,1\nd,0,0\n"
    with pytest.raises(DataError, match=r"if columns with 0 and 1 are labels, give --label-columns joy,fear$"):
        load_bytes(tmp_path, "t.csv", content)
    with pytest.raises(DataError, match=r"name yours with --text-column and --label-column$"):
        load_bytes(tmp_path, "t.csv", content, Columns(label="kind"))


@pytest.mark.parametrize(
    ("header", "notes"),
    [
        ("label,review", ["text column: review"]),
        ("Sentiment,Tweet", ["text column: Tweet", "label column: Sentiment"]),
        ("label,Satz", ["text column: Satz"]),
        ("kind,text", ["label column: kind"]),
        ("label,text", []),
    ],
)
def test_columns_are_found_by_usual_names_and_said(tmp_path: Path, header: str, notes: list[str]) -> None:
    loaded = load_bytes(tmp_path, "t.csv", f"{header}\n1,很好\n0,太慢了\n1,味道好\n0,冷了\n")
    assert loaded.pairs == [("很好", "1"), ("太慢了", "0"), ("味道好", "1"), ("冷了", "0")]
    assert (loaded.notes, loaded.warnings) == (notes, [])


@pytest.mark.parametrize("header", ["id,text", "body,stars", "review,stars", "a,b"])
def test_columns_that_may_be_something_else_are_not_guessed(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match="name yours with --text-column and --label-column"):
        load_bytes(tmp_path, "t.csv", f"{header}\nx,1\ny,2\n")


def test_the_other_one_of_two_columns_is_taken(tmp_path: Path) -> None:
    content = "\ufeffsurligneurs\tcatégorie\nune loi\tb\nun film\ta\n"
    loaded = load_bytes(tmp_path, "t.tsv", content, Columns(text="surligneurs"))
    assert loaded.pairs == [("une loi", "b"), ("un film", "a")]
    assert loaded.notes == ["label column: catégorie"]


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        ('label\ttext\nham\t"Hello\nspam\twin now\nspam\tcash "today"\n', ['"Hello', "win now", 'cash "today"']),
        ('text\tlabel\n"He said\tham\nwin\tspam\nand then "bye"\tham\n', ['"He said', "win", 'and then "bye"']),
        ('text\tlabel\n"He said\tham\nwin\tspam\nand then "\tham\n', ['"He said', "win", 'and then "']),
        ('text\tlabel\n"Wow!"\tham\nwin\tspam\n', ['"Wow!"', "win"]),
        ('text\tlabel\n"say ""hi"""\tham\nwin\tspam\n', ['say "hi"', "win"]),
        ('"text"\t"label"\n"one"\t"ham"\n"two"\t"spam"\n', ["one", "two"]),
        ('text\tlabel\n"two\nlines"\tham\n"a\ttab"\tspam\n', ["two\nlines", "a\ttab"]),
    ],
)
def test_quotes_between_tabs_enclose_cells_only_if_all_of_the_file_says_so(
    tmp_path: Path, content: str, pairs: list[str]
) -> None:
    assert [text for text, _ in load_bytes(tmp_path, "t.tsv", content).pairs] == pairs


def test_a_quote_far_into_the_file_does_not_swallow_rows(tmp_path: Path) -> None:
    rows = [f"text {i}\t{'ab'[i % 2]}" for i in range(3000)]
    rows[1500], rows[2000] = '"open\ta', 'close"\tb'
    assert len(load_bytes(tmp_path, "t.tsv", "\n".join(["text\tlabel", *rows]) + "\n").pairs) == 3000


def test_the_user_decides_about_quotes(tmp_path: Path) -> None:
    content = 'text,label\n"He said,ham\nwin now,spam\n'
    with pytest.raises(DataError, match="give --no-quotes"):
        load_bytes(tmp_path, "t.csv", content)
    assert load_bytes(tmp_path, "t.csv", content, form=TableForm(is_quoted=False)).pairs[0] == ('"He said', "ham")
    content = 'text\tlabel\n"Wow!"\tham\nwin\tspam\n'
    assert load_bytes(tmp_path, "t.tsv", content, form=TableForm(is_quoted=True)).pairs[0] == ("Wow!", "ham")


def test_a_text_with_whole_rows_inside_is_a_warning(tmp_path: Path) -> None:
    content = 'label,text\nham,"He said\nspam,win now\nham,and "\nspam,cash\nham,"two\nlines, honestly"\n'
    warnings = load_bytes(tmp_path, "t.csv", content).warnings
    assert any("1 row may have swallowed the rows after it, because of an open quote (line 2)" in w for w in warnings)


BAD_ROWS = {
    "short": ("text,label\na,pos\nb,neg\nlonely\nc,pos\nd,neg\n", "but there is no label; 1 of 5 rows is bad (line 4)"),
    "unlabelled": ("text,label\na,pos\nb,neg\nnew,\nc,pos\nd,neg\n", "but there is no label; 1 of 5 rows is bad"),
    "comma": ("text,label\na,pos\nb,neg\nc, short,neg\nc,pos\nd,neg\n", "3 cells, but there are 2 columns (is ','"),
    "quote": ('text,label\na,pos\nb,neg\n"c" d,neg\nc,pos\nd,neg\n', "(a quote too many?); 1 of 5 rows is bad"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_named_by_its_line_and_can_be_skipped(tmp_path: Path, kind: str) -> None:
    content, message = BAD_ROWS[kind]
    with pytest.raises(DataError, match="leave such rows out with --skip-bad-rows") as error:
        load_bytes(tmp_path, "t.csv", content)
    assert message in str(error.value)
    assert (error.value.where, error.value.line) == (tmp_path / "t.csv", 4)
    loaded = load_bytes(tmp_path, "t.csv", content, form=SKIP)
    assert loaded.pairs == [("a", "pos"), ("b", "neg"), ("c", "pos"), ("d", "neg")]
    assert len(loaded.warnings) == 1
    assert "skipped 1 of 5 rows: line 4: " in loaded.warnings[0]


def test_the_first_five_of_many_bad_rows_are_shown(tmp_path: Path) -> None:
    content = "text,label\n" + "x,a\ny,b\nz\n" * 8
    with pytest.raises(DataError, match=r"8 of 24 rows are bad \(lines 4, 7, 10, 13, 16 and more\)"):
        load_bytes(tmp_path, "t.csv", content)
    warning = load_bytes(tmp_path, "t.csv", content, form=SKIP).warnings[0]
    assert "skipped 8 of 24 rows: line 4: no label; " in warning
    assert warning.endswith("line 16: no label; ...")


def test_a_row_is_named_by_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv:4: .*no label"):
        load_bytes(tmp_path, "t.csv", 'text,label\n"two\nlines",a\n"three\nmore\nlines"\nx,b\n')


def test_empty_cells_after_the_last_column_are_no_error(tmp_path: Path) -> None:
    assert load_bytes(tmp_path, "t.csv", "text,label,\na,x,,\nb,y,,,\n").pairs == [("a", "x"), ("b", "y")]


def test_empty_texts_are_kept_and_counted(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "t.csv", "text,label\na,x\n,x\nb,y\nc,y\n")
    assert len(loaded.pairs) == 4
    assert loaded.warnings == [f"{tmp_path / 't.csv'}: 1 row without text (line 3)"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "text;label\ngood, really;pos\nbad;neg\n"),
        ("t.csv", "sep=;\ntext;label\ngood, really;pos\nbad;neg\n"),
        ("t.csv", "text\tlabel\ngood, really\tpos\nbad\tneg\n"),
        ("t.csv", "text|label\ngood, really|pos\nbad|neg\n"),
        ("t.tsv", 'text,label\n"good, really",pos\nbad,neg\n'),
        ("t.txt", "text;label\ngood, really;pos\nbad;neg\n"),
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, name: str, content: str) -> None:
    assert load_bytes(tmp_path, name, content).pairs == [("good, really", "pos"), ("bad", "neg")]


def test_the_delimiter_is_found_without_a_header(tmp_path: Path) -> None:
    content = "i feel good, really;joy\ni am sad, so sad;sadness\nim fine;joy\n"
    loaded = load_bytes(tmp_path, "val.txt", content, form=NO_HEADER)
    assert loaded.pairs[:2] == [("i feel good, really", "joy"), ("i am sad, so sad", "sadness")]


def test_a_delimiter_can_be_given(tmp_path: Path) -> None:
    content = "text#label\ngood#pos\nbad#neg\n"
    with pytest.raises(DataError, match="give --delimiter"):
        load_bytes(tmp_path, "t.csv", content)
    assert load_bytes(tmp_path, "t.csv", content, form=TableForm(delimiter="#")).data.labels == ("neg", "pos")
    content = content.replace("#", "\t")
    assert load_bytes(tmp_path, "t.csv", content, form=TableForm(delimiter="tab")).data.labels == ("neg", "pos")
    with pytest.raises(UsageError, match="give one character"):
        load_bytes(tmp_path, "t.csv", content, form=TableForm(delimiter="##"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_unicode_encodings_are_recognised(tmp_path: Path, encoding: str, name: str) -> None:
    content = {
        "t.csv": "text\tlabel\nun café\tpos\nmauvais\tneg\n",
        "t.jsonl": '{"text": "un café", "label": "pos"}\n{"text": "mauvais", "label": "neg"}\n',
    }[name]
    assert load_bytes(tmp_path, name, content.encode(encoding)).pairs == [("un café", "pos"), ("mauvais", "neg")]


def test_text_in_another_encoding_is_a_warning_that_names_likely_ones(tmp_path: Path) -> None:
    pytest.importorskip("charset_normalizer", reason="needs the [tables] extra")
    texts = ["这家店的菜很好吃", "送餐太慢了不会再来", "味道非常好推荐", "饭菜都冷了很失望"]
    content = "text,label\n" + "".join(f"{text},{'pn'[i % 2]}\n" for i, text in enumerate(texts))
    loaded = load_bytes(tmp_path, "t.csv", content.encode("gb18030"))
    assert loaded.data.train.texts[0] == texts[0].encode("gb18030")  # never decoded on a guess
    assert len(loaded.warnings) == 1
    assert "4 rows hold text that is not valid UTF-8, the first in line 2; give the encoding" in loaded.warnings[0]
    assert "gb18030" in loaded.warnings[0]
    given = load_bytes(tmp_path, "t.csv", content.encode("gb18030"), form=TableForm(encoding="gb18030"))
    assert ([text for text, _ in given.pairs], given.warnings) == (texts, [])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Das Essen war köstlich und die Bedienung überaus freundlich und die Straße ruhig.", "cp1252"),
        ("¡Qué rápido! El niño comió mañana.", "cp1252"),
        ("Książka była bardzo dobra; świetna obsługa.", "cp1250"),
        ("Отличный фильм; очень понравился. Ужасно скучно.", "cp1251"),
    ],
)
def test_of_encodings_that_read_a_text_alike_the_usual_one_is_named_first(
    tmp_path: Path, text: str, encoding: str
) -> None:
    pytest.importorskip("charset_normalizer", reason="needs the [tables] extra")
    content = "text,label\n" + f"{text},a\n{text},b\n" * 2
    warnings = load_bytes(tmp_path, "t.csv", content.encode(encoding)).warnings
    assert f"give the encoding with --encoding, which may be {encoding}" in warnings[0]


def test_a_header_that_is_not_utf8_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is this not UTF-8\? then give --encoding"):
        load_bytes(tmp_path, "t.csv", "标签,评论\n1,很好\n".encode("gb18030"))


def test_a_wrong_encoding_is_said(tmp_path: Path) -> None:
    content = "text,label\ncafé,a\nx,b\ny,a\nz,b\n"
    warnings = load_bytes(tmp_path, "t.csv", content, form=TableForm(encoding="ascii")).warnings
    assert "1 row holds text that is not valid ascii, the first in line 2" in warnings[0]
    for name in ("nonsense", "rot13", "hex"):
        with pytest.raises(UsageError, match=f"--encoding {name}: there is no such encoding"):
            load_bytes(tmp_path, "t.csv", content, form=TableForm(encoding=name))
    with pytest.raises(DataError, match="not in the encoding that --encoding names"):
        load_bytes(tmp_path, "t.csv", content, form=TableForm(encoding="utf-16"))


def test_labels_that_differ_in_case_or_blanks_are_a_warning(tmp_path: Path) -> None:
    content = "text,label\na,Pos\nb,neg\nc,pos\nd,neg\ne,POS\nf,Pos\ng,POS\nh,pos\ni,ne g\nj,ne g\n"
    loaded = load_bytes(tmp_path, "t.csv", content)
    assert loaded.data.labels == ("POS", "Pos", "ne g", "neg", "pos")
    assert loaded.warnings == [
        f"{tmp_path / 't.csv'}: labels that differ in case or blanks alone are different labels: "
        "'POS' (2), 'Pos' (2), 'pos' (2); 'ne g' (2), 'neg' (2)"
    ]


def test_blanks_around_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "t.csv", "text,label\na, pos\nb,neg\nc,pos\nd,neg \n")
    assert loaded.data.labels == ("neg", "pos")
    assert loaded.notes == ["blanks around the label are left out in 2 rows"]


def test_labels_that_occur_once_are_a_warning(tmp_path: Path) -> None:
    warnings = load_bytes(tmp_path, "t.csv", "text,label\na,pos\nb,pos\nc,neg\nd,neutral\n").warnings
    assert warnings == [f"{tmp_path / 't.csv'}: 2 labels occur only once: 'neg', 'neutral'"]


def test_as_many_labels_as_texts_are_a_warning(tmp_path: Path) -> None:
    rows = "".join(f"text {i},something {i // 2}\n" for i in range(200))
    warnings = load_bytes(tmp_path, "t.csv", f"text,label\n{rows}").warnings
    assert len(warnings) == 1
    assert "100 different labels for 200 texts" in warnings[0]
    rows = "".join(f"text {i},intent {i % 77}\n" for i in range(770))
    assert load_bytes(tmp_path, "t.csv", f"text,label\n{rows}").warnings == []


def test_two_columns_of_one_name_are_a_warning(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "t.csv", "text,label,label\na,1,x\nb,2,y\nc,1,x\nd,2,y\n")
    assert loaded.data.labels == ("x", "y")
    assert "2 columns are called 'label'; number 3 is taken" in loaded.warnings[0]
