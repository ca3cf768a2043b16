"""Tests the folder of `rnnx embed mlflow` in MLflow. They need mlflow-skinny and pandas, and Spark needs Java 17."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.engines.corpora import review

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

ROOT = Path(rnnx.__file__).parents[1]
# What MLflow writes and the folder leaves out: who wrote it, when, and how large it is.
NOT_NAMED = {"mlflow_version", "model_size_bytes", "utc_time_created"}


def test_the_loader_of_an_mlflow_model_answers_each_row(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project("mlflow", tiny_bundle, tmp_path / "project")
    monkeypatch.syspath_prepend(tmp_path / "project" / "code")
    loader = importlib.import_module("rnnx_text_model")
    model = loader._load_pyfunc(str(tmp_path / "project" / "data"))
    texts = ["good", None, b"caf\xe9", "", float("nan"), "bad " * 300_000, "caf\udce9", *["good film"] * 100]
    answers = model.predict(pandas.DataFrame({"text": texts}, index=range(5, 5 + len(texts))))
    assert list(answers.index) == list(range(5, 5 + len(texts)))
    assert list(answers["error"][:7]) == ["", "no text", "", "", "no text", "", ""]
    assert list(answers["label"] == "")[:7] == [False, True, False, False, True, False, False]
    given = [text for text in texts if isinstance(text, str | bytes)]
    expected = rnnx.load(tiny_bundle).predict(given)
    actual = answers[answers["error"] == ""]
    assert list(actual["label"]) == [prediction.label for prediction in expected]
    for prediction, row in zip(expected, actual.itertuples(), strict=True):
        assert row.probability == pytest.approx(prediction.probability, abs=1e-3)  # the text form stores int16
        assert row.probabilities == pytest.approx(list(prediction.probs.values()), abs=1e-3)
    assert model.predict(pandas.DataFrame({"text": []})).empty


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that send nothing and write nothing into the home directory."""
    if not importlib.util.find_spec("mlflow"):
        pytest.skip("mlflow is not installed")
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(tmp_path), "MLFLOW_TRACKING_URI": f"file:{tmp_path}"}
    return {**os.environ, **settings, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


def run_in(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Runs a program without rnnx on its path, and returns what it prints."""
    environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603  # ours
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.mark.engines
def test_mlflow_loads_the_model_and_finds_the_golden_answers(tmp_path: Path, environment: dict[str, str]) -> None:
    write_project("mlflow", "imdb", tmp_path / "project")
    assert run_in(tmp_path / "project", environment, "check.py", "A wonderful film.").startswith("pos\t0.")
    assert run_in(tmp_path / "project", environment, "check.py", "--golden").endswith("25 of 25 right\n")


SAVE = """
import json, sys, mlflow, yaml
model, = sys.argv[1:]
loaded = mlflow.pyfunc.load_model(model)
assert loaded.metadata.get_input_schema().input_names() == ["text"]
example = loaded.input_example
answers = loaded.predict(example)
assert list(answers["label"]) == ["pos", "neg"], answers
packages = open(f"{model}/requirements.txt").read().split()
mlflow.pyfunc.save_model(
    "saved", loader_module="rnnx_text_model", data_path=f"{model}/data", code_paths=[f"{model}/code"],
    signature=loaded.metadata.signature, input_example=example, pip_requirements=packages,
)
print(json.dumps([yaml.safe_load(open(f"{folder}/MLmodel")) for folder in ("saved", model)]))
"""


@pytest.mark.engines
def test_the_folder_is_what_mlflow_would_write(tmp_path: Path, environment: dict[str, str]) -> None:
    write_project("mlflow", "imdb", tmp_path / "project")
    expected, actual = json.loads(run_in(tmp_path, environment, "-c", SAVE, "project").splitlines()[-1])
    for described in (expected, actual):
        for name in NOT_NAMED | {"model_uuid"}:
            described.pop(name, None)
    expected["flavors"]["python_function"]["data"] = "data"  # MLflow copies the folder into one of that name
    assert actual == expected
    for name in ("input_example.json", "serving_input_example.json"):
        saved, written = (json.loads((tmp_path / folder / name).read_bytes()) for folder in ("saved", "project"))
        assert written == saved


UDF = """
import sys, mlflow
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
reviews = spark.read.json("reviews.jsonl")
answer = mlflow.pyfunc.spark_udf(spark, "project")
answers = reviews.withColumn("answer", answer("review")).select("id", "answer.*")
answers.toPandas().sort_values("id").to_json("answers.json", orient="records", double_precision=15)
spark.stop()
"""


@pytest.mark.engines
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17")
def test_a_function_of_spark_answers_each_row(tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    write_project("mlflow", "imdb", tmp_path / "project")
    rows = [{"id": i, "review": review(i) if i % 50 else None} for i in range(200)]
    pandas.DataFrame(rows).to_json(tmp_path / "reviews.jsonl", orient="records", lines=True)
    run_in(tmp_path, environment, "-c", UDF)
    answers = pandas.read_json(tmp_path / "answers.json", precise_float=True)
    assert list(answers["id"]) == list(range(200))
    assert list(answers["error"]) == ["" if i % 50 else "no text" for i in range(200)]
    expected = rnnx.load("imdb").predict([review(i) for i in range(200)])
    for i, (prediction, row) in enumerate(zip(expected, answers.itertuples(), strict=True)):
        if i % 50:
            assert row.label == prediction.label
            assert row.probability == pytest.approx(prediction.probability, abs=1e-3)
        else:
            assert row.label == ""
