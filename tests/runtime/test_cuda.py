"""Tests the search for problems of CUDA on fake machines: a driver in Python, and a list of libraries."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnnx.runtime.cuda import Card, Machine, find_cards, find_problems

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the libraries have Linux's names")

LIBRARIES = frozenset({"libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9"})


def driver(version: int = 13000, code: int = 0, cards: Sequence[Card] = (Card("H", (9, 0)),)) -> Any:
    """Makes a fake libcuda.so.1, whose functions are called as in C."""

    def write(at: Any, value: int) -> int:
        at._obj.value = value
        return 0

    def write_name(buffer: Any, size: int, device: Any) -> int:
        assert size > len(cards[device.value].name)
        buffer.value = cards[device.value].name.encode()
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: code,
        cuDriverGetVersion=lambda at: write(at, version),
        cuDeviceGetCount=lambda at: write(at, len(cards)),
        cuDeviceGet=write,
        cuDeviceGetName=write_name,
        cuDeviceGetAttribute=lambda at, which, device: write(at, cards[device.value].capability[{75: 0, 76: 1}[which]]),
    )


def machine(
    fake: Any,
    libraries: Collection[str] = LIBRARIES,
    *,
    visible: str | None = None,
    dev: Path = Path("/dev"),
) -> Machine:
    def load(name: str) -> Any:
        if name == "libcuda.so.1" and fake is not None:
            return fake
        if name not in libraries:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return object()

    return Machine(load, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}, dev)


def test_a_complete_machine_has_no_problems() -> None:
    assert find_problems("13.0", machine(driver())) == []
    assert find_problems("", machine(None, ())) == []  # not a build for CUDA, so its needs are unknown


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (None, "libcuda.so.1 is missing, so there is no NVIDIA driver: install driver 580 or newer"),
        (
            driver(version=12080),
            "too old: it supports CUDA 12.8, but onnxruntime needs CUDA 13: install driver 580 or newer",
        ),
        (driver(code=34), "the toolkit's stub, not the driver: remove the folder 'stubs' from LD_LIBRARY_PATH"),
        (driver(code=802), "start nvidia-fabricmanager"),
        (driver(code=803), "to different drivers (error 803): restart the machine"),
        (driver(code=804), "uninstall the package cuda-compat"),
        (driver(code=999), "does not start (error 999): run nvidia-smi to see why"),
        (
            driver(cards=[Card("Tesla V100", (7, 0))]),
            "the Tesla V100 is too old for CUDA 13: its compute capability is 7.0, but at least 7.5 is needed",
        ),
    ],
)
def test_a_problem_of_the_driver_or_the_gpu_has_its_remedy(fake: Any, expected: str) -> None:
    (problem,) = find_problems("13.0", machine(fake))
    assert expected in problem


@pytest.mark.parametrize("fake", [driver(code=100), driver(cards=[])])
def test_a_missing_gpu_has_three_causes(fake: Any, tmp_path: Path) -> None:
    (hidden,) = find_problems("13.0", machine(fake, visible="-1", dev=tmp_path))
    assert hidden == "CUDA_VISIBLE_DEVICES='-1' hides every GPU: unset it, or set it to a GPU that exists"
    (no_node,) = find_problems("13.0", machine(fake, dev=tmp_path))
    assert f"the device node {tmp_path / 'nvidia0'} is missing: start the container with --gpus all" in no_node
    (tmp_path / "nvidia0").touch()
    (none,) = find_problems("13.0", machine(fake, dev=tmp_path))
    assert none == "the driver finds no GPU: run nvidia-smi to see why"


@pytest.mark.parametrize("missing", sorted(LIBRARIES))
def test_a_missing_library_is_named_with_its_remedy(missing: str) -> None:
    (problem,) = find_problems("13.0", machine(driver(), LIBRARIES - {missing}))
    assert problem == f"{missing} cannot be loaded: run pip install 'rnnx[cuda]' to install what is missing"


def test_libraries_of_another_cuda_are_named() -> None:
    others = {name.replace(".13", ".12") for name in LIBRARIES}
    (problem,) = find_problems("13.0", machine(driver(), others))
    libraries = "libcudart.so.13, libcublasLt.so.13, libcublas.so.13"
    assert problem.startswith(f"{libraries} cannot be loaded (CUDA 12 is installed")
    assert find_problems("12.8", machine(driver(), others)) == []


def test_every_problem_is_listed_the_driver_first() -> None:
    first, libraries = find_problems("13.0", machine(None, ()))
    assert first.startswith("libcuda.so.1 ")
    assert libraries.startswith("libcudart.so.13, ")
    assert "libcudnn.so.9" in libraries


def test_the_listed_gpus_are_those_of_the_driver() -> None:
    cards = [Card("NVIDIA H100", (9, 0)), Card("Tesla T4", (7, 5))]
    assert find_cards(machine(driver(cards=cards))) == cards
    assert find_cards(machine(None)) == find_cards(machine(driver(code=100))) == []
