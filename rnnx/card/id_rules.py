"""Writes out in a card how a text becomes ids, in full, for programs in other languages.

How a tagger splits a text into words is written by `rnnx.card.split_rules`. Imports the standard library only.
"""

from __future__ import annotations

from typing import assert_never

from rnnx.bundle.config import TokenizerConfig, WordsConfig
from rnnx.card.split_rules import describe_bytes_rule, describe_unicode_rule

_IDS = """\
- The id of everything that is not in the vocabulary is 2. A batch is padded with 0 in both inputs. A sentence of more
  than {longest} words is cut into as few pieces as possible, of nearly equal length.

`golden.json` holds sentences with their ids, features, tags and probabilities, to check an implementation against. The
words are in hexadecimal in `bytes`, so that every JSON parser can read them. `rnnx embed python .` and
`rnnx embed node .` write a package that takes texts."""
_WORD_RULE = (
    """\
Words to ids, on bytes, so that it is the same in every language:

- `ids`: the ASCII letters of a word are lowered; line N of `vocabulary.txt` is id N - 1.
- `features`: the ids of {slots}, each written `NAME=value`. `SUFFIX3` is the last three characters of the lowered
  word, `PREFIX3` its first three (the whole word, if it is shorter); a character starts at the first byte and at each
  other byte outside 0x80 to 0xBF. `SHAPE` writes `X` for A-Z, `x` for a-z, `d` for 0-9, `u` for a byte >= 0x80 and any
  other byte as it is; of equal characters in a row it keeps two, and of the result the first eight.
"""
    + _IDS
)
_UNICODE_WORD_RULE = (
    """\
Words to ids by the rule `{rule}`, with the table of characters in `rnnx/text`:

- `ids`: each character of a word is replaced as the table says, so capitals of every script are lowered; punctuation
  stays, and dropped characters are left out. Line N of `vocabulary.txt` is id N - 1.
- `features`: the ids of {slots}, each written `NAME=value`. `SUFFIX3` is the last three characters of the lowered
  word, `PREFIX3` its first three (the whole word, if it is shorter). `SHAPE` writes `X` for a capital, `x` for another
  letter or mark, `d` for a digit, `h` for hiragana, `k` for katakana, `c` for a character of another script without
  spaces, `s` for a symbol, and any other character as it is; of equal characters in a row it keeps two, and of the
  result the first eight. `rnnx/text/unicode_words.py` has the rule.
- A text is split as below. Known words are found without spaces around them, and {hyphens}.
"""
    + _IDS
)


def describe_tokenizer(tokenizer: TokenizerConfig) -> str:
    """Writes out how a classifier of texts turns a text into a row of ids."""
    padding = f"up to {tokenizer.max_length}" if tokenizer.pad_to == "max_length" else "up to the longest of the batch"
    start = "; a text begins with 1" if tokenizer.start else ""
    return (
        f"{_tokenizer_rule(tokenizer)} Line N of `vocabulary.txt` is id N - 1; an unknown word is 2{start}. "
        f"The {kept_end(tokenizer)} {tokenizer.max_length} ids are read, padded with 0 on the {tokenizer.padding_side} "
        f"{padding}."
    )


def kept_end(tokenizer: TokenizerConfig) -> str:
    """Says which ids of a text are read if it has too many: the first or the last."""
    return "last" if tokenizer.truncation_side == "left" else "first"


def _tokenizer_rule(tokenizer: TokenizerConfig) -> str:
    """Says what the words of a text are."""
    breaks = "`<br />` becomes a space; " if tokenizer.strip_breaks else ""
    if tokenizer.rule == "bytes":
        return (
            f"Tokenizer, on bytes: {breaks}ASCII letters are lowered; a word is a run of `[a-z0-9']` or bytes >= 0x80."
        )
    marks = "; `!` and `?` are words" if tokenizer.marks else ""
    if tokenizer.rule == "unicode-14-marks":
        marks = "; each punctuation mark and symbol is a word"
    return (
        f"Tokenizer, the rule `{tokenizer.rule}` of rnnx: {breaks}letters of every script are lowered; a word is a run "
        f"of letters and digits, or one character of a script without spaces, or an emoji{marks}. A program that calls "
        "`model.onnx` by itself needs this rule (`rnnx/text/README.md`)."
    )


def describe_words(words: WordsConfig) -> str:
    """Writes out how a tagger turns words into ids, and a text into words."""
    slots = ", ".join(f"`{slot}`" for slot in words.features)
    match words.rule:
        case "bytes":
            ids = _WORD_RULE.format(slots=slots, longest=words.max_length)
            return f"{ids}\n\n### Sentences and words\n\n{describe_bytes_rule()}"
        case "unicode-14":
            hyphens = "a hyphen joins words" if words.joins_hyphens else "a hyphen is a word of its own"
            ids = _UNICODE_WORD_RULE.format(rule=words.rule, slots=slots, longest=words.max_length, hyphens=hyphens)
            split = describe_unicode_rule(joins_hyphens=words.joins_hyphens)
            return f"{ids}\n\n### Sentences and words\n\n{split}"
        case _:
            assert_never(words.rule)
