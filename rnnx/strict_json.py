"""Converts frozen dataclasses to and from JSON, and checks each field against its annotation.

The JSON files may come from anybody, so a wrong type, a missing key and an unknown key are errors, and the message
names the field (`tokenizer.max_length`). Imports the standard library only.

A field may be a str, an int, a float, a bool, a Literal, a dataclass, `Any`, `tuple[X, ...]`, `dict[str, X]`, or
`X | None` of one of these. A class with any other annotation (such as a union of two types, or a tuple of fixed length)
is refused with a TypeError when it is first read. msgspec and pydantic can do more, but the files of rnnx need no more,
and this way `rnnx infer` has no further package to import.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

# The metadata of a field that is left out of the JSON while it has its default, so that files from before the field was
# added are written as they were.
OMIT_DEFAULT: Mapping[str, bool] = types.MappingProxyType({"omit_default": True})

_MAX_DIGITS = 18  # 2^63 has 19 digits


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """Formats a dataclass as JSON, with its keys in the order of the fields.

    Args:
        value: The dataclass.
        indent: Spaces per level. The text then ends with a newline, and characters that are not ASCII are written as
            they are, for human readers. None writes one line without a newline, and escapes these characters, because
            such texts may contain lone surrogates.

    Raises:
        ValueError: If a number is not finite.
    """
    if indent is None:
        return json.dumps(to_dict(value), separators=(",", ":"), allow_nan=False)
    return json.dumps(to_dict(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def to_dict(value: Any) -> Any:
    """Converts a dataclass to a dictionary, like `dataclasses.asdict`, but leaves out defaults as `OMIT_DEFAULT` says.

    Dataclasses in tuples, lists and dictionaries are converted too; all other values are returned as they are.
    """
    if dataclasses.is_dataclass(value):
        return {
            field.name: to_dict(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if "omit_default" not in field.metadata or getattr(value, field.name) != field.default
        }
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, dict):
        return {key: to_dict(item) for key, item in value.items()}
    return value


def to_json_bytes(value: Any, *, indent: int | None = 1, allow_nan: bool = False) -> bytes:
    """Formats a document as the content of a JSON file, in ASCII and with a newline at the end.

    Args:
        value: A value that `json.dumps` accepts.
        indent: Spaces per level; None writes everything on one line.
        allow_nan: Whether numbers that are not finite are written as `NaN` and `Infinity`. This is not valid JSON, and
            `parse_json` refuses it. It is used for the figures of an evaluation, and of a training that may have
            diverged.

    Raises:
        ValueError: If a number is not finite and `allow_nan` is False.
    """
    return (json.dumps(value, indent=indent, allow_nan=allow_nan) + "\n").encode()


def from_json(cls: type[T], text: str | bytes) -> T:
    """Reads a dataclass from JSON.

    Args:
        cls: The class.
        text: The JSON document.

    Raises:
        ValueError: If the text is not JSON, or does not fit `cls`. The message names the field.
        TypeError: If `cls` has a field whose annotation is not supported.
    """
    return typing.cast(T, _read(cls, parse_json(text), ""))


def parse_json(text: str | bytes) -> Any:
    """Parses a JSON document of unknown origin.

    Raises:
        ValueError: If the text is not JSON, is nested too deeply, or contains NaN, an infinity, or a number of more
            than 64 bits.
    """
    try:
        with collector_paused():
            return json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int)
    except RecursionError as error:
        raise ValueError("the JSON document is nested too deeply") from error


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses Python's search for reference cycles, while a document of any size is parsed.

    It looks through all lists again and again as their number grows, and there are no cycles in what is parsed: 25 MB
    of nested lists took 6.5 s with it, and 1.2 s without it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_fields(cls: type, data: dict[str, Any], where: str) -> dict[str, Any]:
    """Reads some of the fields of a dataclass from JSON values.

    Args:
        cls: The dataclass.
        data: The JSON values by field name.
        where: The name of the object that the fields belong to, for the message.

    Returns:
        The values by field name.

    Raises:
        ValueError: If there is no such field, or a value does not fit it.
    """
    hints = typing.get_type_hints(cls)
    if unknown := sorted(data.keys() - {field.name for field in dataclasses.fields(cls)}):
        raise ValueError(f"unknown: {where}.{unknown[0]!s:.60}")
    return {name: _read(hints[name], value, f"{where}.{name}") for name, value in data.items()}


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is a number of more than 64 bits")
    return value


def _read_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text:.40} is a number of more than 64 bits")
    return int(text)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _read(kind: Any, data: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, data, where)
    if origin is typing.Literal:
        if any(data == arg and type(data) is type(arg) for arg in args):
            return data
        raise ValueError(f"{where}: {data!r} is none of {', '.join(map(repr, args))}")
    if origin in (types.UnionType, typing.Union):
        if data is None and type(None) in args:
            return None
        return _read(next(arg for arg in args if arg is not type(None)), data, where)
    if origin is tuple:
        _require(isinstance(data, list), "a list", data, where)
        if args[0] in (int, float, str) and set(map(type, data)) <= {args[0]}:  # evidence has lists of 10,000 numbers
            return tuple(data)
        return tuple(_read(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is dict:
        _require(isinstance(data, dict), "an object", data, where)
        return {key: _read(args[1], item, f"{where}.{key}") for key, item in data.items()}
    if kind is float:
        _require(type(data) in (int, float), "a number", data, where)
        return float(data)
    if kind is Any:
        return data
    _require(type(data) is kind, f"of type {kind.__name__}", data, where)
    return data


def _read_dataclass(kind: Any, data: Any, where: str) -> Any:
    _require(isinstance(data, dict), "an object", data, where)
    hints = _hints(kind)
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    prefix = f"{where}." if where else ""
    if missing := sorted(required - data.keys()):
        raise ValueError(f"missing: {', '.join(prefix + name for name in missing)}")
    if unknown := sorted(data.keys() - hints.keys()):
        raise ValueError(f"unknown: {', '.join(prefix + name for name in unknown)}")
    return kind(**{name: _read(hints[name], item, prefix + name) for name, item in data.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Returns the type hints of a dataclass.

    They are cached, because the evidence of a file has hundreds of values of the same class.

    Raises:
        TypeError: If an annotation is not supported by `_read`.
    """
    hints = typing.get_type_hints(kind)
    for name, hint in hints.items():
        _require_known(hint, f"{kind.__name__}.{name}")
    return hints


def _require_known(hint: Any, where: str) -> None:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    inner = [arg for arg in args if arg is not type(None)]
    is_class = dataclasses.is_dataclass(hint)
    if is_class:
        _hints(hint)
    elif origin in (types.UnionType, typing.Union) and len(inner) == 1:
        _require_known(inner[0], where)
    elif origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        _require_known(args[0], where)
    elif origin is dict and args[0] is str:
        _require_known(args[1], where)
    elif origin is not typing.Literal and hint not in (str, int, float, bool, Any):
        raise TypeError(f"{where} is annotated as {hint}, which cannot be read from JSON")


def _require(condition: bool, what: str, data: Any, where: str) -> None:
    if not condition:
        raise ValueError(f"{where or 'the document'} should be {what}, not {data!r:.80}")
