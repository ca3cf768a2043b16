"""What every data set has, whatever its examples are: a name, labels, and the parts it comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from rnnx.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """A data set in parts, each of them examples of the type `T`.

    Attributes:
        name: Short, for file names and cards.
        labels: Sorted by name; a label's id is its index.
        train: The training part.
        test: The official test part, if there is one.
    """

    name: str
    labels: tuple[str, ...]
    train: T
    test: T | None

    def choose(self, part: str | None) -> tuple[T, str]:
        """Picks a part to measure on.

        Args:
            part: `test` or `train`; None takes the test part if there is one.

        Returns:
            The examples and the part's name.

        Raises:
            DataError: If the part is not there.
        """
        if part == "train" or (part is None and self.test is None):
            return self.train, "train"
        if self.test is None:
            raise DataError(f"{self.name}: there is no test part; leave --part out to take everything")
        return self.test, "test"
