"""Tests that the READMEs are right.

Their Python code runs, commands print what they show, and their figures are those of the bundles.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.cli import make_app, run
from tests import documents
from tests.documents import DOCUMENTS, ROOT, WRITTEN

README = WRITTEN["README.md"]
CHINESE = WRITTEN["rnnx/README.zh.md"]
INFER = WRITTEN["rnnx/infer/README.md"]
BENCH = WRITTEN["bench/README.md"]
EXPLAINED = "The plot is dull and the jokes are worse, but the two leads are wonderful and the ending is great."
TAGGED = "They didn't see the old station in London.\nNobody there tags words by hand!\n"
# The columns of the benchmark that the Chinese page shows: rnnx with unicode-14, characters, fastText.
CHINESE_COLUMNS = (2, 5, 6)
PYTHON = [(name, block) for name, text in WRITTEN.items() for block in documents.blocks(text, "python")]


def test_the_readme_is_short_and_narrow() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 100


def test_the_readme_has_every_command() -> None:
    for command in make_app().registered_commands:
        assert command.callback is not None
        assert f"| `rnnx {command.callback.__name__}` |" in README


def test_the_python_code_of_every_page_runs(tmp_path: Path) -> None:
    found = [(name, block) for name, block in PYTHON if "my-stream" not in block]
    pages = ["README.md", "exported/embed/README.md", "rnnx/engines/README.md", "rnnx/infer/README.md"]
    assert [name for name, _ in found] == pages
    shutil.copytree(find_directory("imdb"), tmp_path / "my-imdb")
    for _, block in found:
        assert run_block(block, tmp_path).startswith("pos ")


def test_the_python_code_of_a_stream_runs(streaming_bundle: Path, tmp_path: Path) -> None:
    (block,) = (block for _, block in PYTHON if "my-stream" in block)
    shutil.copytree(streaming_bundle, tmp_path / "my-stream")
    label, probability = run_block(block, tmp_path).split()
    (expected,) = rnnx.load(streaming_bundle).predict(["A wonderful film; I loved every minute of it."])
    assert label == expected.label
    assert float(probability) == pytest.approx(expected.probability, abs=1e-6)


def run_block(block: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  # the README's own code
        [sys.executable, "-W", "ignore", "-c", block],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def printed_rows(page: str, command: str) -> list[list[str]]:
    """Returns the output that a page shows after a command."""
    block = page.split(f"$ {command}\n")[1].split("```", maxsplit=1)[0]
    return [line.split("\t") for line in block.splitlines()]


def test_the_answer_in_the_readme_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = re.findall(r"echo '(.*)' > review.txt", README)
    label, probability = re.findall(r"The answer is `(\w+)`, with a probability of (0\.\d{4})\.", README)[0]
    (tmp_path / "review.txt").write_text(f"{text}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["infer", "review.txt"]) == 0
    assert capsys.readouterr().out.split("\t")[1] == label
    assert rnnx.load("imdb").predict([text])[0].probability == pytest.approx(float(probability), abs=1.01e-4)


def test_the_chinese_page_gives_the_same_answer_by_the_same_commands() -> None:
    label, probability = re.findall(r"The answer is `(\w+)`, with a probability of (0\.\d{4})\.", README)[0]
    assert re.findall(r"答案是 `(\w+)`，概率 (0\.\d{4})", CHINESE) == [(label, probability)]  # noqa: RUF001  # a Chinese comma
    block = documents.blocks(CHINESE, "sh")[0]
    assert block == documents.blocks(README, "sh")[0]
    assert "](rnnx/README.zh.md)" in "".join(README.splitlines()[:4])


def test_the_figures_of_the_chinese_page_are_those_of_the_bundles_and_the_bench() -> None:
    bundles = {name: read_directory(find_directory(name)) for name in ("imdb", "imdb-article")}
    tested = {name: json.loads(bundle["evaluation.json"])["accuracy"] for name, bundle in bundles.items()}
    training = bundles["imdb-article"].config.training
    assert training is not None
    validation = training.best_validation_accuracy
    assert re.findall(r"准确率 (0\.\d{4})", CHINESE) == [
        f"{figure:.4f}" for figure in (validation, tested["imdb-article"], tested["imdb"])
    ]
    measured = {cells[0]: cells for cells in documents.rows(DOCUMENTS["bench/results/languages.md"])}
    shown = documents.rows(documents.section(CHINESE, "准确率"))
    names = ("waimai", "online_shopping, label", "online_shopping, category")
    assert [row[1:] for row in shown] == [[measured[name][i] for i in CHINESE_COLUMNS] for name in names]


def test_the_explanation_on_the_page_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last digit may differ, because another processor may round differently."""
    command = "rnnx explain --model imdb-article review.txt"
    expected = printed_rows(INFER, command)
    (tmp_path / "review.txt").write_text(EXPLAINED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(command.split()[1:]) == 0
    actual = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(*row[:4], row[6]) for row in expected] == [(*row[:4], row[6]) for row in actual]
    for shown, printed in zip(expected, actual, strict=True):
        figures = [float(cell) for cell in shown[4:6]]
        assert figures == pytest.approx([float(cell) for cell in printed[4:6]], abs=1.01e-4)
    (word,) = (json.loads(line) for line in INFER.splitlines() if line.startswith('{"word": "wonderful"'))
    assert EXPLAINED[word["start"] : word["end"]] == word["word"]
    assert run([*command.split()[1:], "--json"]) == 0
    words = json.loads(capsys.readouterr().out)[0]["words"]
    (found,) = (explained for explained in words if explained["word"] == word["word"])
    assert word == pytest.approx(found, abs=1e-5)


