"""Frozen dataclasses to and from JSON, checked field by field against their annotations.

JSON comes from files that strangers may have written, so a wrong type, a missing key and an unknown key are errors
that name the place (`tokenizer.max_length`). Standard library only.

A field may be a str, an int, a float, a bool, a Literal, a dataclass, `Any`, `tuple[X, ...]`, `dict[str, X]` or
`X | None` of these. A class with a field of another type (a union of two types, a tuple of a fixed length) is refused
with a TypeError when it is first read, whatever the data. This is less than msgspec or pydantic can do, but all that
the files of rnnx need, and `rnnx infer` has nothing more to import for it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_DIGITS = 18  # 2^63 has 19


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """Formats a dataclass as JSON, keys in field order; on one line, without a newline, if `indent` is None.

    What is not ASCII is written as it is when indented, for people, and escaped on one line, where lone surrogates
    have to travel too.
    """
    if indent is None:
        return json.dumps(dataclasses.asdict(value), separators=(",", ":"), allow_nan=False)
    return json.dumps(dataclasses.asdict(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def to_json_bytes(value: Any, *, indent: int | None = 1, allow_nan: bool = False) -> bytes:
    """Formats a document as a file of JSON: ASCII, with a newline at its end.

    Args:
        value: What `json.dumps` takes.
        indent: Spaces for each level; None writes everything on one line.
        allow_nan: Whether numbers that are not finite are written as `NaN` and `Infinity`, which is not JSON, and
            which `parse_json` refuses. For the figures of a training, which may have diverged, and of an evaluation.

    Raises:
        ValueError: If a number is not finite and `allow_nan` is False.
    """
    return (json.dumps(value, indent=indent, allow_nan=allow_nan) + "\n").encode()


def from_json(cls: type[T], text: str | bytes) -> T:
    """Reads a dataclass back.

    Raises:
        ValueError: If the text is not JSON, or does not fit `cls`; the message names the field.
    """
    return typing.cast(T, _read(cls, parse_json(text), ""))


def parse_json(text: str | bytes) -> Any:
    """Reads a document that anybody may have written.

    Raises:
        ValueError: If it is not JSON, or nested too deeply, or holds a number that is none or has more than 64 bits.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def read_fields(cls: type, data: dict[str, Any], where: str) -> dict[str, Any]:
    """Reads some fields of a dataclass from JSON values.

    Args:
        cls: The dataclass.
        data: Values by the name of the field.
        where: What they belong to, for the message.

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
    if len(text) > _MOST_DIGITS:
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
    """The fields of a dataclass; evaluated once, since a file's evidence has some hundred values of one class.

    Raises:
        TypeError: If one of them is annotated with a type that `_read` does not know.
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
