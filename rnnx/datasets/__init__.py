"""Labelled texts from wherever they lie: the IMDB reviews, folders, archives, tables; tagged sentences; numbers.

Needs no extra (fetching the IMDB archive is the one exception). Texts stay bytes, as the tokenizer wants them; the
test part is kept apart from the training part from the first moment.
"""

from __future__ import annotations

from pathlib import Path

from rnnx.datasets.conllu import CONLLU_ENDING, load_conllu
from rnnx.datasets.folders_and_tables import Columns, read_dataset
from rnnx.datasets.imdb import load_imdb
from rnnx.datasets.npz import NPZ_ENDING, read_npz
from rnnx.datasets.sentences import TaggedDataset, TaggedSentences, split_sentences
from rnnx.datasets.series import Series, SeriesDataset, SeriesTask, split_series
from rnnx.datasets.texts import Dataset, Examples, split_by_group, split_by_label
from rnnx.errors import UsageError

__all__ = [
    "Columns",
    "Dataset",
    "Examples",
    "Series",
    "SeriesDataset",
    "SeriesTask",
    "TaggedDataset",
    "TaggedSentences",
    "is_series",
    "is_tagged",
    "load_dataset",
    "load_sentences",
    "load_series",
    "split_by_group",
    "split_by_label",
    "split_sentences",
    "split_series",
]


def load_dataset(name: str, *, data_dir: Path | None = None, columns: Columns | None = None) -> Dataset:
    """Loads a data set by name or path.

    Args:
        name: `imdb`; or the path of a folder of `train/<label>/*.txt` (and `test/`), of an archive of such a folder,
            or of a `.csv`, `.tsv` or `.jsonl` file.
        data_dir: Where the IMDB reviews lie, packed or unpacked; fetched if None.
        columns: The columns of a table; by default `text` and `label`.

    Raises:
        DataError: If it cannot be read, or holds fewer than two labels.
        UsageError: If there is nothing of that name.
    """
    if name == "imdb":
        return load_imdb(data_dir)
    if data_dir is not None:
        raise UsageError(f"--data-dir is for imdb; {name} is a path of its own")
    path = Path(name)
    if not path.exists():
        raise UsageError(
            f"no data set {name!r}: give imdb, or the path of a folder, an archive, .csv, .tsv, .jsonl, .conllu or .npz"
        )
    if is_tagged(name):
        raise UsageError(f"{name}: has a tag for each word; here texts with a label each are wanted")
    if is_series(name):
        raise UsageError(f"{name}: holds sequences of numbers; here texts with a label each are wanted")
    return read_dataset(path, columns or Columns())


def is_tagged(name: str) -> bool:
    """Whether a data set of that name has a tag for each word, and not a label for each text."""
    return name.lower().endswith(CONLLU_ENDING)


def load_sentences(name: str, *, data_dir: Path | None = None) -> TaggedDataset:
    """Loads tagged sentences.

    Args:
        name: The path of a `.conllu` file; if `train` stands in its name, its neighbours `dev` and `test` belong to it.
        data_dir: Only to be refused.

    Raises:
        DataError: If it cannot be read.
        UsageError: If there is nothing of that name.
    """
    return load_conllu(_find_file(name, CONLLU_ENDING, data_dir))


def is_series(name: str) -> bool:
    """Whether a data set of that name holds sequences of numbers, and no texts."""
    return name.lower().endswith(NPZ_ENDING)


def load_series(name: str, task: SeriesTask, *, data_dir: Path | None = None) -> SeriesDataset:
    """Loads sequences of numbers.

    Args:
        name: The path of a `.npz` file.
        task: Whether it has labels or values to be predicted.
        data_dir: Only to be refused.

    Raises:
        DataError: If it cannot be read.
        UsageError: If there is nothing of that name.
    """
    return read_npz(_find_file(name, NPZ_ENDING, data_dir), task)


def _find_file(name: str, ending: str, data_dir: Path | None) -> Path:
    """The file that a data set is, where only a file can be one."""
    if data_dir is not None:
        raise UsageError(f"--data-dir is for imdb; {name} is a path of its own")
    if not Path(name).is_file():
        raise UsageError(f"no data set {name!r}: give the path of a {ending} file")
    return Path(name)
