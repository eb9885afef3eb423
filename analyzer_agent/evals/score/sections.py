"""What a score consists of: small tables of plain values. Knows nothing of how they are printed, nor of what is in them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Section:
    """A table. `key` names it for programs. Values in a column whose name ends in "%" are percent; None is not known."""

    key: str
    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""


def percent(values: Iterable[float]) -> float | None:
    """Return the mean of values from 0 to 1 as percent; None of none."""
    found = list(values)
    return 100 * sum(found) / len(found) if found else None


def grouped(items: Iterable[T], names: Callable[[T], Iterable[str]]) -> dict[str, list[T]]:
    """Return the items under each name that they have, the names in order of first appearance."""
    groups: dict[str, list[T]] = {}
    for item in items:
        for name in names(item):
            groups.setdefault(name, []).append(item)
    return groups


def shares(groups: dict[str, list[T]], right: Callable[[T], float]) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each group: its name, how many there are, percent that are right."""
    for name, members in groups.items():
        yield (name, len(members), percent(right(one) for one in members))
