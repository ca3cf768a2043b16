"""Builds the CMake packages of `rnnx embed c` for taggers and streams, and other projects that use them.

Everything is built with all warnings as errors, and with the address and undefined behaviour sanitizers: each test of a
package is a test of its memory too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnx.bundle.find_model import SAMPLES_PATH
from tests.runtimes.kits import PROGRAMS, read_example, run
from tests.runtimes.samples import missing

STRICT = "-Wall -Wextra -Wpedantic -Werror"
SANITIZED = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
_BASE, _WORDS = SAMPLES_PATH / "c_base" / "src", SAMPLES_PATH / "c_words" / "src"
_SHARED = (*(_BASE / name for name in ("errors.c", "files.c", "json.c", "utf8.c")), *sorted(_WORDS.glob("*.c")))


@contextmanager
def sanitizers() -> Iterator[None]:
    """Makes CMake build with warnings as errors and with the sanitizers, or skips a test."""
    if absent := missing("cpp"):
        pytest.skip(f"needs {absent}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", f"{STRICT} {SANITIZED}")
        patch.setenv("CXXFLAGS", f"{STRICT} {SANITIZED}")
        yield


def build(folder: Path, *options: str) -> None:
    """Runs CMake in a folder."""
    for command in (["cmake", "-B", "build", *options], ["cmake", "--build", "build", "-j", "2"]):
        done = run([*command], folder)
        assert done.returncode == 0, done.stdout + done.stderr


def build_app(kit: Path, package: str, program: str, samples: Path, folder: Path) -> Path:
    """Builds another project, which finds an installed package.

    Args:
        kit: The folder of the package, built.
        package: Its name.
        program: The name of the programs in `tests/runtimes/programs`, without suffix.
        samples: The folder of its samples, `c` and `cpp`.
        folder: The folder of the project.

    Returns:
        The build folder, with `program_c`, `program_cpp`, `example_c` and `example_cpp`, the examples of the READMEs.
    """
    done = run(["cmake", "--install", "build", "--prefix", "installed"], kit)
    assert done.returncode == 0, done.stderr
    shutil.copyfile(PROGRAMS / "CMakeLists.txt", folder / "CMakeLists.txt")
    for suffix, language in ((".c", "c"), (".cpp", "cpp")):
        shutil.copyfile((PROGRAMS / program).with_suffix(suffix), folder / f"program{suffix}")
        (folder / f"example{suffix}").write_text(read_example(samples / language, language), encoding="utf-8")
    build(folder, f"-DPACKAGE={package}", f"-DCMAKE_PREFIX_PATH={kit / 'installed'}")
    return folder / "build"


def compile_program(source: Path, sample: Path, names: tuple[str, ...], out: Path) -> None:
    """Compiles a program with some source files of a sample, which need no onnxruntime."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    files = [source, *(sample / "src" / name for name in names), *_SHARED]
    includes = [f"-I{folder}" for folder in (_BASE, _WORDS, sample / "src")]
    options = ["-std=c11", "-O1", "-g", *STRICT.split(), *SANITIZED.split(), *includes]
    done = run(["cc", *options, *files, "-o", out], out.parent)
    assert done.returncode == 0, done.stderr
