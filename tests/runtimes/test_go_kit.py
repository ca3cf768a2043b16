"""Tests the library of `rnnx embed go` from a second module, which replaces its path by the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import rnnx
from tests.runtimes.kits import break_model, copy_model, read_answer, read_example, require_answer, run
from tests.runtimes.samples import Project

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film."
PROGRAM = f"""package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	textclassifier "example.com/rnnx-text-classifier"
)

func require(isRight bool, what string) {{
	if !isRight {{
		panic(what)
	}}
}}

func load() (*textclassifier.Classifier, error) {{
	if len(os.Args) > 1 {{
		return textclassifier.LoadFolder(os.Args[1])
	}}
	return textclassifier.Load()
}}

func predict(classifier *textclassifier.Classifier, texts ...string) []textclassifier.Prediction {{
	predictions, err := classifier.PredictMany(texts)
	require(err == nil && len(predictions) == len(texts), fmt.Sprint("predict: ", err))
	return predictions
}}

func main() {{
	classifier, err := load()
	var refused *textclassifier.ClassifierError
	if errors.As(err, &refused) {{
		fmt.Println("refused:", refused)
		return
	}}
	defer classifier.Close()
	one, err := classifier.Predict("{TEXT}")
	require(err == nil, "predict")
	require(strings.Join(classifier.Labels(), ",") == "neg,pos", "the labels")
	two := predict(classifier, "awful", "{TEXT}")
	require(two[0].Label == "neg" && max(two[1].Probability, one.Probs[1])-one.Probability < 1e-6, "a batch")
	require(len(predict(classifier)) == 0, "no text has an answer")
	many := make([]string, 3002)
	many[0], many[3001] = "awful", "wonderful"
	answers := predict(classifier, many...)
	require(answers[0].Label == "neg" && answers[3001].Label == "pos", "the order")
	mixed := append(strings.Split(strings.Repeat("fine,", 300), ","), strings.Repeat("x ", 500_000))
	fine := predict(classifier, "fine")[0].Probability - predict(classifier, mixed...)[0].Probability
	require(fine < 1e-6 && fine > -1e-6, "long and short")
	fmt.Printf("%s\\t%f\\n", one.Label, one.Probability)
}}
"""
GO_MOD = """module app

go 1.22

require example.com/rnnx-text-classifier v0.0.0

replace example.com/rnnx-text-classifier => KIT
"""


@pytest.fixture(scope="module")
def kit(project_of: Callable[[str], Project]) -> Project:
    return project_of("go")


def test_a_program_of_another_module_uses_the_library(
    kit: Project, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, code in (("program", PROGRAM), ("example", read_example(kit.folder, "go"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.go").write_text(code, encoding="utf-8")
    (tmp_path / "go.mod").write_text(GO_MOD.replace("KIT", str(kit.folder)), encoding="utf-8")
    for words in (["mod", "tidy"], ["vet", "./..."], ["build", "-o", f"{tmp_path}/built/", "./..."]):
        done = run(["go", *words], tmp_path)
        assert done.returncode == 0, done.stderr
    program = tmp_path / "built" / "program"
    assert "name it in ORT_DYLIB_PATH" in run([program], tmp_path).stdout
    monkeypatch.setenv("ORT_DYLIB_PATH", os.fspath(kit.folder / "onnxruntime" / "lib" / "libonnxruntime.so"))
    expected = rnnx.load(bundles[0], device="cpu").predict([TEXT])[0].probs["pos"]
    require_answer(run([program], tmp_path), "pos", expected)
    folder = copy_model(bundles[0], tmp_path / "model")
    assert read_answer(run([program, "model"], tmp_path))[0] == "pos"
    for how, said in (("truncated", "is not a whole model"), ("missing", "cannot read")):
        break_model(folder, how)
        assert run([program, "model"], tmp_path).stdout.startswith("refused: ")
        assert said in run([program, "model"], tmp_path).stdout
    assert run([tmp_path / "built" / "example"], tmp_path).stdout.startswith("[neg pos] pos 0.9")


def test_the_module_is_formatted_and_tidy(kit: Project) -> None:
    before = [(kit.folder / name).read_bytes() for name in ("go.mod", "go.sum")]
    assert run(["gofmt", "-l", "."], kit.folder).stdout == ""
    assert run(["go", "vet", "./..."], kit.folder).returncode == 0
    assert run(["go", "mod", "tidy"], kit.folder).returncode == 0
    assert [(kit.folder / name).read_bytes() for name in ("go.mod", "go.sum")] == before
