"""Tests that a place for a result is refused before the work begins, with a line that says what is in the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnx.errors import UsageError
from rnnx.files.places import require_file_place, require_folder_place

Check = Callable[[Path], None]

REST = "in it; choose another --out"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Is the working directory, with a file, a folder, and a link that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize("place", ["new", "folder", "folder/new", "new/er", "new/er/est"])
def test_a_folder_may_be_new_together_with_those_above_it(place: str, folder: Path) -> None:
    require_folder_place(Path(place))
    require_folder_place(folder / place)


@pytest.mark.parametrize("place", ["new.csv", "file", "folder/new.csv", os.devnull])
def test_a_file_may_be_new_or_replaced(place: str) -> None:
    require_file_place(Path(place))


@pytest.mark.parametrize(
    ("check", "place", "message"),
    [
        (require_folder_place, "file", "file: is not a folder; choose another --out"),
        (require_folder_place, "link", "link: is not a folder; choose another --out"),
        *(
            (check, f"{above}/a", f"{above}/a: {above} is not a folder, so nothing can be written {REST}")
            for check in (require_folder_place, require_file_place)
            for above in ("file", "link")
        ),
        (
            require_folder_place,
            "file/a/b",
            f"file/a/b: file is not a folder, so nothing can be written {REST}",
        ),
        (require_file_place, "folder", "folder: is a folder, not a file; choose another --out"),
        (require_file_place, "new/a.csv", "new/a.csv: there is no folder new; make it, or choose another --out"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_named(check: Check, place: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(Path(place))
    assert str(caught.value) == message


def test_the_option_of_the_place_is_named() -> None:
    with pytest.raises(UsageError, match="choose another --plot"):
        require_file_place(Path("file/a.png"), "--plot")
