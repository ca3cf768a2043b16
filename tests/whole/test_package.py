"""Tests what users and contributors expect of a package: types, a changelog, a workflow, a command to check it."""

from __future__ import annotations

import os
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rnnx
from tests.documents import ROOT, WRITTEN

LOCKED_EXTRAS = ("train", "cpu", "sign", "dev")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_ships_its_types() -> None:
    assert (ROOT / "rnnx" / "py.typed").is_file()


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(\S+)\] - \d{4}-\d\d-\d\d$", WRITTEN["rnnx/CHANGELOG.md"], re.MULTILINE)
    assert versions[0] == rnnx.__version__
    assert versions[-1] == "0.1.0"


def test_every_marker_is_explained_to_contributors() -> None:
    page = WRITTEN[".github/CONTRIBUTING.md"]
    for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]:
        assert f"`pytest -m {marker.partition(':')[0]}`" in page


def test_the_locked_versions_are_allowed_and_have_hashes() -> None:
    lines = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8").split("\n")
    pinned = [Requirement(line.rstrip(" \\")) for line in lines if line and not line.startswith(" ")]
    assert all(lines[i + 1].startswith("    --hash=sha256:") for i, line in enumerate(lines) if "==" in line)
    versions = {canonicalize_name(each.name): next(iter(each.specifier)).version for each in pinned}
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    for wanted in (*project["dependencies"], *(line for name in LOCKED_EXTRAS for line in extras[name])):
        requirement = Requirement(wanted)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), wanted
    assert " ".join(f"--extra {name}" for name in LOCKED_EXTRAS) in (ROOT / ".ci" / "lock").read_text(encoding="utf-8")


def test_the_workflow_begins_with_the_oldest_python() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    first, *_, last = re.findall(r'"([\d.]+)"', matrix)
    assert PROJECT["project"]["requires-python"] == f">={first}"
    assert f"{last} is the newest" in workflow
    assert "pip install --require-hashes -r .ci/requirements.txt" in workflow
    for name in ("run", "check"):
        assert f".ci/{name}" in workflow
        assert os.access(ROOT / ".ci" / name, os.X_OK)
