"""Tests a disk that fills up during training: there is one clear error, and at most one epoch is lost."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.datasets import Dataset
from rnnx.train.checkpoint import checkpoint_place
from rnnx.train.fit import Epoch, Observer, Progress
from rnnx.train.run import train
from tests.disks import small_disk
from tests.texts import make_texts, tiny_recipe
from tests.trainings import assert_same_run

pytestmark = pytest.mark.train

DISK_BYTES = 64 << 20
# This is less than a checkpoint or a run of the smallest network needs.
LEFT_BYTES = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as place:
        yield place


def fill(disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - LEFT_BYTES))


def filling(disk: Path, when: str) -> Observer:
    """Fills the disk in the middle of the second epoch, or after the last epoch and before the run is written."""

    def on_batch(p: Progress) -> None:
        if when == "in an epoch" and (p.epoch, p.batch) == (2, 3):
            fill(disk)

    def on_epoch(done: Epoch) -> None:
        if when == "before the run" and done.epoch == 3:
            fill(disk)

    return Observer(on_batch, on_epoch)


@pytest.mark.parametrize(("when", "where", "epochs"), [("in an epoch", "checkpoint", 1), ("before the run", "run", 3)])
def test_a_full_disk_costs_at_most_an_epoch(
    tiny_dataset: Dataset, tmp_path: Path, disk: Path, when: str, where: str, epochs: int
) -> None:
    recipe, out = tiny_recipe("article"), disk / "run"
    train(tiny_dataset, recipe, tmp_path / "whole", seed=3, observer=Observer())
    train(tiny_dataset, recipe, out, seed=4, observer=Observer())
    before = read_directory(out).files
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its number and place follow
        train(tiny_dataset, recipe, out, seed=3, observer=filling(disk, when))
    places = {"checkpoint": checkpoint_place(out), "run": out}
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(places[where]))
    assert read_directory(out).files == before
    assert {path.name for path in disk.iterdir()} == {"filler", "run", "run.checkpoint"}

    (disk / "filler").unlink()
    resumed: list[int] = []
    train(tiny_dataset, recipe, out, seed=3, observer=Observer(on_resume=lambda done, _: resumed.append(done)))
    assert resumed == [epochs]
    assert_same_run(tmp_path / "whole", out)
    assert {path.name for path in disk.iterdir()} == {"run"}


def test_the_command_line_reports_a_full_disk_in_one_line(
    tmp_path: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f'"{text.decode()}",{label}' for text, label in make_texts(80, 8)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    fill(disk)
    arguments = ["train", str(tmp_path / "t.csv"), "--recipe", "article", "--epochs", "1", "--out", str(disk / "run")]
    assert run(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"error: {checkpoint_place(disk / 'run')}: No space left on device"
    assert [line for line in lines if line.startswith("error")] == lines[-1:]
    assert not (disk / "run").exists()
