"""Tests files that were crafted to do harm, on the real command line: exit code 4, one line, and no session."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnx.bundle.directory import MODEL_NAME, STREAM_NAME, hash_bytes
from rnnx.bundle.find_model import find_directory
from tests.archives import overlapping_zip
from tests.onnx_bytes import graph, message, model, node, port, tensor

BUNDLE = "imdb-article"
RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30,) * 2)
import onnxruntime
def refuse(*args, **options): raise SystemExit("a session was made")
if "--no-session" in sys.argv: onnxruntime.InferenceSession = refuse
from rnnx.cli import run
sys.exit(run([word for word in sys.argv[1:] if word != "--no-session"]))
"""


@dataclass(frozen=True)
class Outcome:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def rnnx(*arguments: str) -> Outcome:
    """Runs the command line in its own process, with limits on memory and time."""
    done = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,  # it takes half a second on an idle machine
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def require_refused(outcome: Outcome, *said: str) -> None:
    assert outcome.code == 4, outcome.err
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    assert all(part in lines[0] for part in said), lines[0]
    assert "\x1b" not in outcome.err


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def external(location: str) -> bytes:
    """Makes a file with a tensor whose data are declared to be in another file."""
    more = [(13, [(1, "location"), (2, location)]), (14, 1)]
    return model(graph([node("Add", ["x", "w"], ["y"])], [tensor("w", [4], b"", more=more)]))


def endless_loop() -> bytes:
    """Makes `while True` in ONNX: a Loop without a count, whose condition stays true."""
    true = tensor("true", [], b"\x01", 9)
    ports = [(11, port("i")), (11, port("on")), (11, port("a")), (12, port("on")), (12, port("a"))]
    body = message((1, node("Identity", ["a"], ["b"])), (2, "body"), *ports)
    attribute = message((1, "body"), (6, body), (20, 5))
    return model(graph([node("Loop", ["", "true", "x"], ["y"], attribute)], [true]))


def large_tensor() -> bytes:
    data = model(graph([node("Add", ["x", "w"], ["y"])], [tensor("w", [1 << 29], b"")]))
    assert len(data) < 1024
    return data


def large_computed() -> bytes:
    """Makes an Expand of one number to 16 GB, which a session would compute while it is opened."""
    size = tensor("size", [2], struct.pack("<2q", 1 << 16, 1 << 16), 7)
    nodes = [node("Expand", ["w", "size"], ["v"]), node("Add", ["x", "v"], ["y"])]
    return model(graph(nodes, [tensor("w", [1], struct.pack("<f", 1.0)), size]))


def link_to(kind: Callable[[Path, Path], None]) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        (folder.parent / "secret").write_bytes(struct.pack("<4f", 1, 2, 3, 4))
        kind(folder.parent / "secret", folder / "weights.bin")
        return external("weights.bin")

    return make


MODELS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "external data with ../": (lambda _: external("../secret"), "a reference to another file"),
    "external data at a symlink": (link_to(lambda a, b: b.symlink_to(a)), "a reference to another file"),
    "external data at a hard link": (link_to(os.link), "a reference to another file"),
    "a Loop that never ends": (lambda _: endless_loop(), "operator 'Loop'"),
    "2 GB declared in 1 kB": (lambda _: large_tensor(), "declares 2,147,483,648 bytes, but contains 0"),
    "16 GB computed from 1 kB": (lambda _: large_computed(), "operator Expand is given an unsupported size"),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_directory(BUNDLE), tmp_path / "bundle"))


