"""Writes a project with `rnnx embed`, runs the commands of its README, and reads the output of its `--golden`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rnnx.bundle.embed import write_project

# The programs that each target needs, and how to get them.
NEEDS = {
    "python": (),
    "node": (("npm", "Node 18 with npm"),),
    "c": (("cmake", "CMake"), ("cc", "a C compiler")),
    "cpp": (("cmake", "CMake"), ("c++", "a C++ compiler")),
    "rust": (("cargo", "Rust (rustup)"), ("cc", "a C compiler")),
    "go": (("go", "Go 1.22"), ("cc", "a C compiler")),
    "java": (("mvn", "Maven"), ("javac", "a JDK of 17")),
    "csharp": (("dotnet", ".NET 8"),),
}
# These have tests of their own, which run the golden vectors too.
KITS = ("c", "cpp", "rust")
_HEADER = "onnxruntime_c_api.h"
_CPP_HEADER = "onnxruntime_cxx_api.h"  # for the snippet in C++ alone
_LINKED = ("c", "cpp", "rust", "go")
# The Go binding contains the C header of onnxruntime, which no package registry offers alone.
_GO_MODULE = "github.com/yalue/onnxruntime_go@v1.27.0"
_LINK = "-Ionnxruntime/include -Lonnxruntime/lib -lonnxruntime -Wl,-rpath,onnxruntime/lib -o built_snippet"
# How the snippet of the card is built, and how it is run. The one in Java says that the variable has to be set.
_SNIPPETS = {
    "python": ("", "python snippet.py"),
    "node": ("", "node snippet.mjs"),
    "c": (f"cc -std=c11 -Wall -Wextra snippet.c {_LINK}", "./built_snippet"),
    "cpp": (f"c++ -std=c++17 -Wall -Wextra snippet.cpp {_LINK}", "./built_snippet"),
    "rust": ("cargo build --quiet --example snippet", '"${CARGO_TARGET_DIR:-target}"/debug/examples/snippet'),
    "go": ("go build -o built_snippet ./snippet", "./built_snippet"),
    "java": ("", "ORT_DISABLE_TELEMETRY=1 java -cp 'target/lib/*' Snippet.java"),
}
# The targets whose package contains the model. The option `--model` makes their command use another one.
_PACKAGED = ("go", "java")
# The golden vectors are part of the program.
_REBUILD = {"c": "cmake --build build >/dev/null; ", "cpp": "cmake --build build >/dev/null; "}
GOLDEN = re.compile(
    r"^onnxruntime (.+): (\d+) of (\d+) right, largest difference (\S+), (\d+) us a text$", re.MULTILINE
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # Maven prints colours even into a pipe
_TEXT = "A wonderful film."


@dataclass(frozen=True)
class Row:
    """One row of the matrix."""

    runtime: str
    version: str
    bundle: str
    right: int
    count: int
    largest_difference: float
    microseconds: float


def missing(target: str) -> str | None:
    """Returns what must be installed for a target; None if everything is available."""
    absent = [what for program, what in NEEDS[target] if shutil.which(program) is None]
    if target in _LINKED and _library() is None:
        absent.append("onnxruntime as a shared library (pip install onnxruntime, or a release in ONNXRUNTIME_ROOT)")
    if target in ("c", "cpp") and not _include(_HEADER):
        absent.append(f"{_HEADER} (a release of onnxruntime in ONNXRUNTIME_ROOT)")
    return ", ".join(absent) or None


class Project:
    """A project that `rnnx embed` wrote and that has been built."""

    def __init__(self, target: str, bundle: Path, folder: Path) -> None:
        """Writes the project and runs the first of the two commands in its README."""
        self.target, self.folder, self.bundle = target, folder, bundle
        write_project(target, bundle, folder)
        blocks = re.findall(r"```sh\n(.*?)\n```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
        self.build_command, self.run_command = blocks[0].splitlines()
        self.golden_command = blocks[1]
        self._model = folder
        self._env = dict(os.environ)
        if target in _LINKED:
            place_onnxruntime(folder / "onnxruntime")
        if target == "python":
            subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)  # noqa: S603
            self._env |= {"VIRTUAL_ENV": str(folder / ".venv"), "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}"}
        self.shell(self.build_command).check_returncode()

    def use_wasm(self) -> None:
        """Makes the sample for Node run onnxruntime-web, as the page does, in the place of onnxruntime-node."""
        assert self.target == "node"
        alias = "npm install --no-fund --no-audit onnxruntime-node@npm:onnxruntime-web@1"
        self.shell(alias).check_returncode()
        self.target = "wasm"

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as a reader of the README would."""
        done = subprocess.run(  # noqa: S603  # commands of a README
            ["bash", "-ec", command],  # noqa: S607
            check=False,
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=900,
        )
        done.stdout = _COLOURS.sub("", done.stdout)
        if done.returncode:
            sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
        return done

    def use(self, bundle: Path) -> None:
        """Replaces the model that the project was written with."""
        if self.target in _PACKAGED and self._model == self.folder:
            self._model = self.folder / "other"
            self._model.mkdir()
            self.golden_command = self.golden_command.replace("--golden", "--model other --golden")
        for name in ("model.text.onnx", "golden.json", "config.json"):
            shutil.copyfile(bundle / name, self._model / name)
        self.bundle = bundle

    def use_golden(self, vectors: bytes) -> None:
        """Replaces the golden vectors, where the program reads them."""
        (self._model / "golden.json").write_bytes(vectors)

    def answer(self) -> tuple[str, float]:
        """Returns label and probability of the text in the README, by its second command."""
        assert _TEXT in self.run_command
        label, probability = self.shell(self.run_command).stdout.strip().splitlines()[-1].split("\t")
        return label, float(probability)

    def lacks_for_snippet(self) -> str:
        """Returns what keeps the snippet of the card from being run here; empty if nothing does."""
        if self.target not in _SNIPPETS:
            return f"a way to run snippets in {self.target}"
        return _CPP_HEADER if self.target == "cpp" and not _include(_CPP_HEADER) else ""

    def run_snippet(self) -> float:
        """Returns the probability of the second label from the snippet of the card.

        It runs in an empty home, without settings. onnxruntime, whose telemetry it switches off, leaves nothing there.
        """
        library = self.folder / "onnxruntime" / "lib" / "libonnxruntime.so"
        build, run = _SNIPPETS[self.target]
        self.shell(build).check_returncode()
        with tempfile.TemporaryDirectory() as home:
            done = self.shell(f'env -i PATH="$PATH" HOME={home} ORT_DYLIB_PATH={library} {run}')
            done.check_returncode()
            assert not list(Path(home).iterdir())
        return float(done.stdout.split()[-1].rstrip("]"))

    def run_golden(self) -> Row:
        """Runs the golden vectors."""
        done = self.shell(_REBUILD.get(self.target, "") + self.golden_command)
        done.check_returncode()
        found = GOLDEN.search(done.stdout)
        assert found is not None, done.stdout
        version, right, count, difference, microseconds = found.groups()
        name = json.loads((self._model / "config.json").read_bytes())["name"]
        if self.target == "wasm":  # the sample asks for the version of onnxruntime-node
            package = self.folder / "node_modules" / "onnxruntime-node" / "package.json"
            version = json.loads(package.read_bytes())["version"]
        return Row(self.target, version, name, int(right), int(count), float(difference), float(microseconds))

    def fails_on_a_wrong_vector(self) -> bool:
        """Tells whether `--golden` reports an expected probability that is wrong by twice its tolerance."""
        path = self._model / "golden.json"
        whole = path.read_bytes()
        rows = json.loads(whole)
        rows[-1]["text_probs"][-1] += 2 * rows[-1]["tolerance"]
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        done = self.shell(_REBUILD.get(self.target, "") + self.golden_command)
        path.write_bytes(whole)
        return done.returncode != 0 and f"golden text {len(rows) - 1}" in done.stdout + done.stderr


