"""Runs the page in headless Chromium: written by `rnnx embed`, served as its README says, driven by page.mjs."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnnx.bundle.embed import write_project
from tests.runtimes.samples import GOLDEN, Row

_DRIVER = Path(__file__).parent / "page.mjs"
# The snippet names the package as a bundler finds it.
_SNIPPET_PAGE = (
    '<script type=importmap>{"imports": {"onnxruntime-web/wasm": '
    '"./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>'
    "<p id=said></p><script type=module>console.log = (...words) => (said.textContent = words.join(' '));"
    "await import('./snippet.mjs')</script>"
)
_CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
    "--dump-dom",
)
FILE_SERVER = "python3 -m http.server --bind 127.0.0.1"
SCREENSHOT = "light.png"  # written into the folder that `drive` gets
LONG_WORDS = 500
BIG_BYTES = 1 << 20


def missing() -> str | None:
    """Returns what must be installed first; None if everything is available."""
    needs = {"npm": "Node 18 with npm", "python3": "Python"}
    absent = [what for program, what in needs.items() if shutil.which(program) is None]
    if _chromium() is None:
        absent.append("chromium (apt-get install chromium)")
    return ", ".join(absent) or None


def _chromium() -> str | None:
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def drive(bundle: Path, folder: Path) -> dict[str, Any]:
    """Writes, installs and serves the project of the page, and does what a visitor would do.

    Returns:
        What page.mjs observed.
    """
    project = folder / "page"
    write_project("browser", bundle, project)
    block = re.search(r"```sh\n(.*?)\n```", (project / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    build, serve = block[1].splitlines()
    shell(build, project)
    tools = folder / "tools"
    tools.mkdir()
    shell("npm init -y && npm install --no-fund --no-audit playwright-core@1", tools)
    (project / "snippet.html").write_text(_SNIPPET_PAGE, encoding="utf-8")
    port = free_port()
    with served(f"{FILE_SERVER} {port}", project, port) as url:
        snippet = _dump(f"{url}snippet.html", folder / "profile")
    port = free_port()
    with served(f"{serve} -- --port {port} --strictPort", project, port) as url:
        seen = run_driver(_DRIVER, url, tools, folder, given=visit(bundle))
    return {**seen, "snippet": snippet}


def run_driver(script: Path, url: str, tools: Path, *arguments: str | Path, given: object = None) -> dict[str, Any]:
    """Runs a program that drives headless Chromium.

    Args:
        script: A program of Node.
        url: The address of the page.
        tools: A folder in which playwright-core is installed.
        arguments: More arguments of the program.
        given: Its standard input, which is written as JSON.

    Returns:
        What the program printed, which is JSON.
    """
    done = subprocess.run(  # noqa: S603  # our own script
        ["node", script, url, str(_chromium()), f"{tools}/", *arguments],  # noqa: S607
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _dump(url: str, profile: Path) -> str:
    """Returns the content of the element `said` after the script of the page has run."""
    done = subprocess.run(  # noqa: S603  # our own page
        [str(_chromium()), *_CHROMIUM_FLAGS, f"--user-data-dir={profile}", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = re.search(r'id="said">([^<]*)<', done.stdout)
    return found[1] if found else done.stdout + done.stderr


def read_row(seen: dict[str, Any], bundle: Path) -> Row:
    """Returns the row of the matrix from the result of `drive`."""
    found = GOLDEN.search(seen["golden"])
    assert found is not None, seen["golden"]
    version, right, count, difference, microseconds = found.groups()
    runtime = f"{version}, Chromium {seen['version'].partition('.')[0]}"
    name = json.loads((bundle / "config.json").read_bytes())["name"]
    return Row("browser", runtime, name, int(right), int(count), float(difference), float(microseconds))


def visit(bundle: Path) -> dict[str, Any]:
    """Returns what the visitor types and drops: golden texts, 500 of their words, a file not in UTF-8, a megabyte."""
    rows = [bytes.fromhex(row["bytes"]) for row in json.loads((bundle / "golden.json").read_bytes())]
    words = " ".join(row.decode() for row in rows[:13]).split()
    return {
        "texts": [row.decode() for row in rows[:5]],
        "long": " ".join((words * LONG_WORDS)[:LONG_WORDS]),
        "wide": [f"{'A slow start. ' * 60}{'x' * 300}", "这部电影一开始有点慢但是结尾非常精彩。" * 20],
        "file": base64.b64encode(next(row for row in rows if b"\xff\xfe" in row)).decode(),
        "big": base64.b64encode(big_text()).decode(),
    }


def big_text() -> bytes:
    """Returns a megabyte of words."""
    return (b"the film is great " * BIG_BYTES)[:BIG_BYTES]


def shell(command: str, folder: Path) -> None:
    """Runs a command in a folder."""
    done = subprocess.run(  # noqa: S603  # commands of a README, and ours
        ["bash", "-ec", command],  # noqa: S607
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def free_port() -> int:
    """Returns a free port of this machine."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def served(command: str, folder: Path, port: int) -> Iterator[str]:
    """Serves a folder by a command while the context is open, and gives its address."""
    url = f"http://localhost:{port}/"
    server = subprocess.Popen(  # noqa: S603  # the README's own command
        command.split(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url, timeout=1).close()  # a local address
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # npm and what it started
        server.wait(10)
