"""Loads data sets: labelled texts (IMDB, folders, archives, tables), tagged sentences, and sequences of numbers.

Needs no extra, except to download the IMDB archive, and `[tables]` for Parquet, Arrow, .xlsx and .zst. Texts stay
bytes, as the tokenizer needs them. The test part is kept apart from the training part from the start.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias, assert_never

from rnnx.bundle.config import ModelKind
from rnnx.datasets.archives import require_regular
from rnnx.datasets.folders_and_tables import read_dataset
from rnnx.datasets.imdb import load_imdb
from rnnx.datasets.label_sets import LabelSetDataset, LabelSets, split_label_sets
from rnnx.datasets.npz import NPZ_ENDING, read_npz
from rnnx.datasets.ratings import RatingDataset, Ratings, split_ratings
from rnnx.datasets.sentences import TaggedDataset, TaggedSentences, split_sentences
from rnnx.datasets.series import Series, SeriesDataset, SeriesTask, split_series
from rnnx.datasets.table_form import Columns, Listener, TableForm, warn_of_table_options
from rnnx.datasets.tables import known_endings
from rnnx.datasets.tagged_files import default_tag_column, is_tagged_file, load_tagged
from rnnx.datasets.targets import TextDataset, TextTask, require_labelled
from rnnx.datasets.texts import Dataset, Examples, split_by_group, split_by_label
from rnnx.errors import UsageError
from rnnx.files.foreign import is_address

__all__ = [
    "DESCRIPTIONS",
    "AnyDataset",
    "Columns",
    "Dataset",
    "Examples",
    "LabelSetDataset",
    "LabelSets",
    "Listener",
    "RatingDataset",
    "Ratings",
    "Series",
    "SeriesDataset",
    "SeriesTask",
    "TableForm",
    "TaggedDataset",
    "TaggedSentences",
    "TextTask",
    "default_tag_column",
    "kind_of",
    "load_any",
    "load_dataset",
    "load_sentences",
    "load_series",
    "load_texts",
    "split_by_group",
    "split_by_label",
    "split_label_sets",
    "split_ratings",
    "split_sentences",
    "split_series",
]

AnyDataset: TypeAlias = Dataset | LabelSetDataset | RatingDataset | TaggedDataset | SeriesDataset

# What the data sets of each kind hold, for messages.
DESCRIPTIONS: dict[ModelKind, str] = {
    "texts": "texts with a label each",
    "sentences": "sentences with a tag for each word (.conllu, .conll)",
    "sequences": "sequences of numbers (.npz)",
}


def kind_of(name: str, columns: Columns | None = None) -> ModelKind:
    """Tells which kind of model a data set trains, from its name, from its columns, or from its first lines.

    Args:
        name: The name or the path of the data set; the file need not exist.
        columns: What the user said about the columns; one of tags makes it a data set of sentences.
    """
    if name.lower().endswith(NPZ_ENDING):
        return "sequences"
    return "sentences" if (columns and columns.tag) or is_tagged_file(name) else "texts"  # texts have many endings


def load_any(
    name: str,
    task: TextTask | None = "classification",
    *,
    data_dir: Path | None = None,
    columns: Columns | None = None,
    form: TableForm | None = None,
    listener: Listener | None = None,
) -> AnyDataset:
    """Loads a data set of any kind by name or path.

    Args:
        name: As `load_dataset`, `load_sentences` and `load_series` take it.
        task: Whether each text, or sequence of numbers, has a label, several labels or a number. None takes several
            labels for the texts of a table with lists of them, else one label; ignored for tagged sentences.
        data_dir: The folder of the IMDB reviews; refused for any other data set.
        columns: The columns of a table of texts, or of the tags of words; ignored for numbers.
        form: How a table of texts is written; ignored for the other kinds.
        listener: Takes what was found out about a table, and what is probably wrong with it.

    Raises:
        DataError: If it cannot be read.
        UsageError: If there is no data set of that name.
    """
    match kind_of(name, columns):
        case "texts":
            return load_texts(name, task, data_dir=data_dir, columns=columns, form=form, listener=listener)
        case "sentences":
            warn_of_table_options(name, columns, form, listener or Listener())
            return load_sentences(name, data_dir=data_dir, columns=columns, listener=listener)
        case "sequences":
            if task == "multilabel":
                raise UsageError(f"the task multilabel needs a table of texts, not {name}")
            warn_of_table_options(name, columns, form, listener or Listener())
            return load_series(name, task or "classification", data_dir=data_dir)
        case kind:
            assert_never(kind)


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    columns: Columns | None = None,
    form: TableForm | None = None,
    listener: Listener | None = None,
) -> Dataset:
    """Loads labelled texts by name or path.

    Args:
        name: `imdb`; or the path of a folder of `train/<label>/*.txt` (and `test/`) or of another layout of
            `rnnx.datasets.label_folders`, of an archive of such a folder, or of a table in one of the formats of
            `rnnx.datasets.table_formats`.
        data_dir: The folder that holds the IMDB reviews, packed or unpacked; None downloads them.
        columns: The columns of a table; by default `text` and `label`, or names like these.
        form: How a table is written; by default this is found out.
        listener: Takes what was found out, and what is probably wrong with the data.

    Raises:
        DataError: If it cannot be read, or holds no labelled text.
        MissingExtraError: If its format needs a package that is not installed.
        UsageError: If there is no data set of that name, or it holds no texts.
    """
    return require_labelled(
        load_texts(name, "classification", data_dir=data_dir, columns=columns, form=form, listener=listener)
    )


def load_texts(
    name: str,
    task: TextTask | None,
    *,
    data_dir: Path | None = None,
    columns: Columns | None = None,
    form: TableForm | None = None,
    listener: Listener | None = None,
) -> TextDataset:
    """Loads texts with a label, several labels or a number each, by name or path.

    Args:
        name: As for `load_dataset`; several labels and numbers are in tables only.
        task: What each text has; None takes several labels if a table has lists of them, else one label.
        data_dir: As for `load_dataset`.
        columns: The columns of a table; by default `text` and `label`, or names like these.
        form: How a table is written; by default this is found out.
        listener: Takes what was found out, and what is probably wrong with the data.

    Raises:
        DataError: If it cannot be read, or holds no such text.
        MissingExtraError: If its format needs a package that is not installed.
        UsageError: If there is no data set of that name, or it holds no texts.
    """
    if name == "imdb":
        if task not in (None, "classification"):
            raise UsageError(f"imdb: has one label for each text; the task {task} needs a table")
        warn_of_table_options(name, columns, form, listener or Listener())
        return load_imdb(data_dir)
    _refuse_data_dir(name, data_dir)
    path = Path(name)
    if not path.exists():
        raise UsageError(_describe_missing(name))
    require_regular(path)
    kind = kind_of(name)
    if kind != "texts":
        raise UsageError(f"{name}: holds {DESCRIPTIONS[kind]}, but {DESCRIPTIONS['texts']} are needed here")
    return read_dataset(path, columns or Columns(), form, listener, task)


def load_sentences(
    name: str,
    *,
    data_dir: Path | None = None,
    columns: Columns | None = None,
    listener: Listener | None = None,
) -> TaggedDataset:
    """Loads tagged sentences.

    Args:
        name: The path of a `.conllu` file, or of a file with a word and its tags per line. If its name contains
            `train`, the files with `dev` and `test` in its place are the validation and the test part.
        data_dir: Refused unless None.
        columns: Which column holds the tags; by default UPOS, or what `rnnx.datasets.column_files.find_form` finds.
        listener: Takes what was found out, and what is probably wrong with the data.

    Raises:
        DataError: If a file cannot be read.
        UsageError: If there is no such file or no such column, or `data_dir` is given.
    """
    path = _find_file(name, ".conllu or .conll", data_dir)
    return load_tagged(path, columns.tag if columns else None, listener or Listener())


def load_series(name: str, task: SeriesTask, *, data_dir: Path | None = None) -> SeriesDataset:
    """Loads sequences of numbers.

    Args:
        name: The path of a `.npz` file.
        task: Whether it has labels or values to be predicted.
        data_dir: Refused unless None.

    Raises:
        DataError: If the file cannot be read.
        UsageError: If there is no such file, or `data_dir` is given.
    """
    return read_npz(_find_file(name, NPZ_ENDING, data_dir), task)


def _describe_missing(name: str) -> str:
    """Says that there is no data set of a name, and what could have been meant."""
    if is_address(name):
        return f"no data set {name!r}: an address, not a file; download it, and name the file"
    if Path(name).suffix or len(Path(name).parts) > 1:
        return f"no data set {name!r}: there is no such file or folder here; check its name and its folder"
    if get_close_matches(name.lower(), ["imdb"], cutoff=0.7):
        return f"no data set {name!r}; did you mean imdb?"
    kinds = f"a folder, an archive, {known_endings()}, .conllu, .conll or .npz"
    return f"no data set {name!r}: give imdb, or the path of {kinds}"


def _find_file(name: str, ending: str, data_dir: Path | None) -> Path:
    """The path of a data set that must be a file."""
    _refuse_data_dir(name, data_dir)
    if not Path(name).is_file():
        raise UsageError(f"no data set {name!r}: give the path of a {ending} file")
    return Path(name)


def _refuse_data_dir(name: str, data_dir: Path | None) -> None:
    if data_dir is not None:
        raise UsageError(f"--data-dir is the folder of the IMDB reviews; leave it out for {name}")
