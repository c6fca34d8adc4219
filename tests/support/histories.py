"""Random histories: acts one after the other, each with all that it needs drawn from one number.

hypothesis draws all numbers of a history at once, and shrinks those of a failing one. As rules of a
state machine of its own, with each argument drawn alone, its work was more than half of all.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final, Protocol, TypeVar

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st

_T = TypeVar("_T")
BYTES: Final = 3
"""Of one step's number.

As bytes, because hypothesis draws those evenly, and of numbers mostly small ones.
"""


class Draw(Random):
    """What a step is made of. It remembers what it gave, to be shown when the history fails."""

    def __init__(self, number: int) -> None:
        """The same for the same number."""
        super().__init__(number)
        self.given: list[Any] = []

    def upto(self, most: int, least: int = 0) -> int:
        """A whole number from ``least`` to ``most``."""
        return self.one_of(range(least, most + 1))

    def one_of(self, options: Sequence[_T]) -> _T:
        """Any of them."""
        found = self.choice(options)
        self.given.append(found)
        return found


Act = Callable[[Draw], object]


class World(Protocol):
    """What a history happens in."""

    def acts(self) -> Iterator[Act]:
        """All that can be done now."""

    def check(self) -> None:
        """What is true after every step."""

    def end(self) -> None:
        """What is true in the end."""


def live(world: World, steps: bytes, without: frozenset[str]) -> None:
    """One history.

    0 is a step in which nothing happens. ``without``: acts of which this history has none, so that
    others come in a row.
    """
    for place in range(0, len(steps), BYTES):
        if number := int.from_bytes(steps[place : place + BYTES]):
            draw = Draw(number)
            act = draw.choice([act for act in world.acts() if act.__name__ not in without])
            try:
                act(draw)
            finally:
                note(f"{act.__name__}({', '.join(map(repr, draw.given))})")
        world.check()
    world.end()


def steps(count: int) -> st.SearchStrategy[bytes]:
    """Return this number of histories."""
    return st.binary(min_size=count * BYTES, max_size=count * BYTES)


def without(*names: str) -> st.SearchStrategy[frozenset[str]]:
    """Up to half of these acts."""
    return st.frozensets(st.sampled_from(names), max_size=len(names) // 2)


def many(runs: int) -> settings:
    """Runs a number of histories, and prints the seed of a failing one."""
    return settings(
        max_examples=runs,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
    )
