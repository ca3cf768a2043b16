from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.errors import ModelError, UsageError
from rnnx.train import checkpoint as module
from rnnx.train.checkpoint import Checkpoint, checkpoint_place, hold_checkpoint, remove_checkpoint

WHO: dict[str, str | int] = {"recipe": "default", "seed": 3, "data": "a" * 64}
ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "network/0": np.array([[1.5, np.nan, -0.0]], np.float32),
    "optimizer/0": np.array(7, np.int64),
    "file": np.zeros((0, 4), np.uint32),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return checkpoint_place(tmp_path / "runs" / "tiny")


@pytest.fixture
def saved(place: Path) -> Path:
    Checkpoint(place, WHO).save("fit", 3, ARRAYS, {"history": [0.1]})
    return place


def test_a_state_is_loaded_bit_for_bit(saved: Path) -> None:
    state = Checkpoint(saved, WHO).load("fit")
    assert state is not None
    assert (state.epoch, state.values) == (3, {"history": [0.1]})
    assert list(state.arrays) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        actual = state.arrays[name]
        assert (expected.dtype, expected.shape, expected.tobytes()) == (actual.dtype, actual.shape, actual.tobytes())


def test_there_is_no_state_before_the_first_save(place: Path) -> None:
    assert Checkpoint(place, WHO).load("fit") is None
    assert not place.exists()


def test_the_state_of_a_finished_stage_is_kept_until_the_end(saved: Path) -> None:
    checkpoint = Checkpoint(saved, WHO)
    for epoch in (1, 2):
        checkpoint.save("pretraining", epoch, {"embedding": np.full(3, epoch)}, None)
    checkpoint.save("fit", 4, ARRAYS, None)
    assert len(list(saved.glob("*.npz"))) == 2, "there should be one file for each stage"
    again = Checkpoint(saved, WHO)
    first, second = again.load("pretraining"), again.load("fit")
    assert first is not None
    assert second is not None
    assert (first.epoch, second.epoch) == (2, 4)
    assert first.arrays["embedding"].tolist() == [2, 2, 2]
    again.remove()
    assert not saved.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [({"seed": 4}, "seed 3, not 4"), ({"data": "b" * 64}, "other data"), ({"epochs": 9}, "epochs None, not 9")],
)
def test_another_training_is_not_taken_up(saved: Path, change: dict[str, str | int], told: str) -> None:
    with pytest.raises(UsageError, match=rf"another training that is not complete \({told}\).*--fresh"):
        Checkpoint(saved, WHO | change)
    assert Checkpoint(saved, WHO).load("fit") is not None, "the saved state should not be lost"


@pytest.mark.parametrize("is_cut", [True, False])
def test_an_altered_or_truncated_file_is_refused(saved: Path, is_cut: bool) -> None:
    (path,) = saved.glob("*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data[:-20] if is_cut else data)
    with pytest.raises(ModelError, match=r"fit-3-[0-9a-f]{16}.npz: was altered.*--fresh"):
        Checkpoint(saved, WHO).load("fit")
    path.unlink()
    with pytest.raises(ModelError, match="No such file"):
        Checkpoint(saved, WHO).load("fit")


@pytest.mark.parametrize(("old", "new"), [("0.1", "0.2"), ('"epoch": 3', '"epoch": 2'), ("{", "[")])
def test_an_altered_index_is_refused(saved: Path, old: str, new: str) -> None:
    path = saved / "checkpoint.json"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match=r"checkpoint.json: (was altered|is not JSON)"):
        Checkpoint(saved, WHO)


def test_a_crash_at_any_moment_of_a_save_leaves_a_complete_state(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test copies the disk before each change, and loads every copy: it has the old epoch or the new one."""
    moments: list[Path] = []

    def look() -> None:
        moments.append(saved.with_name(f"moment-{len(moments)}"))
        shutil.copytree(saved, moments[-1])

    for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync")):
        step = getattr(owner, name)

        def look_first(*args: Any, _step: Callable[..., Any] = step, **kwargs: Any) -> Any:
            look()
            return _step(*args, **kwargs)

        monkeypatch.setattr(owner, name, look_first)
    Checkpoint(saved, WHO).save("fit", 4, ARRAYS | {"network/0": np.ones(9)}, None)
    monkeypatch.undo()
    found = []
    for moment in [*moments, saved]:
        state = Checkpoint(moment, WHO).load("fit")
        assert state is not None
        found.append(state.epoch)
    assert len(found) == 8
    assert found == sorted(found)
    assert set(found) == {3, 4}


def test_leftovers_of_a_crash_are_removed(saved: Path) -> None:
    (saved / ".fit-4-0123456789abcdef.npz.new").write_bytes(b"half")
    (saved / "fit-4-0123456789abcdef.npz").write_bytes(b"whole, but not counted yet")
    Checkpoint(saved, WHO).save("fit", 4, ARRAYS, None)
    assert len(list(saved.iterdir())) == 2


def test_python_objects_are_neither_written_nor_read(saved: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        Checkpoint(saved, WHO).save("fit", 4, {"x": np.array([{}], object)}, None)
    assert zipfile.is_zipfile(next(saved.glob("*.npz")))
    state = Checkpoint(saved, WHO).load("fit")
    assert state is not None
    assert state.epoch == 3


def test_the_error_of_a_full_disk_names_the_checkpoint(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        Checkpoint(saved, WHO).save("fit", 4, ARRAYS, None)
    assert caught.value.filename == str(saved)
    monkeypatch.undo()
    state = Checkpoint(saved, WHO).load("fit")
    assert state is not None
    assert state.epoch == 3


def test_a_folder_with_foreign_files_is_left_alone(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine", encoding="utf-8")
    for act in (lambda: Checkpoint(saved, WHO), lambda: remove_checkpoint(saved)):
        with pytest.raises(UsageError, match=r"did not write \(notes.txt\); choose another --out"):
            act()
    assert (saved / "notes.txt").exists()


def test_a_missing_checkpoint_can_be_removed(place: Path) -> None:
    remove_checkpoint(place)
    assert not place.exists()


def test_a_second_training_is_kept_out_until_the_first_one_ends(place: Path) -> None:
    is_running = "another training with the same --out is running; wait for its end, or"
    with hold_checkpoint(place):
        with pytest.raises(UsageError, match=is_running), hold_checkpoint(place):
            pass
        with pytest.raises(UsageError, match=is_running):
            remove_checkpoint(place)
        Checkpoint(place, WHO).save("fit", 1, ARRAYS, {})
    with hold_checkpoint(place):  # the next training finds what was saved
        checkpoint = Checkpoint(place, WHO)
        assert checkpoint.load("fit") is not None
        checkpoint.remove()
    assert not place.exists()


def test_an_empty_folder_is_removed_with_its_lock(place: Path) -> None:
    with hold_checkpoint(place):
        assert place.is_dir()
    assert not place.exists()


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_the_lock_of_a_killed_training_is_released(place: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from rnnx.train.checkpoint import hold_checkpoint\n"
        "with hold_checkpoint(Path(sys.argv[1])): print('here', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE) as process:  # noqa: S603  # ours
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        with pytest.raises(UsageError, match="is running"), hold_checkpoint(place):
            pass
        process.kill()
    with hold_checkpoint(place):
        pass
    assert not place.exists()
