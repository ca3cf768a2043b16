"""Warns of labels that are probably mistakes. Standard library only."""

from __future__ import annotations

from collections import Counter, defaultdict

from rnnx.datasets.table_form import Listener

_SHOWN = 5
# Fewer texts per label than this, with at least so many labels, is more likely the wrong column than a task.
_FEWEST_TEXTS, _MANY_LABELS = 5, 20


def warn_of_labels(name: str, counts: Counter[str], listener: Listener) -> None:
    """Sends a warning for labels that differ in case or blanks alone, occur once while others do not, or are too many.

    Args:
        name: The name of the file or the folder.
        counts: How many texts have each label.
        listener: Takes the warnings.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        alike["".join(label.split()).casefold()].append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if groups:
        shown = "; ".join(", ".join(f"{label!r} ({counts[label]:,})" for label in labels) for labels in groups[:_SHOWN])
        more = "; ..." if len(groups) > _SHOWN else ""
        listener.on_warning(f"{name}: labels that differ in case or blanks alone are different labels: {shown}{more}")
    count = counts.total()
    if len(counts) >= _MANY_LABELS and count < len(counts) * _FEWEST_TEXTS:
        shown = ", ".join(f"{label!r:.40}" for label, _ in counts.most_common(_SHOWN))
        listener.on_warning(
            f"{name}: {len(counts):,} different labels for {count:,} texts ({shown}, ...); "
            "is that the column of the labels? --label-column names another one"
        )
    elif (rare := [label for label in sorted(counts) if counts[label] == 1]) and len(rare) < len(counts):
        shown = ", ".join(f"{label!r:.40}" for label in rare[:_SHOWN]) + (", ..." if len(rare) > _SHOWN else "")
        listener.on_warning(
            f"{name}: {len(rare):,} label{'s occur' if len(rare) > 1 else ' occurs'} only once: {shown}"
        )
