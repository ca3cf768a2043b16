"""Finds out what CUDA lacks on this machine: a driver, a GPU, or libraries; each problem comes with its remedy.

The driver's own library is asked for its version and its GPUs. The other libraries are loaded under the names by which
onnxruntime's CUDA provider loads them. On systems other than Linux these names differ, and no problem is reported.

Imports the standard library only.

Source: NVIDIA, "CUDA Compatibility" and the release notes of the CUDA toolkit 13.0 (drivers, architectures);
"CUDA Driver API", cuInit and CUresult.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_INSTALL = "pip install 'rnnx[cuda]'"
_DRIVER = "libcuda.so.1"
_NO_DEVICE = 100
# The oldest driver of each major version of CUDA. It runs all minor versions.
_MIN_DRIVERS = {12: "525", 13: "580"}
# CUDA 13 supports no GPU older than Turing, which has compute capability 7.5.
_MIN_CAPABILITIES = {13: (7, 5)}
# What cuInit returns if it fails (CUresult), and the remedy.
_INIT_ERRORS = {
    34: f"{_DRIVER} is the toolkit's stub, not the driver: remove the folder 'stubs' from LD_LIBRARY_PATH",
    802: "the GPU is not ready (error 802): start nvidia-fabricmanager, and wait until it is running",
    803: f"the loaded kernel module and {_DRIVER} belong to different drivers (error 803): restart the machine",
    804: "this GPU does not support a forward-compatible driver (error 804): uninstall the package cuda-compat",
}
# CUdevice_attribute: the major and the minor number of the compute capability.
_MAJOR, _MINOR = 75, 76


@dataclass(frozen=True)
class Card:
    """A GPU that CUDA can use.

    Attributes:
        name: The name that the driver reports, such as `NVIDIA H100`.
        capability: The compute capability, such as (9, 0).
    """

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True)
class Machine:
    """The access to the machine that is examined; tests pass a fake machine.

    Attributes:
        load: Loads a library by its name; raises OSError if that fails.
        environment: The environment variables.
        devices: The folder of the device nodes.
    """

    load: Callable[[str], Any] = ctypes.CDLL
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    devices: Path = Path("/dev")


def find_problems(cuda_version: str, machine: Machine | None = None) -> list[str]:
    """Finds out why CUDA cannot be used.

    Args:
        cuda_version: The version of CUDA that onnxruntime was built for, such as `13.0`.
        machine: The machine to look at; None for this one.

    Returns:
        One line for each problem, with its remedy, problems of the driver and the GPU first. Empty if no problem is
        known.
    """
    major, _, _ = cuda_version.partition(".")
    if not major.isdigit() or sys.platform != "linux":
        return []
    machine = machine or Machine()
    return [*_driver_problems(int(major), machine), *_library_problems(int(major), machine)]


def find_cards(machine: Machine | None = None) -> list[Card]:
    """Returns the GPUs that CUDA can use, in the order of CUDA; none if the driver does not work."""
    try:
        driver = (machine or Machine()).load(_DRIVER)
    except OSError:
        return []
    if driver.cuInit(0):
        return []
    return [_read_card(driver, i) for i in range(_read(driver.cuDeviceGetCount))]


def find_load_error(provider: Path) -> str:
    """Finds out why onnxruntime could not load its own CUDA library. Call it only after onnxruntime has tried.

    Args:
        provider: The path of the library.

    Returns:
        The message of the dynamic loader, which names the missing library; empty if the library loads.
    """
    try:
        ctypes.CDLL(str(provider))
    except OSError as error:
        return str(error)
    return ""


def _driver_problems(major: int, machine: Machine) -> list[str]:
    required = f"driver {_MIN_DRIVERS.get(major, 'for CUDA ' + str(major))} or newer"
    try:
        driver = machine.load(_DRIVER)
    except OSError:
        return [
            f"{_DRIVER} is missing, so there is no NVIDIA driver: install {required}, "
            "or start the container with --gpus all"
        ]
    version = _read(driver.cuDriverGetVersion)
    if 0 < version // 1000 < major:
        return [
            f"the NVIDIA driver is too old: it supports CUDA {version // 1000}.{version % 1000 // 10}, "
            f"but onnxruntime needs CUDA {major}: install {required}"
        ]
    if code := driver.cuInit(0):
        return [_explain(code, machine)]
    if _read(driver.cuDeviceGetCount) == 0:
        return [_explain(_NO_DEVICE, machine)]
    card, min_capability = _read_card(driver, 0), _MIN_CAPABILITIES.get(major, (0, 0))
    if card.capability < min_capability:
        return [
            f"the {card.name} is too old for CUDA {major}: its compute capability is {_dotted(card.capability)}, "
            f"but at least {_dotted(min_capability)} is needed: select another GPU with CUDA_VISIBLE_DEVICES, "
            "or use --device cpu"
        ]
    return []


def _explain(code: int, machine: Machine) -> str:
    """Explains an error of cuInit, or why the driver has no GPU."""
    if code != _NO_DEVICE:
        return _INIT_ERRORS.get(code, f"the NVIDIA driver does not start (error {code}): run nvidia-smi to see why")
    if (chosen := machine.environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return f"CUDA_VISIBLE_DEVICES={chosen!r} hides every GPU: unset it, or set it to a GPU that exists"
    if not any((machine.devices / node).exists() for node in ("nvidia0", "dxg")):  # dxg: Windows Subsystem for Linux
        return (
            f"the driver is installed, but the device node {machine.devices / 'nvidia0'} is missing: start the "
            "container with --gpus all, or load the kernel module (modprobe nvidia)"
        )
    return "the driver finds no GPU: run nvidia-smi to see why"


def _library_problems(major: int, machine: Machine) -> list[str]:
    names = [f"lib{name}.so.{major}" for name in ("cudart", "cublasLt", "cublas")]
    missing = [name for name in [*names, "libcurand.so.10", "libcudnn.so.9"] if not _is_loadable(name, machine)]
    if not missing:
        return []
    others = [other for other in _MIN_DRIVERS if other != major and _is_loadable(f"libcudart.so.{other}", machine)]
    found = f" (CUDA {others[0]} is installed, but onnxruntime needs CUDA {major})" if others else ""
    return [f"{', '.join(missing)} cannot be loaded{found}: run {_INSTALL} to install what is missing"]


def _is_loadable(name: str, machine: Machine) -> bool:
    try:
        machine.load(name)
    except OSError:
        return False
    return True


def _read_card(driver: Any, index: int) -> Card:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    major, minor = (_read(driver.cuDeviceGetAttribute, attribute, device) for attribute in (_MAJOR, _MINOR))
    return Card(name.value.decode(errors="replace"), (major, minor))


def _read(function: Any, *arguments: Any) -> int:
    """Calls a function that writes an int through its first argument, and returns that int."""
    value = ctypes.c_int()
    function(ctypes.byref(value), *arguments)
    return value.value


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
