from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.text.sentence_split import split_text, split_words


def words_of(text: str) -> str:
    return " ".join(word.word.decode() for word in split_words(text.encode()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, Mr. Smith!", "Do n't stop , Mr. Smith !"),
        ("It's what they'd've said", "It 's what they'd 've said"),
        ("I'm we're YOU'LL", "I 'm we 're YOU 'LL"),
        ("the dogs' bowl", "the dogs ' bowl"),
        ("cannot gonna didnt", "can not gon na did nt"),
        ("O'Neill and the Ba'athists", "O'Neill and the Ba'athists"),
        ("it\u2019s isn\u2019t “so”", "it \u2019s is n\u2019t “ so ”"),
        ("Wait... what?!", "Wait ... what ?!"),
        ("well… yes", "well … yes"),
        ("see http://x.org/a?b=c. Or", "see http://x.org/a?b=c . Or"),
        ("(www.rnn.com)", "( www.rnn.com )"),
        ("write to a.b-c@mail.example.com, now", "write to a.b-c@mail.example.com , now"),
        ("a 15-year e-mail non-stop", "a 15 - year e-mail non-stop"),
        ("$3.50, 10,000 at 5:30pm on 9/11", "$ 3.50 , 10,000 at 5:30 pm on 9/11"),
        ("call 713-853-3989", "call 713-853-3989"),
        ("the U.S. and J. Doe of PG&E", "the U.S. and J. Doe of PG&E"),
        ("and/or 50%", "and / or 50 %"),
        ("fine :) or ;-)", "fine :) or ;-)"),
        ("a\u00a0b\u2003c\ufeff", "a b c"),
        ("¿Qué? «oui» 。", "¿ Qué ? « oui » 。"),
        ("naïve café", "naïve café"),
        ("", ""),
    ],
)
def test_texts_are_split_into_the_words_of_treebanks(text: str, expected: str) -> None:
    assert words_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three", ["One .", "Two !", "Three"]),
        ("Mr. Smith left. He ran.", ["Mr. Smith left .", "He ran ."]),
        ('He said "Go." Then he went.', ['He said " Go . "', "Then he went ."]),
        ("A heading\nand a line\r\nanother", ["A heading", "and a line", "another"]),
        ("They paid... and left.", ["They paid ... and left ."]),
        ("Version 2.0 is out.", ["Version 2.0 is out ."]),
        ("Really?! (Yes.) Fine", ["Really ?!", "( Yes . )", "Fine"]),
        (" \n\n ", []),
    ],
)
def test_sentences_end_at_line_ends_and_final_marks(text: str, expected: list[str]) -> None:
    sentences = [b" ".join(word.word for word in sentence).decode() for sentence in split_text(text.encode())]
    assert sentences == expected


TEXTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from(["n't", "'s", "http://", ".", "a", "B", "1", "-", "@", " ", "\n", "\u2019", "…", "\u00a0"])
    ).map(lambda parts: "".join(parts).encode()),
)


@given(TEXTS)
def test_every_nonblank_byte_is_in_exactly_one_word(text: bytes) -> None:
    words = list(split_words(text))
    assert [word for sentence in split_text(text) for word in sentence] == words
    end = 0
    for word in words:
        assert end <= word.start < word.end
        assert not text[end : word.start].decode("utf-8", "replace").replace("\ufeff", "").replace("\u200b", "").strip()
        assert b"\n" not in word.word
        end = word.end
    assert all(text[word.start : word.end] == word.word for word in words)


@pytest.mark.parametrize("piece", [b"a-", b".", b"1:", b"http://", b"'s", b"a'", b"x", b"\xe2\x80\x9c", b"=)", b"@a"])
def test_long_runs_are_split_in_linear_time(piece: bytes) -> None:
    # Without a bound on the steps, 300 kB of such a piece would take minutes.
    text = piece * (300_000 // len(piece))
    assert sum(word.end - word.start for word in split_words(text)) == len(text)
