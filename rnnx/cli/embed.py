"""`rnnx embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnx.bundle.embed import next_step, stream_targets, targets, write_project
from rnnx.bundle.find_model import DEFAULT_MODEL
from rnnx.cli import terminal


def embed(
    target: Annotated[str, typer.Argument(help=f"The language or platform: {', '.join(targets())}.")],
    bundle: Annotated[
        str, typer.Argument(help="The name of a shipped model, or the path of a bundle.")
    ] = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="The folder of the project. [default: TARGET]")] = None,
    streaming: Annotated[
        bool,
        typer.Option(
            "--streaming", help=f"Read a text in chunks, with model.stream.onnx: {', '.join(stream_targets())}."
        ),
    ] = False,
) -> None:
    """Write a project that embeds a text model or a tagger.

    The project has the code, the model, golden vectors to check it with, and a README.
    """
    out = out or Path(target)
    for path in write_project(target, bundle, out, streaming=streaming):
        terminal.write(str(out / path))
    terminal.hint(f"cd {out}, {next_step(target)}")
