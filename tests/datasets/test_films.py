"""Tests the films of the IMDB reviews and the unlabelled reviews, in a small tree with the shape of the archive."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import pytest

from rnnx.datasets import Dataset, load_dataset
from rnnx.datasets.films import read_films

FILES = {
    "train/neg/0_3.txt": b"bad",
    "train/neg/1_1.txt": b"worse",
    "train/pos/0_9.txt": b"good",
    "train/pos/1_10.txt": b"great",
    "train/pos/10_8.txt": b"fine",
    "train/unsup/0_0.txt": b"\xef\xbb\xbfwho knows",
    "train/unsup/1_0.txt": b"",
    "test/neg/0_2.txt": b"dull",
    "test/unsup/0_0.txt": b"not to be read",
    "train/urls_neg.txt": b"http://www.imdb.com/title/tt0001/usercomments\nhttp://www.imdb.com/title/tt0002/x\n",
    "train/urls_pos.txt": b"".join(b"http://www.imdb.com/title/tt%04d/usercomments\r\n" % n for n in range(2, 13)),
    "train/urls_unsup.txt": b"http://www.imdb.com/title/tt0009/x\n" * 2,
    "test/urls_neg.txt": b"http://www.imdb.com/title/tt0099/x\n",
    "README": b"not a text",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def load(folder: Path, form: str) -> Dataset:
    if form == "folder":
        return load_dataset(str(folder))
    return load_dataset(shutil.make_archive(str(folder.parent / "packed"), form, folder.parent, folder.name))


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "gztar"])
def test_each_review_has_its_film_and_unlabelled_reviews_are_read(tmp_path: Path, form: str) -> None:
    data = load(write(tmp_path / "reviews", FILES), form)
    assert data.labels == ("neg", "pos"), "unsup is not a label"
    assert list(data.train.texts) == [b"bad", b"worse", b"good", b"fine", b"great"]  # by path: 10_8 before 1_10
    # Line N, from 0, belongs to review N, in any order of the names; a film may have reviews of both labels.
    assert list(data.train.groups or ()) == ["tt0001", "tt0002", "tt0002", "tt0012", "tt0003"]
    assert list(data.unlabelled) == [b"who knows", b""]
    assert data.summary() == "5 labelled texts, 2 unlabelled ones"
    assert data.test is not None
    assert list(data.test.texts) == [b"dull"]
    assert data.test.groups is None


def test_the_imdb_data_set_has_films_and_unlabelled_reviews(tmp_path: Path) -> None:
    data = load_dataset("imdb", data_dir=write(tmp_path / "aclImdb", FILES))
    assert data.train.groups is not None
    assert len(data.unlabelled) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"train/urls_pos.txt": None},
        {"train/urls_neg.txt": b"http://www.imdb.com/title/tt0001/x\n"},  # too short
        {"train/urls_neg.txt": b""},
        {"train/urls_pos.txt": b"no film here\n" * 11},
        {"train/pos/note.txt": b"whose name has no number"},
        {"train/mixed/0_5.txt": b"a label without a list"},
    ],
)
def test_incomplete_lists_of_films_are_ignored(tmp_path: Path, changed: dict[str, bytes | None]) -> None:
    files = {name: data for name, data in (FILES | changed).items() if data is not None}
    data = load_dataset(str(write(tmp_path / "reviews", files)))
    assert data.train.groups is None
    assert len(data.unlabelled) == 2, "unlabelled reviews need no list of films"


def test_a_folder_without_lists_has_no_films_and_no_unlabelled_reviews(tmp_path: Path) -> None:
    files = {name: data for name, data in FILES.items() if "urls" not in name and "unsup" not in name}
    data = load_dataset(str(write(tmp_path / "reviews", files)))
    assert data.train.groups is None
    assert list(data.unlabelled) == []
    assert data.summary() == "5 labelled texts"


def test_unlabelled_texts_alone_are_not_a_training_part(tmp_path: Path) -> None:
    from rnnx.errors import DataError

    with pytest.raises(DataError, match=r"no train/<label>/\*\.txt inside"):
        load_dataset(str(write(tmp_path / "reviews", {"train/unsup/0_0.txt": b"who knows"})))


def test_a_table_has_no_films_and_no_unlabelled_reviews(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\ngood,pos\nbad,neg\n", encoding="utf-8")
    data = load_dataset(str(tmp_path / "t.csv"))
    assert data.train.groups is None
    assert list(data.unlabelled) == []


def test_a_film_is_identified_by_its_number_in_any_url() -> None:
    reviews = [(PurePosixPath("train/pos/2_10.txt"), "pos")]
    lines = b"\nhttp://www.imdb.com/title/tt0000001/usercomments\nhttps://m.imdb.com/title/tt0104257/reviews?a=b\n"
    assert read_films(reviews, {"pos": lines}) == ["tt0104257"]
