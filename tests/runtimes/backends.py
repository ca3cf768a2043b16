"""Runs the files of a bundle in onnxruntime-web in headless Chromium: by WebAssembly, and by WebGPU in software."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from rnnx.bundle.directory import BATCH_NAME, GOLDEN_NAME, MODEL_NAME, TEXT_NAME
from tests.runtimes import page

_HERE = Path(__file__).parent
_SOFTWARE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--ignore-gpu-blocklist",
)
BACKENDS: dict[str, tuple[str, ...]] = {"wasm": (), "webgpu": _SOFTWARE_GPU}


def install(folder: Path) -> str:
    """Installs onnxruntime-web and the page into a folder, unless they are there, and returns its version."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules").is_dir():
        page.shell("npm init -y && npm install --no-fund --no-audit onnxruntime-web@1 ws@8", folder)
    shutil.copyfile(_HERE / "backends.html", folder / "index.html")
    shutil.copyfile(_HERE / "backends.mjs", folder / "backends.mjs")
    package = json.loads((folder / "node_modules" / "onnxruntime-web" / "package.json").read_bytes())
    return str(package["version"])


def run_backend(backend: str, bundle: Path, folder: Path) -> dict[str, float | str]:
    """Runs the files of a text bundle.

    Returns:
        By file, the largest difference from the reference, or the message of the error.
    """
    for name in (MODEL_NAME, BATCH_NAME, TEXT_NAME, GOLDEN_NAME, "config.json"):
        shutil.copyfile(bundle / name, folder / name)
    port = page.free_port()
    with page.served(f"{page.FILE_SERVER} {port}", folder, port) as url:
        done = subprocess.run(  # noqa: S603  # our own script
            ["node", "backends.mjs", f"{url}?backend={backend}", *BACKENDS[backend]],  # noqa: S607
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
