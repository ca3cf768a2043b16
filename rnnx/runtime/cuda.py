"""What CUDA needs beside onnxruntime: a driver, a card, the libraries; what of it is not there, and the remedy.

Asks the driver's own library, and loads the others under the names by which onnxruntime's provider asks for them.
Imports the standard library only. On Linux: elsewhere they have other names, and nothing is said to be missing.

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
# A driver of CUDA's major version runs all its minor ones.
_LEAST_DRIVERS = {12: "525", 13: "580"}
# CUDA 13 builds for no card before Turing; (7, 5) is its compute capability.
_LEAST_CAPABILITIES = {13: (7, 5)}
_REFUSALS = {
    34: f"{_DRIVER} is the toolkit's stub, not the driver: take the folder 'stubs' out of LD_LIBRARY_PATH",
    802: "the card is not ready (error 802): start nvidia-fabricmanager, and wait until it is up",
    803: f"the loaded kernel module and {_DRIVER} are of different drivers (error 803): restart the machine",
    804: "this card takes no driver for forward compatibility (error 804): uninstall the package cuda-compat",
}
# CUdevice_attribute: the compute capability.
_MAJOR, _MINOR = 75, 76


@dataclass(frozen=True)
class Card:
    """A card that CUDA can use.

    Attributes:
        name: As its maker calls it.
        capability: Its compute capability, such as (9, 0).
    """

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True)
class Machine:
    """Where to look; another one in tests.

    Attributes:
        load: Loads a library by its name, and raises OSError.
        environment: The variables of the process.
        devices: Where the device nodes are.
    """

    load: Callable[[str], Any] = ctypes.CDLL
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    devices: Path = Path("/dev")


def find_problems(cuda_version: str, machine: Machine | None = None) -> list[str]:
    """Looks for what CUDA needs.

    Args:
        cuda_version: What onnxruntime was built for, such as `13.0`.
        machine: This one if None.

    Returns:
        What is missing or does not fit, each with its remedy, the driver first; empty if nothing is known to be wrong.
    """
    major, _, _ = cuda_version.partition(".")
    if not major.isdigit() or sys.platform != "linux":
        return []
    machine = machine or Machine()
    return [*_driver_problems(int(major), machine), *_library_problems(int(major), machine)]


def find_cards(machine: Machine | None = None) -> list[Card]:
    """The cards that CUDA can use, in its order; none without a driver that works."""
    try:
        driver = (machine or Machine()).load(_DRIVER)
    except OSError:
        return []
    if driver.cuInit(0):
        return []
    return [_read_card(driver, i) for i in range(_read(driver.cuDeviceGetCount))]


def find_load_error(provider: Path) -> str:
    """Why onnxruntime could not load its own library for CUDA; to be asked after it has tried, and not before.

    Returns:
        What the loader says, with the name of what is missing; empty if nothing is in the way of loading it.
    """
    try:
        ctypes.CDLL(str(provider))
    except OSError as error:
        return str(error)
    return ""


def _driver_problems(major: int, machine: Machine) -> list[str]:
    wanted = f"driver {_LEAST_DRIVERS.get(major, 'for CUDA ' + str(major))} or newer"
    try:
        driver = machine.load(_DRIVER)
    except OSError:
        return [
            f"{_DRIVER} is missing, there is no NVIDIA driver: install {wanted}, or start the container with --gpus all"
        ]
    version = _read(driver.cuDriverGetVersion)
    if 0 < version // 1000 < major:
        return [
            f"the NVIDIA driver is too old: it knows CUDA {version // 1000}.{version % 1000 // 10}, "
            f"onnxruntime wants CUDA {major}: install {wanted}"
        ]
    if code := driver.cuInit(0):
        return [_explain(code, machine)]
    if _read(driver.cuDeviceGetCount) == 0:
        return [_explain(_NO_DEVICE, machine)]
    card, least = _read_card(driver, 0), _LEAST_CAPABILITIES.get(major, (0, 0))
    if card.capability < least:
        return [
            f"the {card.name} is too old for CUDA {major}: its compute capability is {_dotted(card.capability)}, "
            f"{_dotted(least)} is the least: choose another card by CUDA_VISIBLE_DEVICES, or --device cpu"
        ]
    return []


def _explain(code: int, machine: Machine) -> str:
    """What is in the way if the driver refuses to start, or has no card."""
    if code != _NO_DEVICE:
        return _REFUSALS.get(code, f"the NVIDIA driver does not start (error {code}): see what nvidia-smi says")
    if (chosen := machine.environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return f"CUDA_VISIBLE_DEVICES={chosen!r} hides every card: unset it, or name one that is there"
    if not any((machine.devices / node).exists() for node in ("nvidia0", "dxg")):  # dxg: Windows' Linux subsystem
        return (
            f"there is a driver, but no device node {machine.devices / 'nvidia0'}: start the container with "
            "--gpus all, or load the kernel module (modprobe nvidia)"
        )
    return "the driver finds no card: see what nvidia-smi says"


def _library_problems(major: int, machine: Machine) -> list[str]:
    names = [f"lib{name}.so.{major}" for name in ("cudart", "cublasLt", "cublas")]
    missing = [name for name in [*names, "libcurand.so.10", "libcudnn.so.9"] if not _is_there(name, machine)]
    if not missing:
        return []
    others = [other for other in _LEAST_DRIVERS if other != major and _is_there(f"libcudart.so.{other}", machine)]
    instead = f" (CUDA {others[0]} is there, and does not fit: onnxruntime wants CUDA {major})" if others else ""
    return [f"{', '.join(missing)} cannot be loaded{instead}: {_INSTALL} brings what is missing"]


def _is_there(name: str, machine: Machine) -> bool:
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
    """Calls what writes a number to where its first argument points."""
    value = ctypes.c_int()
    function(ctypes.byref(value), *arguments)
    return value.value


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
