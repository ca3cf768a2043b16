"""Tests the publication of directories by processes that are killed, and by several processes at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rnnx.bundle.directory import read_directory, require_replaceable, write_directory
from rnnx.files import publish
from rnnx.files.locks import lock_folder
from tests.bundles import CONFIG

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL and flock")

# Code for processes that are killed: one has its temporary folder open, the other is between the two renames of a
# publication on a file system that cannot exchange directories.
HOLDING = "with publish.temporary_folder(Path(sys.argv[1]), 'm') as folder: (folder / 'x').touch(); wait()"
BETWEEN_RENAMES = """
publish._exchange = lambda a, b: False
rename = Path.rename
def rename_once(self, target):
    rename(self, target)
    wait()
Path.rename = rename_once
with publish.publish(Path(sys.argv[1]) / 'm', lambda out: None) as folder: (folder / 'new').touch()
"""
# Publishes again and again, every second time with one more file.
PUBLISHING = """
from rnnx.bundle.directory import write_directory
from tests.bundles import CONFIG
who, count = int(sys.argv[2]), int(sys.argv[3])
for i in range(count):
    files = {name: b'%d-%d-%s' % (who, i, name.encode()) for name in ('a', 'b', 'testdata/c', *(['d'] * (i % 2)))}
    write_directory(Path(sys.argv[1]), CONFIG, files)
"""


def begin(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    head = "import sys, time\nfrom pathlib import Path\nfrom rnnx.files import publish\n"
    head += "def wait(): print('here', flush=True); time.sleep(60)\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own code


def wait_for(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_only_the_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".m-backup").mkdir()
    (tmp_path / ".other-abcdefgh.rnnx").mkdir()
    not_ours = names(tmp_path)
    killed, alive = begin(HOLDING, tmp_path), begin(HOLDING, tmp_path)
    for process in (killed, alive):
        wait_for(process)
    assert len(names(tmp_path) - not_ours) == 2
    kill(killed)
    try:
        write_directory(tmp_path / "m", CONFIG, {"a": b"a"})
        (still,) = names(tmp_path) - not_ours - {"m"}
        assert (tmp_path / still / "x").exists()
    finally:
        kill(alive)
    write_directory(tmp_path / "m", CONFIG, {"a": b"b"})
    assert names(tmp_path) == {"m", *not_ours}


def test_the_old_directory_is_restored_after_a_death_between_two_renames(tmp_path: Path) -> None:
    """This happens where the file system cannot exchange directories."""
    write_directory(tmp_path / "m", CONFIG, {"a": b"old"})
    process = begin(BETWEEN_RENAMES, tmp_path)
    wait_for(process)
    kill(process)
    assert "m" not in names(tmp_path)
    with pytest.raises(KeyboardInterrupt), publish.publish(tmp_path / "m", require_replaceable):
        raise KeyboardInterrupt
    assert names(tmp_path) == {"m"}
    assert read_directory(tmp_path / "m").files == {"a": b"old"}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_concurrent_publications_are_never_mixed(tmp_path: Path, can_exchange: bool) -> None:
    """Without an exchange of directories, a reader may find none for a moment, so it does not read in that case."""
    write_directory(tmp_path / "m", CONFIG, {"a": b"first"})
    code = PUBLISHING if can_exchange else f"publish._exchange = lambda a, b: False{PUBLISHING}"
    processes = [begin(code, tmp_path / "m", str(who), "40") for who in range(3)]
    versions = set()
    while any(process.poll() is None for process in processes):
        if can_exchange:
            files = read_directory(tmp_path / "m").files
            versions.add(files["a"])
            assert len({data.rpartition(b"-")[0] for data in files.values()}) == 1
            require_replaceable(tmp_path / "m")
    assert [process.wait() for process in processes] == [0, 0, 0]
    for process in processes:
        process.communicate()
    assert names(tmp_path) == {"m"}
    assert len({data.rpartition(b"-")[0] for data in read_directory(tmp_path / "m").files.values()}) == 1
    assert len(versions) > 10 or not can_exchange


def test_a_lock_is_held_once_and_ends_with_its_folder(tmp_path: Path) -> None:
    first = lock_folder(tmp_path)
    assert first is not None
    assert first.is_real
    assert lock_folder(tmp_path) is None
    first.release()
    (tmp_path / "gone").mkdir()
    second = lock_folder(tmp_path / "gone")
    assert second is not None
    assert second.is_on(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (tmp_path / "gone").mkdir()
    assert not second.is_on(tmp_path / "gone")
    second.release()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("module", "name"), [(tempfile, "mkdtemp"), (shutil, "rmtree")])
def test_ctrl_c_while_a_temporary_folder_is_made_or_removed_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    whole = getattr(module, name)

    def interrupted(*args: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return whole(*args, **options)

    monkeypatch.setattr(module, name, interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), publish.temporary_folder(tmp_path, "result"):
            pass
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(tmp_path.iterdir())
