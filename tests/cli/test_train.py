"""Tests what `rnnx train` says while it works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.cli import run
from rnnx.cli.train_messages import Teller
from rnnx.train import fit
from rnnx.train.checkpoint import Checkpoint
from rnnx.train.fit import Progress
from rnnx.train.task import StageProgress
from tests.texts import make_texts

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = (f'{{"text": "{text.decode()}", "label": "{label}"}}\n' for text, label in make_texts(240, 1))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def progress(epoch: int, batch: int, seconds_left: float | None) -> Progress:
    return Progress(epoch, 8, batch, 300, 0.5, seconds_left)


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (lambda teller: None, "about 4 min at most for 8 epochs on this machine\n"),
        (
            lambda teller: teller.on_resume(3, 8),
            "resuming after epoch 3 of 8, from runs/x.checkpoint\n"
            "about 4 min at most for epochs 4 to 8 on this machine\n",
        ),
    ],
)
def test_the_time_left_is_printed_once_when_it_is_known(
    capfd: Capture, begin: Callable[[Teller], None], expected: str
) -> None:
    shown: list[tuple[int, str, int | None]] = []
    teller = Teller(Path("runs/x"), lambda *bar: shown.append(bar))
    begin(teller)
    for batch, left in ((1, None), (12, 240.0), (13, 239.0)):
        teller.on_batch(progress(4, batch, left))
    assert capfd.readouterr().err == expected
    assert shown == [
        (901, "epoch 4/8, loss 0.500", 2400),
        (912, "epoch 4/8, loss 0.500, 4 min left at most", 2400),
        (913, "epoch 4/8, loss 0.500, 4 min left at most", 2400),
    ]


def test_a_stage_prints_its_time_and_that_of_the_epochs_once(capfd: Capture) -> None:
    teller = Teller(Path("runs/x"), lambda *bar: None)
    for done, left, after in ((1, None, None), (12, 300.0, 210.0), (13, 299.0, 209.0)):
        teller.on_stage(StageProgress("reading", done, 100, left, after))
    told = "before the epochs: reading, about 5 min at most; then the epochs, about 4 min\n"
    assert capfd.readouterr().err == told


def test_the_last_training_on_all_sequences_moves_the_bar(capfd: Capture) -> None:
    shown: list[tuple[int, str, int | None]] = []
    teller = Teller(Path("runs/x"), lambda *bar: shown.append(bar))
    for done, left in ((0, None), (12, 90.0), (100, 0.0)):
        teller.on_retraining(StageProgress("training again on all 80 sequences", done, 100, left))
    assert capfd.readouterr().err == "training again on all 80 sequences, with those that were held out\n"
    assert shown == [
        (0, "training again on all 80 sequences", 100),
        (12, "training again on all 80 sequences, 90 s left at most", 100),
        (100, "training again on all 80 sequences, 1 s left at most", 100),
    ]


def test_an_unfinished_training_is_resumed_and_never_overwritten_by_another(
    table: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DeathError(Exception):
        pass

    def die_in_second(self: object, epoch: int, logs: object = None) -> None:
        if epoch == 1:
            raise DeathError

    command = ["train", str(table), "--out", str(tmp_path / "run"), "--epochs", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(fit._Keeper, "on_epoch_begin", die_in_second)
        patch.setattr(fit._Keeper, "on_train_batch_end", lambda self, batch, logs: None)
        with pytest.raises(DeathError):
            run(command)
    assert (tmp_path / "run.checkpoint" / "checkpoint.json").exists()
    capfd.readouterr()
    assert run([*command, "--seed", "1"]) == 2
    assert re.search(
        r"run.checkpoint: holds another training that is not complete \(other data, seed 0, not 1\); .*--fresh",
        capfd.readouterr().err,
    )
    assert run(command) == 0
    out, err = capfd.readouterr()
    assert f"resuming after epoch 1 of 2, from {tmp_path / 'run.checkpoint'}\n" in err
    assert re.search(r"epoch 2 took \d+ s\n", err)
    assert "ending\twhole" in out
    assert not (tmp_path / "run.checkpoint").exists()


def test_fresh_discards_an_unfinished_training(table: Path, tmp_path: Path, capfd: Capture) -> None:
    Checkpoint(tmp_path / "run.checkpoint", {"recipe": "other"}).save("fit", 1, {}, None)
    command = ["train", str(table), "--out", str(tmp_path / "run"), "--epochs", "1"]
    assert run(command) == 2
    assert run([*command, "--fresh"]) == 0
    assert not (tmp_path / "run.checkpoint").exists()
    assert (tmp_path / "run" / "config.json").exists()
