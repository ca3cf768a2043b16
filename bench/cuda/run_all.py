"""Runs everything that needs a CUDA card: the doctor, the tests, the proofs and the timings. Writes a report.

    bench/cuda/cuda.sh [--reviews FILE]

makes an environment and runs this module in it. FILE has one review per line; without it, 25,000 reviews are made up.
Each step is a process of its own. A step that fails is reported, and the others still run. The exit code is 0 if all
steps passed, 1 if a step failed, and 5 without a card.
"""

from __future__ import annotations

import argparse
import platform
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import RESULTS, ROOT, machine
from rnnx.runtime.cuda import find_cards, find_problems

_BUNDLES = ("imdb", "imdb-article", "pos")
_PACKAGES = (
    "rnnx",
    "onnxruntime-gpu",
    "numpy",
    "nvidia-cudnn-cu13",
    "nvidia-cublas",
    "nvidia-cuda-runtime",
    "torch",
    "jax",
)
_NO_CARD = 5
_MADE_UP_COUNT = 25_000
_RNNX = [sys.executable, "-m", "rnnx"]


@dataclass(frozen=True)
class Step:
    """A process to run, and what the report keeps of its output.

    Attributes:
        title: The heading in the report.
        command: The command, which runs in the root of the repository.
        keep: Says whether a line of the output belongs in the report.
        accept: Says whether the output of a process that ended with exit code 0 is that of a success.
        is_markdown: Whether the output is Markdown.
    """

    title: str
    command: list[str]
    keep: Callable[[str], bool] = bool
    accept: Callable[[str], bool] = lambda out: True
    is_markdown: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a step: whether it passed, how long it took, and the lines that the report keeps."""

    step: Step
    passed: bool
    seconds: float
    lines: list[str]


def steps(reviews: Path, folder: Path) -> list[Step]:
    """Lists the steps.

    Args:
        reviews: The file of reviews.
        folder: An empty folder, into which bundles are exported.
    """
    python = sys.executable

    def is_about_cuda(line: str) -> bool:
        return "CUDA" in line or line.startswith(("proved", "error"))

    return [
        Step("The doctor", [*_RNNX, "doctor"]),
        Step(
            "Tests marked gpu",
            [python, "-m", "pytest", "-m", "gpu", "-q"],
            lambda line: line.startswith(("FAILED", "ERROR", "SKIPPED")) or " passed" in line or " failed" in line,
            lambda out: " passed" in out and "skipped" not in out,  # a skipped test has shown nothing
        ),
        *(
            Step(
                f"Proof at the export of {name}",
                [*_RNNX, "export", name, "--out", str(folder / name)],
                is_about_cuda,
                lambda out: "CUDAExecutionProvider" in out,
            )
            for name in _BUNDLES
        ),
        *(
            Step(f"rnnx verify {name} --device cuda", [*_RNNX, "verify", name, "--device", "cuda"], is_about_cuda)
            for name in _BUNDLES
        ),
        Step("TF32", [python, "-m", "bench.cuda.cuda_tf32"], is_markdown=True),
        Step(
            "Activations",
            [python, "-m", "bench.proof.activations", "--device", "cuda", "--stride", "16"],
            lambda line: line.startswith("|"),
            is_markdown=True,
        ),
        Step(
            "A batch",
            [python, "-m", "bench.cuda.cuda_speed", "--json", str(RESULTS / "cuda.json")],
            lambda line: not line.endswith("is done"),
            is_markdown=True,
        ),
        *(_infer(reviews, "cuda", batch_size) for batch_size in (256, 1024, 4096)),
        _infer(reviews, "cpu", 64),
    ]


def _infer(reviews: Path, device: str, batch_size: int) -> Step:
    """Makes the step that classifies the reviews as a whole process; its time is in the heading of its section."""
    command = [*_RNNX, "infer", "--lines", "--device", device, "--batch-size", str(batch_size), str(reviews)]
    return Step(f"rnnx infer on {device}, batches of {batch_size}", command, lambda line: line.startswith("error"))


def run(step: Step) -> Outcome:
    """Runs a step to its end, whether it passes or fails."""
    print(f"-- {step.title}: {shlex.join(step.command)}", file=sys.stderr, flush=True)
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603  # ours
        step.command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = time.perf_counter() - started
    passed = done.returncode == 0 and step.accept(done.stdout)
    lines = [line for line in done.stdout.splitlines() if step.keep(line) or (step.is_markdown and not line)]
    if not passed:
        lines = [*lines, f"exit code {done.returncode}; the last lines of its output:", *done.stdout.splitlines()[-15:]]
    outcome = Outcome(step, passed, seconds, lines)
    print(f"   {_verdict(outcome)}", file=sys.stderr, flush=True)
    return outcome


def _verdict(outcome: Outcome) -> str:
    return f"{'passed' if outcome.passed else 'FAILED'}, {outcome.seconds:.2f} s"


def to_markdown(outcomes: list[Outcome], reviews: str) -> str:
    """Writes the report: the machine, each step, and how many steps passed."""
    cards = ", ".join(
        f"{card.name} (compute capability {card.capability[0]}.{card.capability[1]})" for card in find_cards()
    )
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions(_PACKAGES).items())
    passed = sum(outcome.passed for outcome in outcomes)
    lines = [
        f"`bench/cuda/cuda.sh`, {machine.today()}: {passed} of {len(outcomes)} steps passed.",
        "",
        f"Cards: {cards}. {_driver()} {platform.platform()}, {machine.cpu_model()}.",
        f"Versions: {versions}.",
        f"Texts: {reviews}.",
    ]
    for outcome in outcomes:
        lines += ["", f"## {outcome.step.title}: {_verdict(outcome)}", ""]
        if outcome.step.is_markdown and outcome.passed:
            lines += outcome.lines
        elif outcome.lines:
            lines += ["```", *outcome.lines, "```"]
    return "\n".join(lines) + "\n"


def _driver() -> str:
    """Returns what nvidia-smi reports about the driver, the memory and the clock."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return "nvidia-smi is not installed."
    command = [tool, "--query-gpu=driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    out = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603  # NVIDIA's
    return f"Driver, memory, clock: {'; '.join(out.split(chr(10))).strip('; ')}."


def make_up_reviews(path: Path) -> None:
    """Writes texts of known words that are as long as reviews: 231 words on average, and most of them shorter."""
    rng = random.Random(0)  # noqa: S311  # no secret
    words = (ROOT / "exported/imdb/vocabulary.txt").read_text(encoding="utf-8", errors="replace").split("\n")[3:]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(_MADE_UP_COUNT):
            count = min(2500, max(10, round(rng.lognormvariate(5.2, 0.68))))
            file.write(" ".join(rng.choices(words, k=count)) + "\n")


def main() -> int:
    """Runs all steps and writes the report; returns the exit code."""
    parser = argparse.ArgumentParser(description="Runs everything that needs a CUDA card.")
    parser.add_argument("--reviews", type=Path, help="a file with one review per line; by default they are made up")
    parser.add_argument("--out", type=Path, default=RESULTS / "cuda.md", help="write the report to this file")
    parser.add_argument("--check", action="store_true", help="only check whether there is a card")
    arguments = parser.parse_args()
    if not (cards := find_cards()):
        # The problems are those of a build for CUDA 13; those of the driver and the card come first.
        reason = next(iter(find_problems("13.0")), "the driver finds no card")
        print(f"error: no card, nothing was run: {reason}", file=sys.stderr)
        return _NO_CARD
    if arguments.check:
        print(", ".join(card.name for card in cards))
        return 0
    with tempfile.TemporaryDirectory() as name:
        reviews = arguments.reviews.resolve() if arguments.reviews else Path(name) / "reviews.txt"
        if not arguments.reviews:
            make_up_reviews(reviews)
        outcomes = [run(step) for step in steps(reviews, Path(name))]
    source = str(arguments.reviews.name) if arguments.reviews else f"{_MADE_UP_COUNT:,}, made up of known words"
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(to_markdown(outcomes, source), encoding="utf-8")
    print(arguments.out)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
