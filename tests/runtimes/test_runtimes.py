"""Tests every sample that `rnnx embed` writes, by the commands of its README, and every engine on the same file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnx.bundle.embed import languages
from tests.runtimes.engines import ENGINES, TOKENIZER_ENGINES, run_golden
from tests.runtimes.samples import KITS, NEEDS, Project, Row, run_golden_vectors

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]


def test_every_target_has_a_test() -> None:
    assert {*NEEDS, "browser"} == {*languages(), "browser"}


@pytest.mark.parametrize("target", [target for target in NEEDS if target not in KITS])
def test_a_sample_gives_the_answers_of_the_reference(
    target: str, project_of: Callable[[str], Project], bundles: list[Path], id_bundle: Path, matrix: list[Row]
) -> None:
    project = project_of(target)
    label, probability = project.answer()
    assert label == "pos"
    assert probability > 0.9
    if not project.lacks_for_snippet():
        assert project.run_snippet() == pytest.approx(probability, abs=1e-5)
    for bundle in (*bundles, id_bundle):
        matrix.append(run_golden_vectors(project, bundle))
        assert project.fails_on_a_wrong_vector()
    if target == "node":
        project.use_wasm()
        matrix += [run_golden_vectors(project, bundle) for bundle in (bundles[0], id_bundle)]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_answers_of_the_reference(engine: str, bundles: list[Path], matrix: list[Row]) -> None:
    pytest.importorskip(engine, reason=f"pip install {engine}")
    for bundle in bundles:
        row = run_golden(engine, bundle)
        matrix.append(row)
        assert row.right == row.count


@pytest.mark.parametrize("engine", TOKENIZER_ENGINES)
def test_an_engine_gives_the_ids_of_texts_in_many_scripts(engine: str, id_bundle: Path, matrix: list[Row]) -> None:
    pytest.importorskip(engine, reason=f"pip install {engine}")
    row = run_golden(engine, id_bundle)
    matrix.append(row)
    assert row.right == row.count
