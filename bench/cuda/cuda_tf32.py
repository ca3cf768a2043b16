"""Measures what TF32 does to the proof on a card: the results of each shipped file without it and with it.

python -m bench.cuda.cuda_tf32
"""

from __future__ import annotations

from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.errors import DeviceError
from rnnx.proof.verify import verify_file
from rnnx.runtime import session


def main() -> None:
    """Proves every file without TF32 and with it, and prints a table."""
    if problems := session.cuda_problems():
        raise DeviceError(problems[0])
    print("| bundle | file | ratio without TF32 | with TF32 | difference in probability without TF32 | with TF32 |")
    print("|---|---|---:|---:|---:|---:|")
    for name in shipped_names():
        files = read_directory(find_directory(name)).files
        for file in sorted(file for file in files if file.endswith(".onnx")):
            measured = [measure(file, files[file], use_tf32) for use_tf32 in ("0", "1")]
            ratios, differences = zip(*measured, strict=True)
            print(f"| {name} | {file} | {' | '.join((*ratios, *differences))} |", flush=True)


def measure(file: str, data: bytes, use_tf32: str) -> tuple[str, str]:
    """Returns the largest ratio of difference to bound of a step, and the largest difference from the reference."""
    session.CUDA_OPTIONS["use_tf32"] = use_tf32
    try:
        (report,) = verify_file(file, data, ["cuda"]).report.runtimes
    finally:
        session.CUDA_OPTIONS["use_tf32"] = "0"
    return _show(report.worst.ratio), _show(report.max_abs_diff)


def _show(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