def test_the_tags_on_the_page_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "rnnx infer --model pos note.txt"
    expected = printed_rows(INFER, command)
    (tmp_path / "note.txt").write_text(TAGGED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(command.split()[1:]) == 0
    actual = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:4] for row in expected] == [row[:4] for row in actual]
    assert [float(row[4]) for row in expected] == pytest.approx([float(row[4]) for row in actual], abs=1.01e-4)


@pytest.mark.parametrize("name", shipped_names())
def test_the_accuracies_are_those_of_the_bundles(name: str) -> None:
    bundle = read_directory(find_directory(name))
    assert bundle.config.training is not None
    validation = bundle.config.training.best_validation_accuracy
    assert validation is not None
    evaluation = json.loads(bundle["evaluation.json"])
    (row,) = (line for line in WRITTEN["exported/README.md"].splitlines() if line.startswith(f"| [`{name}`]"))
    assert row.endswith(f"| {validation:.4f} | {evaluation['accuracy']:.4f} |")
    results = [cells for cells in documents.rows(documents.section(README, "Results")) if f"`{name}` on" in cells[0]]
    for what, result, _ in results:
        assert f"{evaluation['count']:,}" in what
        assert result == f"accuracy {evaluation['accuracy']:.4f}"
    assert len(results) == (name != "imdb-article")


def test_the_best_epoch_of_the_article_is_that_of_its_bundle() -> None:
    training = read_directory(find_directory("imdb-article")).config.training
    assert training is not None
    text = " ".join(WRITTEN["rnnx/train/README.md"].split())
    said = f"it reaches {training.best_validation_accuracy:.4f} on the validation fifth at epoch {training.best_epoch}."
    assert said in text


def test_the_results_in_the_readme_are_those_of_the_pages() -> None:
    results = {cells[0]: cells[1] for cells in documents.rows(documents.section(README, "Results"))}
    ours, keras = (row[1] for row in documents.rows(documents.section(BENCH, "A file of 25,000 reviews"))[:2])
    assert results["25,000 reviews"] == f"{ours} s, Keras {keras} s"
    (startup,) = (row[1] for row in documents.rows(BENCH) if row[0] == "`rnnx infer review.txt`")
    assert results["one text, the whole process"] == f"{startup} s"
    proof = documents.rows(documents.section(WRITTEN["rnnx/proof/README.md"], "How sharp it is"))
    files, caught = (int(number) for number in proof[-1][1:3])
    assert results["the proof of 5,021 wrong files"] == f"{files:,} refused, {caught:,} in the layer expected"


def test_the_tables_on_the_pages_are_those_that_the_benchmarks_wrote() -> None:
    recorded = documents.rows(DOCUMENTS["bench/results/proof.md"])
    assert documents.rows(documents.section(WRITTEN["rnnx/proof/README.md"], "How sharp it is")) == recorded
    h32 = documents.rows(documents.section(DOCUMENTS["bench/results/latency.md"], "H32"))
    milliseconds = {row[0]: row[6:11] for row in h32 if len(row) == 12 and ".." not in row[1]}
    shown = documents.rows(documents.section(BENCH, "A batch in one thread"))
    assert {row[0]: row[1:] for row in shown} == milliseconds


def test_the_ratios_of_the_peers_are_those_that_the_benchmark_wrote() -> None:
    page = DOCUMENTS["bench/results/latency.md"]
    tables = [documents.rows(documents.section(page, name)) for name in ("H32", "H64", "H128")]
    # Each section has three tables of the same systems: milliseconds, ratios, and percentiles.
    ratios = [{row[0]: row[7:10] for row in rows[len(rows) // 3 : 2 * len(rows) // 3]} for rows in tables]
    shown = documents.rows(documents.section(BENCH, "What bounds a step"))
    shown = [row for row in shown if row[0] in ratios[0]]
    assert len(shown) == 5
    for name, *cells in shown:
        assert cells == [", ".join(own[name][i] for own in ratios) for i in range(3)]


def test_the_top_level_has_no_other_entries() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607  # git
    if tracked.returncode != 0:
        pytest.skip("not a git checkout, so the tracked files are unknown")
    names = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "rnnx", "exported", "tests", "bench"}
    assert {name for name in names if not name.startswith(".")} == allowed
