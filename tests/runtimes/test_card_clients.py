"""Runs clients that are written from the cards alone, with onnxruntime-node: the card says enough to write them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnnx.bundle.find_model import find_directory
from tests.make_bundles import BUNDLES
from tests.runtimes.kits import PROGRAMS, run
from tests.runtimes.samples import missing

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the clients, with onnxruntime-node."""
    if absent := missing("node"):
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("clients")
    for path in PROGRAMS.glob("*_client.mjs"):
        shutil.copy(path, folder)
    run(["npm", "init", "-y"], folder)
    done = run(
        ["npm", "install", "--no-fund", "--no-audit", "--onnxruntime-node-install=skip", "onnxruntime-node"], folder
    )
    assert done.returncode == 0, done.stderr
    return folder


def run_client(clients: Path, name: str, bundle: Path) -> dict[str, Any]:
    done = run(["node", f"{name}.mjs", bundle], clients)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_tagger_written_from_its_card_finds_all_golden_words(clients: Path) -> None:
    bundle = find_directory("pos")
    seen = run_client(clients, "tagger_client", bundle)
    rows = json.loads((bundle / "golden.json").read_bytes())
    assert seen["words"] == 2 * sum(len(row["words"]) for row in rows)
    assert seen["wrong"] == 0
    assert seen["difference"] < 1e-5


def test_a_stream_written_from_its_card_gives_the_golden_answers_and_skips_empty_chunks(clients: Path) -> None:
    bundle = BUNDLES / "texts"
    seen = run_client(clients, "stream_client", bundle)
    config = json.loads((bundle / "config.json").read_bytes())
    rows = json.loads((bundle / "golden.json").read_bytes())
    fitting = [row for row in rows if len(row["ids"]) < config["tokenizer"]["max_length"]]
    assert seen["texts"] == 3 * len(fitting) > 20
    assert seen["wrong"] == 0
    assert seen["difference"] < 1e-6
