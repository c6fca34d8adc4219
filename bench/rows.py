"""Defines one figure of the bench: what was measured, in what unit, and its goal."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """A figure: ``value`` in ``unit``.

    "x" is a ratio within this run, "calls" and the like are counts, "s" and "ms" judge nothing.
    """

    area: str
    what: str
    value: float
    unit: str
    goal: float | None = None
    bound: Literal["at most", "at least"] = "at most"

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.bound == "at most" else self.value >= self.goal

    @property
    def shown(self) -> str:
        """For people."""
        number = (
            f"{self.value:,.0f}"
            if self.value >= 1000 or self.value == int(self.value)
            else f"{self.value:.3g}"
        )
        return f"{number} {self.unit}"

    @property
    def wanted(self) -> str:
        """The goal, for people."""
        return "" if self.goal is None else f"{self.bound} {self.goal:,g} {self.unit}"

    def as_answer(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "reached": self.reached}
