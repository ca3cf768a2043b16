from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from pathlib import Path

import pytest

from rnnx.bundle import embed
from rnnx.bundle.directory import SAMPLES_NAME, read_directory, write_directory
from rnnx.bundle.embed import languages, read_snippet, targets, targets_of, write_project
from rnnx.bundle.find_model import SAMPLES_PATH, shipped_names
from rnnx.bundle.kits import TEXTS_PATH, add_tagger
from rnnx.cli import run
from rnnx.errors import ModelError, UsageError
from rnnx.text.sentence_split import split_text
from tests.bundles import CONFIG, FILES
from tests.make_bundles import BUNDLES


def test_the_folder_of_samples_is_not_a_shipped_model() -> None:
    assert SAMPLES_PATH.is_dir()
    assert "embed" not in shipped_names()
    assert {"python", "node", "c", "cpp", "rust", "go", "java", "csharp"} <= set(languages())


def test_the_readme_of_a_sample_has_two_commands_and_a_golden_check() -> None:
    for target in set(languages()) - {"browser"}:
        blocks = (SAMPLES_PATH / target / "README.md").read_text(encoding="utf-8").split("```sh\n")[1:]
        assert [len(block.partition("\n```")[0].splitlines()) for block in blocks] == [2, 1], target
        assert "A wonderful film." in blocks[0]
        assert "--golden" in blocks[1]


