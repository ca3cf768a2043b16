"""`rnnx doctor`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from rnnx.cli import terminal


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> int:
    """Check the installation.

    Lists the runtimes, providers and versions, and says what is wrong with them.
    """
    from rnnx.infer.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        terminal.write_json(dataclasses.asdict(diagnosis))
    else:
        terminal.write_table(
            ("Package", "Version", "For"), [(p.name, p.version or "-", p.purpose) for p in diagnosis.packages]
        )
        terminal.write_table(
            ("", "Value"),
            [
                ("providers", ", ".join(diagnosis.providers) or "none"),
                ("GPUs", ", ".join(diagnosis.cards) or "none"),
                ("models", ", ".join(diagnosis.models) or "none"),
            ],
        )
        for problem in diagnosis.problems:
            terminal.warning(problem)
    if diagnosis.problems:
        return 1
    terminal.hint("rnnx infer FILE")
    return 0
