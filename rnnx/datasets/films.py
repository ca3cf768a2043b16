"""Finds which film each IMDB review is about, from the url lists in the archive."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

# `7_10.txt` is review 7 (from 0), which gave the film 10 stars. Line 7 of the url list names its film.
_REVIEW_NAME = re.compile(r"(\d+)_\d+")
_FILM_ID = re.compile(rb"tt\d+")


def read_films(reviews: Sequence[tuple[PurePosixPath, str]], urls: Mapping[str, bytes]) -> list[str] | None:
    """Names the film of each review.

    Args:
        reviews: The file and the label of each review.
        urls: For each label the content of `train/urls_<label>.txt`; line N is the page of the film of review N.

    Returns:
        One film id per review; None if the lists do not cover all reviews, as in any data set other than IMDB.
    """
    films = {
        label: [match.group().decode() if (match := _FILM_ID.search(line)) else None for line in data.splitlines()]
        for label, data in urls.items()
    }
    found: list[str] = []
    for file, label in reviews:
        name, lines = _REVIEW_NAME.fullmatch(file.stem), films.get(label, [])
        film = lines[int(name[1])] if name and int(name[1]) < len(lines) else None
        if film is None:
            return None
        found.append(film)
    return found
