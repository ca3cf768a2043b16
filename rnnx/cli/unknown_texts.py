"""The warning that a model knows no word of many texts."""

from __future__ import annotations

from rnnx.bundle.config import TokenizerConfig
from rnnx.cli import terminal

_LEAST_SHARE = 0.05  # a few texts of one rare word, or of none, are in most data sets


def warn_of_unknown_texts(share: float, name: str, texts: str, tokenizer: TokenizerConfig) -> None:
    """Warns if a model can only guess the labels of many texts, and says what to try.

    Args:
        share: The share of the texts in which no word is known, in 0..1.
        name: The data set or the model, for the message.
        texts: What the texts are, for the message.
        tokenizer: The tokenizer of the model.
    """
    if share < _LEAST_SHARE:
        return
    if tokenizer.rule == "bytes":
        advice = "train with --tokenizer unicode-14, which finds the words of every script"
    else:
        advice = "check --text-column and --encoding, or train on more texts of this kind"
    terminal.warning(
        f"{name}: {100 * share:.0f} % of {texts} have no known word, so the model can only guess their labels; {advice}"
    )
