from __future__ import annotations

import pytest

from rnnx.bundle.embed import targets
from rnnx.bundle.target_names import OTHER_NAMES, describe_unknown
from rnnx.cli import run


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("nodejs", "node"),
        ("Node", "node"),
        ("js", "node or browser"),
        ("rs", "rust"),
        ("golang", "go"),
        ("c++", "cpp"),
        ("C#", "csharp"),
        ("kotlin", "java"),
        ("pyhton", "python"),
        ("html", "browser"),
    ],
)
def test_a_near_miss_names_the_target_that_was_meant(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["embed", word], ["info", "--target", word]):
        assert run(command) == 2
        assert f"there is no sample for '{word}'; did you mean {meant}?" in capsys.readouterr().err


def test_another_name_of_a_target_counts_only_where_the_target_is() -> None:
    assert describe_unknown("hf", ["node"]) == "there is no sample for 'hf'; choose one of node"
    assert describe_unknown("hf", ["huggingface", "node"]).endswith("did you mean huggingface?")
    assert describe_unknown("js", ["node"]).endswith("did you mean node?")
    for word in ("cobol", "php", "ruby", "swift", ""):
        assert "choose one of" in describe_unknown(word, targets())


def test_other_names_are_no_targets() -> None:
    assert not set(OTHER_NAMES) & set(targets())
    assert {target for meant in OTHER_NAMES.values() for target in meant} - set(targets()) <= {"huggingface"}
