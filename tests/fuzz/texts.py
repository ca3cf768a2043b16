"""Draws texts of all kinds, names of files, and treebanks."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.mutations import NASTY_BYTES, joined, mangled
from tests.treebank import make_sentences, to_conllu

_WORDS = (
    b"great",
    b"film",
    b"the",
    b"a",
    b"it's",
    b"boring",
    b"WONDERFUL",
    b"cat",
    b"walked",
    b"London",
    b"1990s",
    b"U.S.",
    b"n't",
)
_BETWEEN = (
    b" ",
    b" ",
    b" ",
    b". ",
    b"! ",
    b", ",
    b"<br />",
    b"<br",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\t",
    b"...",
    b"-",
    b"(",
    b"``",
)
text_bytes = st.one_of(
    joined((*_WORDS, *_BETWEEN)), joined((*_WORDS, *_BETWEEN, *NASTY_BYTES)), st.binary(max_size=60), st.just(b"")
)
# Names that file systems allow, some of which would disturb a terminal.
names = st.sampled_from(
    (
        "a.txt",
        "b.txt",
        "ü.txt",
        "a b.txt",
        "x\x1b[2Jy.txt",
        "two\nlines.txt",
        "tab\t.txt",
        "\udcff.txt",
        "\u202egnp.txt",
        ".hidden",
    )
)
labels_and_words = joined((b"DET", b"NOUN", b"VERB", b"_", b"X", *NASTY_BYTES), 2)

_CONLLU = to_conllu(make_sentences(3, 5))
_CONLLU_PIECES = (
    b"1\tthe\t_\tDET\t_\t_\t_\t_\t_\t_\n", b"2\tcat\t_\tNOUN\t_\t_\t_\t_\t_\t_\n",
    b"1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n", b"2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n", b"# text = a\n", b"\n", b"\t", b"1",
    b"3", b"_", b"\t_\t_\t_\t_\t_\t_\n",
)  # fmt: skip
treebanks = st.one_of(
    mangled(_CONLLU),
    joined(_CONLLU_PIECES),
    joined((*_CONLLU_PIECES, *NASTY_BYTES)),
    st.binary(max_size=60),
    st.just(_CONLLU),
)
