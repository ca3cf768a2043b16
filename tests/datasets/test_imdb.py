"""Tests that the IMDB archive is found in each of its forms, and really downloaded, from a server on this machine."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnx.datasets import imdb, load_dataset
from rnnx.errors import DataError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for part in ("train", "test"):
        for label in ("neg", "pos"):
            folder = tmp_path / "official" / "aclImdb" / part / label
            folder.mkdir(parents=True)
            (folder / "0_9.txt").write_bytes(f"{part} {label}".encode())
    return Path(shutil.make_archive(str(tmp_path / "served" / "aclImdb_v1"), "gztar", tmp_path / "official", "aclImdb"))


@pytest.fixture
def server(archive: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(archive.parent)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/{archive.name}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_reviews_are_found_unpacked_and_packed(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imdb, "ARCHIVE_MD5", hashlib.md5(archive.read_bytes()).hexdigest())  # noqa: S324  # as published
    unpacked = archive.parent.parent / "official"
    for data_dir in (unpacked, unpacked / "aclImdb", archive.parent):
        data = load_dataset("imdb", data_dir=data_dir)
        assert (data.name, data.labels) == ("imdb", ("neg", "pos"))
        assert list(data.train.texts) == [b"train neg", b"train pos"]
        assert data.test is not None
        assert list(data.test.texts) == [b"test neg", b"test pos"]


def test_an_archive_with_the_official_name_must_have_the_official_hash(archive: Path) -> None:
    with pytest.raises(DataError, match="is not that of the IMDB archive"):
        load_dataset("imdb", data_dir=archive.parent)


def test_a_folder_without_reviews_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither aclImdb/ nor"):
        load_dataset("imdb", data_dir=tmp_path)


@pytest.mark.train
def test_the_archive_is_downloaded_once_and_checked(
    archive: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras", reason="needs the [train] extra")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()  # noqa: S324  # as published
    path = imdb.fetch_imdb(server, md5, tmp_path / "cache")
    assert path.read_bytes() == archive.read_bytes()
    archive.unlink()  # so the second call must use the cache
    assert imdb.fetch_imdb(server, md5, tmp_path / "cache") == path
    assert capsys.readouterr().out == ""  # Keras's progress bar belongs on stderr


@pytest.mark.train
def test_a_wrong_hash_and_a_missing_file_are_data_errors(server: str, tmp_path: Path) -> None:
    pytest.importorskip("keras", reason="needs the [train] extra")
    with pytest.raises(DataError, match=r"could not be downloaded: .*corrupted.*--data-dir"):
        imdb.fetch_imdb(server, "0" * 32, tmp_path / "cache")
    with pytest.raises(DataError, match=r"could not be downloaded: .*404.*--data-dir"):
        imdb.fetch_imdb(f"{server}.nothing", "0" * 32, tmp_path / "cache2")