@pytest.mark.parametrize("target", languages())
def test_a_snippet_has_five_to_nine_lines(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    language, lines = read_snippet(target)
    assert language
    assert 5 <= len(lines.splitlines()) <= 9
    assert "model.text.onnx" in lines
    assert not lines.startswith((" ", "\t"))
    assert run(["info", "--target", target]) == 0
    assert "model.text.onnx" in capsys.readouterr().out


@pytest.mark.parametrize("target", languages())
def test_a_project_holds_sample_model_and_vectors(target: str, tiny_bundle: Path, tmp_path: Path) -> None:
    written = {path.as_posix() for path in write_project(target, tiny_bundle, tmp_path / "project")}
    assert {"README.md", "model.text.onnx", "golden.json", "config.json"} < written
    for name in ("model.text.onnx", "golden.json"):
        assert (tmp_path / "project" / name).read_bytes() == (tiny_bundle / name).read_bytes()
    assert not list(tmp_path.glob(".project*"))


@pytest.mark.parametrize("target", ["node", "triton", "huggingface"])
def test_a_training_run_is_said_to_be_one(target: str, tiny_bundle: Path, tmp_path: Path) -> None:
    config = read_directory(tiny_bundle).config
    write_directory(tmp_path / "run", config, {SAMPLES_NAME: b"[]", "model.keras": b""})
    with pytest.raises(ModelError, match="this is a training run; rnnx export makes a bundle of it"):
        write_project(target, tmp_path / "run", tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_the_config_of_a_project_has_what_it_needs_and_no_hashes_of_other_files(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    write_project("node", tiny_bundle, tmp_path / "project")
    whole = json.loads((tiny_bundle / "config.json").read_bytes())
    kept = json.loads((tmp_path / "project" / "config.json").read_bytes())
    assert set(kept) == {"name", "task", "labels", "tokenizer", "training", "files"}
    for key in ("name", "task", "labels", "tokenizer"):
        assert kept[key] == whole[key]
    assert set(kept["training"]) <= {"dataset"}
    assert kept["files"] == {name: whole["files"][name] for name in ("model.text.onnx", "golden.json")}
    for name, sha256 in kept["files"].items():
        assert hashlib.sha256((tmp_path / "project" / name).read_bytes()).hexdigest() == sha256


def test_each_folder_of_a_sample_is_a_target() -> None:
    assert targets() == sorted(path.parent.name for path in SAMPLES_PATH.glob("*/README.md"))
    assert set(targets()) - set(languages()) == {"huggingface", "mlflow", "triton"}
    with pytest.raises(UsageError, match="there is no sample for 'triton'"):
        read_snippet("triton")


def test_the_project_for_cpp_is_the_package_for_c_with_a_readme_of_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    in_c = set(write_project("c", tiny_bundle, tmp_path / "c"))
    in_cpp = set(write_project("cpp", tiny_bundle, tmp_path / "cpp"))
    assert in_cpp == in_c | {Path("snippet.cpp")}
    other = {path for path in in_c if (tmp_path / "c" / path).read_bytes() != (tmp_path / "cpp" / path).read_bytes()}
    assert other == {Path("README.md")}


def test_an_mlflow_model_names_its_loader_its_python_and_its_model(tiny_bundle: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    written = {path.as_posix() for path in write_project("mlflow", tiny_bundle, project)}
    data = {f"data/{name}" for name in ("model.text.onnx", "golden.json", "config.json")}
    examples = {"input_example.json", "serving_input_example.json"}
    environments = {"requirements.txt", "conda.yaml", "python_env.yaml"}
    assert written == {"MLmodel", "README.md", "check.py", "code/rnnx_text_model.py", *data, *examples, *environments}
    for name in data:
        assert (project / name).read_bytes() == (tiny_bundle / Path(name).name).read_bytes()
    text = (project / "MLmodel").read_text(encoding="utf-8")
    assert f"python_version: {platform.python_version()}\n" in text
    assert "loader_module: rnnx_text_model\n" in text
    assert not [name for name in written if b"@" in (project / name).read_bytes() and not name.startswith("data/")]
    requirements = (project / "requirements.txt").read_text(encoding="utf-8").split()
    assert all(f"  - {line}\n" in (project / "conda.yaml").read_text(encoding="utf-8") for line in requirements)


def test_a_triton_repository_has_a_model_for_texts_and_one_for_ids(tiny_bundle: Path, tmp_path: Path) -> None:
    written = {path.as_posix() for path in write_project("triton", tiny_bundle, tmp_path / "project")}
    config = read_directory(tiny_bundle).config
    files = {"README.md", "client.py", "config.json", "golden.json", "vocabulary.txt"}
    text, ids = f"{config.name}-text", f"{config.name}-ids"
    models = {f"{name}/{file}" for name in (text, ids) for file in ("config.pbtxt", "1/model.onnx")}
    has_one_output = config.output_size == 1
    labels = {f"{text}/labels.txt"} | (set() if has_one_output else {f"{ids}/labels.txt"})
    assert written == files | models | labels
    assert (tmp_path / "project" / text / "labels.txt").read_text(encoding="utf-8").split("\n") == [*config.labels, ""]
    settings = (tmp_path / "project" / text / "config.pbtxt").read_text(encoding="utf-8")
    assert 'name: "text" data_type: TYPE_UINT8 dims: [ -1 ]' in settings
    settings = (tmp_path / "project" / ids / "config.pbtxt").read_text(encoding="utf-8")
    assert config.tokenizer
    size = config.tokenizer.max_length if config.tokenizer.pad_to == "max_length" else -1
    assert f'name: "ids" data_type: TYPE_INT32 dims: [ {size} ]' in settings
    assert f'name: "probs" data_type: TYPE_FP32 dims: [ {config.output_size} ]' in settings


def test_an_existing_file_or_folder_is_kept(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        write_project("python", tiny_bundle, tmp_path)
    with pytest.raises(UsageError, match="choose another --out"):
        write_project("python", tiny_bundle, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bundle_without_a_text_form_is_refused(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    with pytest.raises(
        ModelError, match=r"model\.text\.onnx is missing: not exported, or by an old rnnx; export it again"
    ):
        write_project("cpp", tmp_path / "m", tmp_path / "project")


@pytest.mark.parametrize("target", sorted({*targets_of("tagging")} & {*languages()}))
def test_a_project_for_a_tagger_has_golden_vectors_that_every_parser_reads(target: str, tmp_path: Path) -> None:
    write_project(target, BUNDLES / "words", tmp_path / "project")
    (folder,) = (path.parent for path in (tmp_path / "project").rglob("model.onnx"))
    for name in ("model.onnx", "vocabulary.txt"):
        assert (folder / name).read_bytes() == (BUNDLES / "words" / name).read_bytes()
    whole = json.loads((BUNDLES / "words" / "golden.json").read_bytes())
    data = (folder / "golden.json").read_bytes()
    golden = json.loads(data)
    assert b"\\u" not in data  # a lone surrogate would be an escape
    assert [[bytes.fromhex(word) for word in row["bytes"]] for row in golden["sentences"]] == [
        [word.encode("utf-8", "surrogateescape") for word in row["words"]] for row in whole
    ]
    assert all(row["tolerance"] > 0 for row in golden["sentences"])
    assert set(json.loads((folder / "config.json").read_bytes())) == {
        *("name", "labels", "vocabulary_size", "words", "files"),
    }


def test_the_golden_texts_of_taggers_have_the_sentences_of_the_rule() -> None:
    for row in json.loads(TEXTS_PATH.read_bytes()):
        sentences = split_text(bytes.fromhex(row["bytes"]))
        assert [[[word.start, word.end] for word in sentence] for sentence in sentences] == row["sentences"]


@pytest.mark.parametrize("target", sorted(set(targets()) - set(targets_of("tagging"))))
def test_other_samples_refuse_a_tagger(target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"tags the words of a text, and the sample for {target} .*; choose .*python"):
        write_project(target, BUNDLES / "words", tmp_path / "project")
    assert not any(tmp_path.iterdir())


def test_a_network_that_reads_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"series: reads numbers or ids, not texts"):
        write_project("python", BUNDLES / "series", tmp_path / "project")


def test_a_tagger_of_every_script_has_the_table_of_characters(tmp_path: Path) -> None:
    bundle = read_directory(BUNDLES / "words")
    assert bundle.config.words
    words = dataclasses.replace(bundle.config.words, rule="unicode-14")
    add_tagger(dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, words=words)), tmp_path)
    assert json.loads((tmp_path / "config.json").read_bytes())["characters"]["rule"] == "unicode-14"


def test_the_snippet_of_a_tagger_uses_its_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--target", "python", str(BUNDLES / "words")]) == 0
    assert "Tagger.load()" in capsys.readouterr().out
    assert run(["info", "--target", "java", str(BUNDLES / "words")]) == 0
    assert capsys.readouterr().out.startswith("try (var tagger = Tagger.load()) {")
    assert run(["info", "--target", "rust", str(BUNDLES / "words")]) == 2


@pytest.mark.parametrize("target", ["browser", "c", "cpp", "java", "node", "python"])
def test_a_project_for_a_stream_has_the_sizes_of_its_states_and_texts_that_fit(target: str, tmp_path: Path) -> None:
    bundle = BUNDLES / "texts"
    assert run(["embed", target, str(bundle), "--streaming", "--out", str(tmp_path / "project")]) == 0
    (folder,) = (path.parent for path in (tmp_path / "project").rglob("model.stream.onnx"))
    config = json.loads((folder / "config.json").read_bytes())
    assert config["states"] == {"h": 8}
    assert "characters" not in config
    for name in ("model.stream.onnx", "vocabulary.txt"):
        assert (folder / name).read_bytes() == (bundle / name).read_bytes()
    golden = json.loads((folder / "golden.json").read_bytes())
    assert len(golden) > 5
    assert all(len(row["ids"]) < config["tokenizer"]["max_length"] and len(row["outputs"]) == 1 for row in golden)
    assert not list((tmp_path / "project").rglob("model.text.onnx"))


@pytest.mark.parametrize(
    ("target", "name", "said"),
    [
        ("go", "texts", "the sample for go reads no stream; choose browser, c, cpp, java, node, python"),
        ("python", "words", r"no model\.stream\.onnx: export it with --streaming"),
        ("python", "sensor", "reads a text and gives one label or number"),
    ],
)
def test_a_stream_that_no_sample_reads_is_refused(target: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((ModelError, UsageError), match=said):
        write_project(target, BUNDLES / name, tmp_path / "project", streaming=True)
    assert not any(tmp_path.iterdir())


def test_a_stream_by_a_rule_that_the_samples_do_not_have_is_refused() -> None:
    directory = read_directory(BUNDLES / "texts")
    assert directory.config.tokenizer is not None
    tokenizer = dataclasses.replace(directory.config.tokenizer, rule="unicode-14-marks")
    changed = dataclasses.replace(directory, config=dataclasses.replace(directory.config, tokenizer=tokenizer))
    with pytest.raises(UsageError, match="unicode-14-marks, which the samples for streams do not have"):
        embed._require_stream("python", changed)


def test_the_command_writes_a_project_or_names_the_targets(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", "python", str(tiny_bundle), "--out", str(tmp_path / "project")]) == 0
    assert str(tmp_path / "project" / "main.py") in capsys.readouterr().out
    assert run(["embed", "cobol"]) == 2
    assert "there is no sample for 'cobol'; choose one of" in capsys.readouterr().err
