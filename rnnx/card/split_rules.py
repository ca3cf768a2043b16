"""Writes out in a card how a tagger splits a text into sentences and words, in full, for programs in other languages.

The patterns come from `rnnx.text`, so a card cannot differ from the code.
"""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = """\
A text is split on its bytes, by these patterns. They are regular expressions as Python writes them: `\\s` is one of the
bytes 09 to 0D and 20, and `(?i:` is for ASCII letters alone. A name in braces is one of

{names}

1. Each match of this pattern is white space, as many spaces as it has bytes:

{space}

2. Words are found from left to right. At each byte, the first of these patterns that matches is a word:

{words}

3. If a word does not begin with `http` or `www.`, and this pattern matches at its beginning, the match is a word, and
   so is the rest:

{ending}

4. A sentence ends before a word if there is a byte 0A or 0D between it and the word before. It also ends if the
   sentence is over, there is white space before the word, and its first byte is not one of `a` to `z`. A sentence is
   over after a word that this pattern matches as a whole:

{sentence_end}

   It stays over after a word that follows without white space and is one of `"`, `'`, `''`, `)`, `]`, and the
   characters U+2019, U+201D and U+00BB in UTF-8. Any other word begins or continues a sentence that is not over."""
_UNICODE = """\
A text is split by the classes of its characters. The table of characters is `exported/embed/unicode-14.json` of rnnx,
and in `config.json` of the package that `rnnx embed` writes. It has the kind of each character, its replacement, its
class, and its letter in a shape. Bytes that are not UTF-8 are the characters of their own numbers, an encoded surrogate
is three spaces, and characters without a class are left out. A character of ASCII is its own class. Others are

{classes}

1. Each line is split for itself. Words are found from left to right. At each character, the first of these patterns
   that matches the classes is a word. They are regular expressions as Python writes them; `\\s` is one of the
   characters 09 to 0D and 1C to 20, and `(?i:` is for ASCII letters alone:

{words}

2. If a known word of the vocabulary, longer than that, begins at the same place, the longest one is the word instead.
   But it may have no white space in it; no mark of a script without spaces may follow it; a letter may not follow it if
   it ends with a letter; and it may not be a known word, which is not all digits, and a full stop.
3. A word with an apostrophe that is not known is cut before the longest known ending that contains its last
   apostrophe. If there is none, it is cut after its first apostrophe, if the part up to there is known and is not all
   of it.
4. A sentence ends before a word if there is a line break between it and the word before. It also ends if the sentence
   is over and the word does not close it, and either a mark outside ASCII has ended it, or the word begins with a
   character of a script without spaces, or there is white space before the word and it does not begin with a small
   letter. A sentence is over after a word that this pattern matches as a whole:

{sentence_end}

   A word closes it that follows without white space and consists of the characters {closing}."""
_TOKENS = """\
The ids 0, 1 and 2 are those of the special tokens `<pad>`, `<start>` and `<unknown>`, the first three lines of
`vocabulary.txt`. No word has the id of one by its letters: a word `<pad>` of a text has the id 2."""


def describe_bytes_rule() -> str:
    """Writes out the rule `bytes`."""
    from rnnx.text.sentence_split import write_patterns  # compiles its patterns

    patterns = write_patterns()
    return "\n\n".join(
        (
            _BYTES.format(
                names=_block(patterns["names"], ""),
                space=_block(patterns["space"]),
                words=_block(patterns["words"]),
                ending=_block(patterns["before ending"]),
                sentence_end=_block(patterns["sentence end"]),
            ),
            _TOKENS,
        )
    )


def describe_unicode_rule(*, joins_hyphens: bool) -> str:
    """Writes out the rule `unicode-14`, but for its table of characters."""
    from rnnx.text.unicode_sentences import CLOSING, write_patterns  # reads the table, and compiles its patterns

    patterns = write_patterns(joins_hyphens=joins_hyphens)
    return "\n\n".join(
        (
            _UNICODE.format(
                classes=_block(patterns["classes"], ""),
                words=_block(patterns["words"]),
                sentence_end=_block(patterns["sentence end"]),
                closing=" ".join(f"`{character}`" for character in sorted(CLOSING)),
            ),
            _TOKENS,
        )
    )


def _block(lines: Sequence[str], indent: str = "   ") -> str:
    """Formats lines as a block of code, in an item of a list."""
    return "\n".join(f"{indent}{line}" for line in ("```text", *lines, "```"))
