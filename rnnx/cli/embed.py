"""`rnnx embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnx.bundle.directory import DEFAULT_MODEL
from rnnx.bundle.embed import next_step, targets, write_project
from rnnx.cli import terminal


def embed(
    target: Annotated[str, typer.Argument(help=f"The language or platform: {', '.join(targets())}.")],
    bundle: Annotated[
        str, typer.Argument(help="The name of a shipped model, or the path of a bundle.")
    ] = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="The folder of the project. [default: TARGET]")] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Read a text in chunks, with model.stream.onnx: c, cpp, node, python.")
    ] = False,
) -> None:
    """Write a project that embeds a text model or a tagger.

    The project has the code, the model, golden vectors to check it with, and a README.
    """
    out = out or Path(target)
    for path in write_project(target, bundle, out, streaming=streaming):
        terminal.write(str(out / path))
    terminal.hint(f"cd {out}, {next_step(target)}")
