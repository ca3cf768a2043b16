"""Tests that files that several samples have, because each sample is a package of its own, say the same in each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnx.bundle.find_model import SAMPLES_PATH

# The names in the sample for classifiers, in that for taggers and in that for streams. Each is written as the first.
_NAMES = (
    ("rnnx/textclassifier", "rnnx/tagger", "rnnx/textstream"),
    ("rnnx.textclassifier", "rnnx.tagger", "rnnx.textstream"),
    ("rnnx_text_classifier", "rnnx_tagger", "rnnx_text_stream"),
    ("ClassifierException", "TaggerException", "StreamException"),
)
_FOLDERS = ("", "taggers", "streams")


def read(kind: int, path: str) -> str:
    """Reads a file of a sample, with the names of the sample for classifiers.

    Args:
        kind: The position of the sample in `_FOLDERS`.
        path: The path as the sample for classifiers has it.
    """
    for names in _NAMES:
        path = path.replace(names[0], names[kind])
    text = (SAMPLES_PATH / _FOLDERS[kind] / path).read_text(encoding="utf-8")
    for names in _NAMES:
        text = text.replace(names[kind], names[0])
    return text


def read_versions(kind: int, path: str, pattern: str) -> set[tuple[str, str]]:
    """Returns the packages that a sample needs, with their versions."""
    found = re.findall(pattern, (SAMPLES_PATH / _FOLDERS[kind] / path).read_text(encoding="utf-8"))
    assert found
    return set(found)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize(
    "path",
    [
        "java/src/main/java/rnnx/textclassifier/Telemetry.java",
        "c/cmake/rnnx_text_classifier-config.cmake.in",
        "browser/vite.config.js",
        "python/requirements.txt",
        "node/index.d.ts",
    ],
)
def test_a_file_of_all_samples_is_the_same_but_for_the_names(path: str, kind: int) -> None:
    assert read(kind, path) == read(0, path)


@pytest.mark.parametrize("path", ["java/src/main/java/rnnx/textclassifier/Resources.java"])
def test_a_file_of_the_samples_for_taggers_and_streams_is_the_same_but_for_the_names(path: str) -> None:
    assert read(2, path) == read(1, path)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        (
            "java/pom.xml",
            r"<artifactId>(onnxruntime|gson|jna|maven-(?:jar|shade|dependency)-plugin)</artifactId>\s*<version>(.*)<",
        ),
        ("node/package.json", r'"(onnxruntime-node|node)": "(.*)"'),
        ("browser/package.json", r'"(onnxruntime-web|vite)": "(.*)"'),
        ("python/pyproject.toml", r"(requires-python|dependencies) = (.*)"),
    ],
)
def test_the_samples_need_the_same_versions(path: str, pattern: str, kind: int) -> None:
    assert read_versions(kind, path, pattern) == read_versions(0, path, pattern)


def test_the_packages_for_c_have_what_they_have_in_common_once() -> None:
    """What is in `c_base`, or in `c_words`, is copied into the packages; no sample has a file or a function of it."""
    shared = {path.name: path.read_text(encoding="utf-8") for path in SAMPLES_PATH.glob("c_*/*/*.[ch]")}
    assert {"session.c", "json.c", "files.c", "arguments.c", "vocabulary.c"} <= set(shared)
    for path in SAMPLES_PATH.glob("**/c/src/*.[ch]"):
        assert path.name not in shared, path
        assert not re.search(r"CreateEnv|CreateSession|fopen|strtod", path.read_text(encoding="utf-8")), path
    assert [name for name, text in shared.items() if "ORT_DISABLE_TELEMETRY" in text] == ["session.c"]


def test_a_file_that_differs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in (("", "rnnx.textclassifier 1"), ("taggers", "rnnx.tagger 1"), ("streams", "rnnx.textstream 2")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "file").write_text(text, encoding="utf-8")
    monkeypatch.setattr("tests.bundle.test_copied_samples.SAMPLES_PATH", tmp_path)
    assert read(1, "file") == read(0, "file") != read(2, "file")
