"""Loads the Large Movie Review Dataset (Maas et al., ACL 2011) from a folder, or downloads it and checks its hash.

Imports Keras for the download alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from rnnx.datasets.folders_and_tables import read_dataset
from rnnx.datasets.table_form import Columns
from rnnx.datasets.targets import require_labelled
from rnnx.datasets.texts import Dataset
from rnnx.errors import DataError, MissingExtraError, UntrustedDataError, one_line
from rnnx.files.home_folders import keras_cache

ARCHIVE_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
ARCHIVE_NAME = "aclImdb_v1.tar.gz"
# torchtext, Paddle and others pin this digest; the authors of the archive publish none.
ARCHIVE_MD5 = "7c2ac02c03563afcf9b574c7e56c153a"

_FOLDER = "aclImdb"


def load_imdb(data_dir: Path | None) -> Dataset:
    """Loads the 25,000 training and 25,000 test reviews, with the labels `neg` and `pos`.

    Args:
        data_dir: A folder that holds `aclImdb/` or an archive `aclImdb*`, or `aclImdb` itself. None downloads the
            archive into Keras's cache (84 MB, once).

    Raises:
        DataError: If the reviews are not in the folder, or cannot be downloaded.
        UntrustedDataError: If the hash of the archive is wrong; it is checked on every read.
        MissingExtraError: If the archive has to be downloaded and Keras is not installed.
    """
    path = find_imdb(data_dir) if data_dir else fetch_imdb()
    if path.name == ARCHIVE_NAME:
        _require_hash(path)
    return replace(require_labelled(read_dataset(path, Columns())), name="imdb")


def find_imdb(data_dir: Path) -> Path:
    """Finds the reviews in a folder: the unpacked ones if there are any, else the archive.

    Raises:
        DataError: If there is neither.
    """
    for folder in (data_dir, data_dir / _FOLDER):
        if (folder / "train" / "pos").is_dir():
            return folder
    archives = sorted(data_dir.glob(f"{_FOLDER}*.tar*")) if data_dir.is_dir() else []
    if not archives:
        raise DataError(f"holds neither {_FOLDER}/ nor {_FOLDER}*.tar.*; leave --data-dir out to download it", data_dir)
    return archives[0]


def fetch_imdb(url: str = ARCHIVE_URL, md5: str = ARCHIVE_MD5, cache_dir: Path | None = None) -> Path:
    """Downloads the archive with Keras's own downloader, unless it is in Keras's cache already.

    Raises:
        DataError: If it cannot be downloaded, or its hash is wrong.
        MissingExtraError: If Keras is not installed.
    """
    try:
        from keras.utils import get_file
    except ImportError as error:
        raise MissingExtraError(
            "downloading the IMDB reviews needs Keras: pip install 'rnnx[train]', or give --data-dir"
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws its progress bar on stdout
            path = get_file(
                ARCHIVE_NAME, url, file_hash=md5, hash_algorithm="md5", cache_dir=cache_dir or keras_cache()
            )
    except Exception as error:  # Keras raises a bare Exception for a failed download, ValueError for a wrong hash
        raise DataError(
            f"the IMDB reviews could not be downloaded: {one_line(error)}; download {url} yourself and give --data-dir"
        ) from error
    return Path(path)


def _require_hash(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
    if digest != ARCHIVE_MD5:
        raise UntrustedDataError(
            f"its md5 {digest} is not that of the IMDB archive ({ARCHIVE_MD5}); download it again from {ARCHIVE_URL}",
            path,
        )
