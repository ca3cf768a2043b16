"""What `rnnx infer` does differently for each kind of model: its options, how files are read, how answers are shown.

`answer_kind` chooses the class once, when the model is opened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, assert_never

from rnnx.bundle.span_tags import are_span_tags
from rnnx.cli import tags, terminal
from rnnx.cli.answers import cells_for, headings
from rnnx.cli.infer_table import require_no_table
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.infer.encoders import ArrayReader, TextReader
    from rnnx.infer.input_items import Answer, Item
    from rnnx.infer.predictor import Predictor


class AnswerKind(ABC):
    """What depends on the kind of model.

    Attributes:
        position: The attribute of an item that says where in its file it is, and its name in JSON.
        dataset: What the model can be evaluated on, in words.
    """

    position: ClassVar[str] = "line"
    dataset: str

    def __init__(self, predictor: Predictor, model: str) -> None:
        """Takes a loaded model, and its name as the user gave it."""
        self.predictor = predictor
        self.model = model

    def require_options(self, *, top: int, has_threshold: bool, as_conllu: bool) -> None:
        """Refuses options that this model has no use for.

        Args:
            top: How many labels to show.
            has_threshold: Whether a threshold was given.
            as_conllu: Whether CoNLL-U is wanted.

        Raises:
            UsageError: Names the option, and says why.
        """
        if as_conllu:
            raise UsageError(f"--conllu is for models that tag words; {self.model} does not")
        count = len(self.predictor.labels)
        if has_threshold and count != 2:
            raise UsageError(f"--threshold is for two labels; {self.model} has {count}")

    @abstractmethod
    def read(self, files: Sequence[str], *, lines: bool) -> Iterator[Item | None]:
        """Reads files as items.

        Raises:
            UsageError: If they cannot be read line by line.
        """

    def write_rows(self, answers: Iterable[Answer], files: Sequence[str], *, lines: bool, top: int) -> None:
        """Prints one row for each answer.

        Args:
            answers: The answers.
            files: The files that they were read from.
            lines: Whether each line is one text.
            top: How many labels to show.
        """
        config = self.predictor.config
        count = min(top, len(config.labels))
        columns = ["File", *([self.position.capitalize()] if self._shows_position(lines) else [])]
        columns += headings(config, count)
        cells = cells_for(config, count)
        shows_position = self._shows_position(lines)
        rows: list[list[object]] = []
        for answer in answers:
            if answer.prediction is None:
                continue
            place = [getattr(answer.item, self.position)] if shows_position else []
            rows.append([answer.item.source, *place, *cells(answer.prediction)])
            if len(rows) == terminal.TABLE_ROWS:
                terminal.write_table(columns, rows)
                rows = []
        if rows:
            terminal.write_table(columns, rows)

    def _shows_position(self, lines: bool) -> bool:
        return lines


class TextAnswers(AnswerKind):
    """A text classifier, and the base of the other kinds that read texts."""

    dataset = "texts"

    def __init__(self, predictor: Predictor, model: str, reader: TextReader) -> None:
        """Takes a loaded model, its name as the user gave it, and its reader."""
        super().__init__(predictor, model)
        self._tokenizer = reader.tokenizer

    def read(self, files: Sequence[str], *, lines: bool) -> Iterator[Item | None]:
        """Reads texts of any length."""
        if not lines:
            require_no_table(files, has_labels=True)
        from rnnx.infer.text_files import read_files, read_lines

        return read_lines(files, self._tokenizer) if lines else read_files(files, self._tokenizer)


class LabelSetAnswers(TextAnswers):
    """A model that gives a text any number of labels."""

    dataset = "texts with several labels each"

    def require_options(self, *, top: int, has_threshold: bool, as_conllu: bool) -> None:
        """Refuses the options for one label of a text."""
        if top > 1:
            raise UsageError(f"-k is for one label per text; {self.model} gives several; --jsonl has all probabilities")
        if has_threshold:
            raise UsageError(f"--threshold is for two labels; {self.model} has a threshold for each of its labels")
        super().require_options(top=top, has_threshold=has_threshold, as_conllu=as_conllu)


class RatingAnswers(TextAnswers):
    """A model that gives a text a number."""

    dataset = "texts with a number each"

    def require_options(self, *, top: int, has_threshold: bool, as_conllu: bool) -> None:
        """Refuses the options for labels."""
        if top > 1 or has_threshold:
            raise UsageError(f"-k and --threshold are for labels; {self.model} gives a number")
        super().require_options(top=top, has_threshold=has_threshold, as_conllu=as_conllu)


_TEXT_ANSWERS: dict[str, type[TextAnswers]] = {"multilabel": LabelSetAnswers, "regression": RatingAnswers}


class TaggerAnswers(AnswerKind):
    """A tagger of words."""

    dataset = "sentences with a tag for each word: give a .conllu or .conll file, or --tag-column"

    def require_options(self, *, top: int, has_threshold: bool, as_conllu: bool) -> None:
        """Refuses the options for labels of whole texts."""
        if top > 1 or has_threshold:
            raise UsageError(f"-k and --threshold are for labels of whole texts; {self.model} tags words")
        words = self.predictor.config.words
        if as_conllu and words and words.tag_column.startswith(("feats", "misc")):
            raise UsageError(f"--conllu cannot write tags of {words.tag_column}, as {self.model} has; use --jsonl")

    def read(self, files: Sequence[str], *, lines: bool) -> Iterator[Item | None]:
        """Reads texts, and treebanks sentence by sentence."""
        from rnnx.infer.text_files import read_files, read_lines, read_treebank

        if not lines:
            require_no_table([file for file in files if not _is_treebank(file)], has_labels=False)
        for file in files:
            if _is_treebank(file):
                yield from read_treebank(file)
            else:
                yield from read_lines([file]) if lines else read_files([file])

    def write_rows(self, answers: Iterable[Answer], files: Sequence[str], *, lines: bool, top: int) -> None:
        """Prints one row for each word."""
        tags.write_rows(answers, with_lines=lines or any(map(_is_treebank, files)))


class SpanAnswers(TaggerAnswers):
    """A tagger whose tags make spans, such as names."""

    def require_options(self, *, top: int, has_threshold: bool, as_conllu: bool) -> None:
        """Refuses CoNLL-U, which has no column for spans, and what every tagger refuses."""
        super().require_options(top=top, has_threshold=has_threshold, as_conllu=as_conllu)
        if as_conllu:
            raise UsageError(f"--conllu is for parts of speech; {self.model} finds spans: use --jsonl")

    def read(self, files: Sequence[str], *, lines: bool) -> Iterator[Item | None]:
        """Reads texts as characters, in which the places of spans are counted."""
        for item in super().read(files, lines=lines):
            yield item if item is None or item.text is None else replace(item, counts_characters=True)

    def write_rows(self, answers: Iterable[Answer], files: Sequence[str], *, lines: bool, top: int) -> None:
        """Prints one row for each span."""
        tags.write_span_rows(answers, with_lines=lines or any(map(_is_treebank, files)))


class ArrayAnswers(AnswerKind):
    """A network that reads numbers, or ids without a vocabulary."""

    position = "index"

    def __init__(self, predictor: Predictor, model: str, reader: ArrayReader) -> None:
        """Takes a loaded model, its name as the user gave it, and its reader."""
        super().__init__(predictor, model)
        self._reader = reader
        self.dataset = f"{reader.describe()}: give a .npz file"

    def read(self, files: Sequence[str], *, lines: bool) -> Iterator[Item | None]:
        """Reads the sequences of files of numbers."""
        from rnnx.infer.array_files import read_arrays_of

        if lines:
            raise UsageError(f"--lines is for texts; this model reads {self._reader.describe()}")
        return read_arrays_of(self._reader, files)

    def _shows_position(self, lines: bool) -> bool:
        return True


def answer_kind(predictor: Predictor, model: str) -> AnswerKind:
    """Chooses what depends on the kind of a loaded model.

    Args:
        predictor: The loaded model.
        model: Its name as the user gave it, for messages.
    """
    from rnnx.infer.encoders import ArrayReader, TextReader
    from rnnx.infer.tagger import SentenceReader

    match predictor.reader:
        case TextReader() as reader:
            return _TEXT_ANSWERS.get(predictor.config.task, TextAnswers)(predictor, model, reader)
        case SentenceReader():
            return (SpanAnswers if are_span_tags(predictor.labels) else TaggerAnswers)(predictor, model)
        case ArrayReader() as reader:
            return ArrayAnswers(predictor, model, reader)
        case reader:
            assert_never(reader)


def _is_treebank(file: str) -> bool:
    from rnnx.datasets import kind_of

    return kind_of(file) == "sentences"
