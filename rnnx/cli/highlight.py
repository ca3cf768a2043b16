"""Shows an explained text on a terminal: its words, coloured by how they move the probability of the label."""

from __future__ import annotations

import re
import sys
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

from rnnx.cli import terminal
from rnnx.cli.directions import isolate
from rnnx.text.tokenizer import to_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from rnnx.infer.explain import ExplainedWord, Explanation

# The least share of the strongest effect, the style of such a word, and its name in the legend; the strongest first.
# Blue and orange can be told apart with a red-green colour vision deficiency, and the strength shows without colour.
_LEVELS = (
    (0.6, "bold #000000 on {}", "most"),
    (0.3, "bold underline {}", "more"),
    (0.12, "bold {}", "some"),
    (0.04, "{}", "little"),
)
_FOR, _AGAINST = "#3f9fe8", "#f08c2e"
# A smaller effect may be nothing but float32 rounding.
_LEAST_EFFECT = 1e-6
_MOST_COLUMNS = 100  # a line that is longer is hard to read
_BREAKS = re.compile(r"(?:\s*<br />\s*)+|(?:\r?\n)+")
_BARS = "▁▂▃▄▅▆▇█"


def write_text(place: str, text: bytes, explanation: Explanation) -> None:
    """Prints the prediction, the text with its words coloured, and the curve of the probability over the text.

    Args:
        place: The file and line of the text, for the headline.
        text: The whole text, in UTF-8.
        explanation: The explanation of the text.
    """
    from rich.console import Console

    console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
    console.width = min(console.width, _MOST_COLUMNS)
    console.print(_headline(place, explanation), soft_wrap=True)
    if not explanation.words:
        return
    console.print()
    _print_rows(console, _coloured(text, explanation), to_text(text))
    console.print()
    if any(word.effect for word in explanation.words):
        console.print(_legend(explanation))
    if line := _curve(console, explanation):
        console.print(line)


def _print_rows(console: Console, shown: Text, text: str) -> None:
    """Prints a text row by row. If a row is read from right to left, in part or as a whole, it is marked."""
    from rich.text import Text

    for row in shown.wrap(console, console.width):
        marked = isolate(row.plain, text)
        parts = (row,) if marked == row.plain else (marked[0], row, marked[-1])
        console.print(Text.assemble(*parts), soft_wrap=True)


def write_strongest(explanation: Explanation, count: int) -> None:
    """Prints a table of the words with the strongest effects: for the label on the left, against it on the right.

    Of a number, the words on the left raise it, and those on the right lower it.
    """
    strongest, against = explanation.strongest(count), explanation.strongest(count, against=True)
    if not strongest and not against:
        return
    columns = [
        column for side in _sides(explanation.label) for column in (side[0].upper() + side[1:], "Effect", "Head")
    ]
    rows = [_cells(left) + _cells(right) for left, right in zip_longest(strongest, against)]
    terminal.write_table(columns, rows)


def _cells(word: ExplainedWord | None) -> tuple[str, str, str]:
    return ("", "", "") if word is None else (word.word, f"{word.effect:+.4f}", f"{word.probability:.4f}")


def _headline(place: str, explanation: Explanation) -> Text:
    from rich.text import Text

    prediction = explanation.prediction
    line = Text(f"{isolate(terminal.readable(place))}  ", "bold")
    line.append(", ".join(_answers(explanation)), "bold")
    unknown = len(explanation.words) - explanation.known_count
    line.append(f"  {_count(prediction.tokens)}" + (f", {unknown} unknown" if unknown else ""), "not bold dim")
    return line


def _answers(explanation: Explanation) -> list[str]:
    """Returns the labels of a text with their probabilities, and the explained one if it is another; or its number."""
    from rnnx.infer.predictions import Prediction, Rating

    prediction, label = explanation.prediction, explanation.label
    if isinstance(prediction, Rating):
        return [f"{prediction.value:.4g}"]
    given = (prediction.label,) if isinstance(prediction, Prediction) else prediction.labels
    shown = [*given, label] if label is not None and label not in given else given
    answers = [f"{isolate(name)} {prediction.probs[name]:.4f}" for name in shown]
    return answers if given else ["(none)", *answers]