def put(bundle: Path, name: str, data: bytes) -> None:
    """Replaces a file and updates its hash in config.json, as an attacker would."""
    (bundle / name).write_bytes(data)
    config = json.loads((bundle / "config.json").read_bytes())
    config["files"][name] = hash_bytes(data)
    (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("name", MODELS)
def test_a_crafted_model_is_refused(name: str, bundle: Path, tmp_path: Path) -> None:
    make, reason = MODELS[name]
    data = make(bundle)
    put(bundle, MODEL_NAME, data)
    (tmp_path / "alone.onnx").write_bytes(data)
    (tmp_path / "text.txt").write_bytes(b"fine")
    before = tree(tmp_path)
    for arguments in (
        ["verify", str(tmp_path / "alone.onnx")],
        ["infer", "--model", str(bundle), str(tmp_path / "text.txt")],
    ):
        require_refused(
            rnnx(*arguments, "--no-session"), reason, arguments[-1] if "verify" in arguments else MODEL_NAME
        )
    assert tree(tmp_path) == before


def test_every_command_that_takes_a_model_refuses_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rnnx.cli import run

    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("a session was made"))
    put(bundle, MODEL_NAME, endless_loop())
    put(bundle, STREAM_NAME, endless_loop())  # the only file that --follow reads
    (tmp_path / "text.txt").write_bytes(b"fine")
    (tmp_path / "table.csv").write_bytes(b"text,label\nfine,pos\nbad,neg\n")
    text, table, place, new = (str(tmp_path / name) for name in ("text.txt", "table.csv", "bundle", "new"))
    file = str(bundle / MODEL_NAME)
    before = tree(tmp_path)
    for arguments in (
        ["infer", "--model", place, text],
        ["infer", "--model", place, "--lines", "--jsonl", text],
        ["infer", "--model", place, "--follow", text],
        ["explain", "--model", place, text],
        ["verify", place],
        ["verify", file],
        ["diff", place, BUNDLE],
        ["diff", file, file],
        ["evaluate", place, table],
        ["info", place],
        ["embed", "node", place, "--out", new],
    ):
        code = run(arguments)
        out, err = capsys.readouterr()
        name = STREAM_NAME if "--follow" in arguments else MODEL_NAME
        require_refused(Outcome(code, out, err), "operator 'Loop'", name)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("label", ["\x1b]0;owned\x07", "\u202egnp.exe", "a\nb"])
def test_a_label_with_control_characters_is_refused(label: str, bundle: Path, tmp_path: Path) -> None:
    config = json.loads((bundle / "config.json").read_bytes())
    config["labels"] = [label, "pos"]
    (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "text.txt").write_bytes(b"fine")
    outcome = rnnx("infer", "--model", str(bundle), str(tmp_path / "text.txt"), "--no-session")
    require_refused(outcome, "config.json", "contains control characters", ascii(label)[1:-1])


def escaping_tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in ("r/train/pos/1.txt", "../../evil.txt"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"text"))
    return path


def escaping_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("r/train/pos/1.txt", "/../../evil.txt"):
            archive.writestr(name, b"text")
    return path


ARCHIVES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "bomb.zip": (overlapping_zip, "unpacks to 2,516,582,400 bytes"),
    "escape.zip": (escaping_zip, "has a path that leaves the archive"),
    "escape.tar.gz": (escaping_tar, "has a path that leaves the archive"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_crafted_archive_is_refused(name: str, tmp_path: Path) -> None:
    make, reason = ARCHIVES[name]
    path = make(tmp_path / name)
    require_refused(rnnx("evaluate", BUNDLE, str(path)), str(path), reason)
    assert tree(tmp_path) == {path}
    assert not list(tmp_path.parent.glob("evil.txt"))


def keras_members(layers: Iterable[object]) -> dict[str, bytes]:
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}}
    metadata = {"keras_version": "3.13.2", "date_saved": "2026-01-01"}
    return {"metadata.json": json.dumps(metadata).encode(), "config.json": json.dumps(config).encode()}


@pytest.mark.train
def test_a_keras_file_with_a_lambda_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.cli import run

    monkeypatch.setattr("keras.saving.load_model", lambda *_, **__: pytest.fail("Keras was handed it"))
    function = {"class_name": "__lambda__", "config": {"value": "4wAAAAA=", "defaults": None, "closure": None}}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "harm", "function": function}}
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**keras_members([layer]), "model.weights.h5": b""}.items():
            archive.writestr(name, data)
    code = run(["export", str(path), "--out", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    require_refused(Outcome(code, out, err), str(path), "layer 'harm': a Lambda contains code")
    assert tree(tmp_path) == {path}
