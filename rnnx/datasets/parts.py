"""What all data sets have in common: a name, labels, and the parts that they come in. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rnnx.bundle.config import ModelKind
from rnnx.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """A data set in parts, each of which holds examples of the type `T`.

    Attributes:
        kind: Which kind of model is trained on it.
        name: A short name, for file names and cards.
        labels: Sorted by name; a label's id is its index.
        train: The training part.
        test: The official test part; None if there is none.
    """

    kind: ClassVar[ModelKind]

    name: str
    labels: tuple[str, ...]
    train: T
    test: T | None

    def choose(self, part: str | None) -> tuple[T, str]:
        """Picks a part to measure on.

        Args:
            part: `test` or `train`; None takes the test part if there is one, else the training part.

        Returns:
            The examples and the part's name.

        Raises:
            DataError: If there is no such part.
        """
        if part == "train" or (part is None and self.test is None):
            return self.train, "train"
        if self.test is None:
            raise DataError(f"{self.name}: there is no test part; leave --part out to take everything")
        return self.test, "test"