def run_golden_vectors(project: Project, bundle: Path) -> Row:
    """Runs the golden vectors of a bundle, all of which must be right, alone and in a batch."""
    project.use(bundle)
    row = project.run_golden()
    assert row.right == row.count == 2 * len(json.loads((bundle / "golden.json").read_bytes()))
    return row


def _root() -> Path | None:
    return Path(os.environ["ONNXRUNTIME_ROOT"]) if "ONNXRUNTIME_ROOT" in os.environ else None


def _library() -> Path | None:
    """Finds the shared library of onnxruntime: of a release, or of the Python package."""
    spec = find_spec("onnxruntime")
    packaged = Path(spec.origin).parent / "capi" if spec and spec.origin else None
    folders = [folder for folder in (_root() and Path(str(_root())) / "lib", packaged) if folder]
    return next((path.resolve() for folder in folders for path in sorted(folder.glob("libonnxruntime.so.*"))), None)


def _include(header: str) -> Path | None:
    root = _root()
    if root and (root / "include" / header).is_file():
        return root / "include"
    if header != _HEADER or shutil.which("go") is None:
        return None
    done = subprocess.run(  # noqa: S603  # our own words
        ["go", "mod", "download", "-json", _GO_MODULE],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    folder = Path(json.loads(done.stdout).get("Dir", "")) if done.returncode == 0 else None
    return folder if folder and (folder / header).is_file() else None


def place_onnxruntime(place: Path) -> None:
    """Arranges libraries and headers as in a release."""
    library = _library()
    assert library is not None
    (place / "lib").mkdir(parents=True)
    for name in {library.name, "libonnxruntime.so.1", "libonnxruntime.so"}:
        (place / "lib" / name).symlink_to(library)
    if (folder := _include(_CPP_HEADER) or _include(_HEADER)) is not None:
        shutil.copytree(folder, place / "include", ignore=_all_but_headers)


def _all_but_headers(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".h")]
