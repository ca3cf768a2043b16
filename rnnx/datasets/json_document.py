"""Finds the rows of a table that is one JSON object, as pandas and many services write it. Standard library only.

Source: the layouts are those of `pandas.DataFrame.to_json`, by the names that its argument `orient` has for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def find_rows(document: Mapping[str, Any]) -> tuple[Sequence[Any], str] | None:
    """Finds the rows of a table in a JSON object.

    Args:
        document: The object.

    Returns:
        The rows, each an object if it is not bad, and what they were found in, for a note; None if the object is no
        table, but perhaps a row of one.
    """
    values = list(document.values())
    if {"columns", "data"} <= document.keys():
        names, data = document["columns"], document["data"]
        if _is_list_of(str, names) and _is_list_of(list, data) and all(len(row) == len(names) for row in data):
            return [dict(zip(names, row, strict=True)) for row in data], "the rows are the lists in 'data'"
    if _is_list_of(dict, values) and all(values):
        if all(map(_are_numbers, values)) and not _are_numbers(document):  # columns
            return list(_from_columns(document)), "each value is a column, with its cells by the number of their row"
        if _are_numbers(document):  # index
            return values, "each value is a row"
    tables = [name for name, value in document.items() if _is_list_of(dict, value)]
    if len(tables) == 1:  # table, or an answer of a service
        others = "".join(f"; {name!r:.60} is left out" for name in document if name != tables[0])
        return document[tables[0]], f"the rows are the objects in {tables[0]!r:.60}{others:.200}"
    if _is_list_of(list, values) and len(values) > 1 and len({len(value) for value in values}) == 1:
        rows = [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
        return rows, "each value is a column, with its cells in a list"
    return None


def _is_list_of(kind: type, value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _are_numbers(keys: Iterable[str]) -> bool:
    return all(key.isdecimal() for key in keys)


def _from_columns(document: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    numbers = dict.fromkeys(number for cells in document.values() for number in cells)
    for number in numbers:
        yield {name: cells.get(number) for name, cells in document.items()}
