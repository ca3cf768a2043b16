"""Reads and writes the file of `rnnx train --config`: a line of TOML for each option, under its name.

Its values are the defaults of the command line, so an option that is given there wins. Standard library and typer only.
"""

from __future__ import annotations

import json
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from rnnx.errors import DataError, UsageError

# What says where a run goes and what is printed, and not what is trained.
_NOT_WRITTEN = ("out", "fresh", "json", "config", "help")


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes the values of a file the defaults of a command: the callback of `--config`.

    Args:
        context: The command's, before its other options are read.
        path: The file; None changes nothing.

    Returns:
        The path.

    Raises:
        DataError: If the file cannot be read, or is not TOML; the message names the line.
        UsageError: If it names an option that the command does not have.
    """
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error
    except ValueError as error:
        raise DataError(f"is not TOML: {error}", path) from error
    names = _names(context)
    defaults: dict[str, Any] = dict(context.default_map or {})
    for key, value in values.items():
        if key not in names:
            close = get_close_matches(key, names, n=1)
            raise UsageError(f"{path}: there is no option {key}" + (f"; did you mean {close[0]}?" if close else ""))
        if isinstance(value, dict | list):
            raise UsageError(f"{path}: {key} should be one value, not a {type(value).__name__}")
        defaults[names[key]] = value
    context.default_map = defaults
    return path


def write_config(context: typer.Context) -> bytes:
    """Formats the file that repeats a command, with all values that it was given or took by default."""
    lines = []
    for key, name in _names(context).items():
        value = context.params.get(name)
        if value is not None:
            lines.append(f"{key} = {_to_toml(value)}\n")
    return "".join(lines).encode()


def _names(context: typer.Context) -> dict[str, str]:
    """The names of the arguments and options in a file, with the names of their parameters."""
    names = {}
    for param in context.command.params:
        key = next((option.removeprefix("--") for option in param.opts if option.startswith("--")), param.name or "")
        if key not in _NOT_WRITTEN:
            names[key] = str(param.name)
    return names


def _to_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    # A JSON string is a TOML string, if no character is written as a pair of surrogates.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