def _sides(label: str | None) -> tuple[str, str]:
    """Says what a word with an effect above zero does, and one with an effect below zero."""
    if label is None:
        return "raises the number", "lowers the number"
    return f"for {label}", f"against {label}"


def _least_effect(explanation: Explanation) -> float:
    """The least effect that is shown. A probability is at most 1, a number may be larger."""
    return _LEAST_EFFECT * max(1.0, abs(explanation.probability))


def _count(words: int) -> str:
    return "1 word" if words == 1 else f"{words} words"


def _coloured(text: bytes, explanation: Explanation) -> Text:
    """Colours the part of the text that the model read, and says how many words it did not read."""
    from rich.text import Text

    words = explanation.words
    least = _least_effect(explanation)
    scale = max(least, *(abs(word.effect) for word in words))
    before = explanation.first_number - 1
    after = explanation.prediction.tokens - before - len(words)
    shown = Text(f"[{_count(before)} before, not read] " if before else "", "dim", end="")
    at = words[0].start if before else 0
    for word in words:
        shown.append(_plain(text[at : word.start]), "not dim")
        shown.append(terminal.readable(word.word), _style(word, scale, least))
        at = word.end
    shown.append("" if after else _plain(text[at:]).rstrip(), "not dim")
    shown.append(f" [{_count(after)} after, not read]" if after else "", "dim")
    return shown


def _plain(gap: bytes) -> str:
    """Formats the text between two words: a run of line breaks (also `<br />`) as one, the rest escaped."""
    lines = _BREAKS.split(to_text(gap).replace("\t", " "))
    return "\n".join(map(terminal.readable, lines))


def _style(word: ExplainedWord, scale: float, least: float) -> str:
    if not word.is_known:
        return "dim italic"
    if abs(word.effect) < least:
        return "not dim"
    colour = _FOR if word.effect > 0 else _AGAINST
    share = abs(word.effect) / scale
    return next(("not dim " + style.format(colour) for lowest, style, _ in _LEVELS if share >= lowest), "not dim")


def _legend(explanation: Explanation) -> Text:
    from rich.text import Text

    line = Text("")
    label = explanation.label
    sides = _sides(None if label is None else isolate(label))
    for side, colour in zip(sides, (_FOR, _AGAINST), strict=True):
        line.append(f"{side}: ", "dim")
        for _, style, word in reversed(_LEVELS):
            line.append(word, style.format(colour)).append(" ")
        line.append("  ")
    largest = max((word.effect for word in explanation.words), key=abs)
    line.append(f"strongest {largest:+.4f}", "dim")
    return line.append("  ").append("unknown word", "dim italic")


def _curve(console: Console, explanation: Explanation) -> Text | None:
    """Draws what the head gives at each word as bars; None if the terminal cannot print them.

    A probability is drawn from 0 to 1, a number from its least to its largest value here.
    """
    from rich.text import Text

    if not console.encoding.startswith("utf"):
        return None
    probs = [word.probability for word in explanation.words]
    label = explanation.label
    of = "" if label is None else f", {isolate(label)}"
    low, high = (min(probs), max(probs)) if label is None else (0.0, 1.0)
    first, last = f"head{of}: {probs[0]:.2f} ", f" {probs[-1]:.2f}"
    width = min(len(probs), max(1, console.width - len(first) - len(last)))
    cuts = [len(probs) * i // width for i in range(width + 1)]
    means = [sum(probs[a:b]) / (b - a) for a, b in pairwise(cuts)]
    shares = [(mean - low) / (high - low) if high > low else 0.0 for mean in means]
    bars = "".join(_BARS[min(int(share * len(_BARS)), len(_BARS) - 1)] for share in shares)
    return Text(first, "dim").append(bars, "not dim").append(last, "dim")
