"""Tests that the tools and runtimes that people use on `.onnx` files take every form of every shipped bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")

from rnnx.bundle.find_model import find_directory, shipped_names
from tests.runtimes import page
from tests.runtimes.backends import BACKENDS
from tests.runtimes.file_runtimes import (
    open_in_netron,
    run_in_browser,
    run_in_openvino,
    run_in_tract,
    run_rows_in_openvino,
)
from tests.runtimes.tool_rows import ToolRow
from tests.runtimes.tools import TOOLS, fix_dimensions, missing, use_tool

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]

BUNDLES = [find_directory(name) for name in shipped_names()]
FILES = [file for bundle in BUNDLES for file in sorted(bundle.glob("*.onnx"))]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_takes_every_file(tool: str, tool_rows: list[ToolRow]) -> None:
    if absent := missing(tool):
        pytest.skip(absent)
    require_right(use_tool(tool, FILES), tool_rows)


def test_all_dimensions_can_be_fixed(tool_rows: list[ToolRow]) -> None:
    require_right(fix_dimensions(FILES), tool_rows)


def test_netron_reads_every_file(tool_rows: list[ToolRow]) -> None:
    pytest.importorskip("netron", reason="pip install netron")
    if "npm" in (page.missing() or ""):
        pytest.skip("needs Node 18 with npm")
    require_right(open_in_netron(FILES), tool_rows)


@pytest.mark.parametrize("precision", ["f32", None])
def test_openvino_gives_the_answers_in_float32_and_nearly_all_labels_by_default(
    precision: str | None, tool_rows: list[ToolRow]
) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    row = run_in_openvino(FILES, precision)
    tool_rows.append(row)
    if precision:  # it computes the lengths of a batch wrongly
        assert set(row.failed) == {"imdb/model.onnx"}
    else:
        assert set(row.failed) <= {
            "imdb/model.onnx",
            "imdb-article/model.text.onnx",
            "pos/model.batch.onnx",
            "pos/model.onnx",
        }


@pytest.mark.parametrize("precision", ["f32", None])
@pytest.mark.parametrize("name", ["model.onnx", "model.batch.onnx", "model.text.onnx"])
@pytest.mark.parametrize("bundle", ["imdb", "imdb-article"])
def test_openvino_reads_texts_one_by_one(bundle: str, name: str, precision: str | None) -> None:
    """In float32 every answer is right. By its default, on processors with bfloat16 too, every label is."""
    pytest.importorskip("openvino", reason="pip install openvino")
    assert run_rows_in_openvino(find_directory(bundle), name, precision) == []


def test_recurrences_that_give_their_last_states_can_be_pre_processed(tmp_path: Path) -> None:
    """Their outputs of all states had no name, and `quant_pre_process` took two of them for one value."""
    keras = pytest.importorskip("keras", reason="needs the [train] extra")
    if absent := missing("quant_pre_process"):
        pytest.skip(absent)
    from rnnx.export.pipeline import export

    layers = keras.layers
    x = keras.Input((6, 3))
    states = [layers.LSTM(4)(x), layers.GRU(4)(x), layers.Bidirectional(layers.LSTM(3))(x)]
    keras.Model(x, layers.Dense(1)(layers.Concatenate()(states))).save(tmp_path / "last.keras")
    bundle = export(tmp_path / "last.keras", tmp_path / "last").path
    assert use_tool("quant_pre_process", sorted(bundle.glob("*.onnx"))).failed == {}


def test_tract_runs_the_files_of_the_article_that_read_ids(tool_rows: list[ToolRow]) -> None:
    """What stops it in each of the others is on the page exported/embed/README.md."""
    pytest.importorskip("tract", reason="pip install tract")
    article = find_directory("imdb-article")
    row = run_in_tract(FILES)
    tool_rows.append(row)
    named = {f"{file.parent.name}/{file.name}" for file in FILES}
    assert named - set(row.failed) == {f"{article.name}/model.onnx", f"{article.name}/model.batch.onnx"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_onnxruntime_web_runs_every_file(backend: str, tool_rows: list[ToolRow], web: Path) -> None:
    if absent := page.missing():
        pytest.skip(f"needs {absent}")
    texts = [bundle for bundle in BUNDLES if (bundle / "model.text.onnx").is_file()]
    require_right(run_in_browser(backend, texts, web), tool_rows)


def require_right(row: ToolRow, rows: list[ToolRow]) -> None:
    rows.append(row)
    assert row.failed == {}


def test_a_wrong_file_is_found(tmp_path: Path) -> None:
    """A file whose weights were changed is not right, and neither is one that does not load."""
    import onnx

    bundle = find_directory("imdb-article")
    wrong = tmp_path / "imdb-article"
    wrong.mkdir()
    (wrong / "testdata").symlink_to(bundle / "testdata")
    model = onnx.load(bundle / "model.onnx")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name.endswith(".R"))
    weights.raw_data = bytes(len(weights.raw_data))
    onnx.save(model, wrong / "model.onnx")
    (wrong / "model.batch.onnx").write_bytes(b"no model")
    files: Sequence[Path] = [wrong / "model.onnx", wrong / "model.batch.onnx"]
    assert set(use_tool("extract_model", files).failed) == {"imdb-article/model.onnx", "imdb-article/model.batch.onnx"}
