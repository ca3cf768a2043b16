"""Writes small tables and reads them, together with what the reader says about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnx.datasets import Columns, Dataset, Listener, TableForm, load_dataset


@dataclass(frozen=True)
class Loaded:
    """A data set, and what was said while it was read."""

    data: Dataset
    notes: list[str]
    warnings: list[str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The texts with their labels, in order."""
        train = self.data.train
        labels = [self.data.labels[i] for i in train.label_ids]
        return [(text.decode(), label) for text, label in zip(train.texts, labels, strict=True)]


def load(path: Path, columns: Columns | None = None, form: TableForm | None = None) -> Loaded:
    """Loads a data set and collects the messages."""
    notes: list[str] = []
    warnings: list[str] = []
    listener = Listener(notes.append, warnings.append)
    data = load_dataset(str(path), columns=columns, form=form, listener=listener)
    return Loaded(data, notes, warnings)


def load_bytes(
    folder: Path, name: str, content: str | bytes, columns: Columns | None = None, form: TableForm | None = None
) -> Loaded:
    """Writes a file and loads it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path, columns, form)
