"""A naive model of lots, written from the contract alone: a list of single units, burned at once.

It shares no formula with the product. Every unit is an object with a home; nothing is lazy, nothing
is summed up in advance.
"""

import itertools
from dataclasses import dataclass, field

_places = itertools.count(1)


@dataclass(eq=False)
class Home:
    """Units that came in together."""

    name: str
    ends: int | None
    """The second from which they cannot be spent."""
    bought: bool
    purchase: str = ""
    void: bool = False
    age: float = field(default_factory=lambda: next(_places))

    def sooner(self) -> tuple[float, bool, float]:
        """Soonest expiry first, granted before bought, older first; never-expiring last."""
        ends = float("inf") if self.ends is None else self.ends
        return (ends, self.bought, self.age)


@dataclass
class Naive:
    """One account."""

    now: int = 0
    units: list[Home] = field(default_factory=list)
    """One for each unit that can be spent."""
    holds: dict[str, tuple[int, list[Home]]] = field(default_factory=dict)
    """When each expires, and its units."""
    is_exact: bool = False
    used: int = 0
    debt: int = 0
    expired: dict[str, int] = field(default_factory=dict)
    """By purchase: units that expired."""
    away: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """By purchase: when its first units that are away went, and when they would have expired."""
    ends_of: dict[str, int | None] = field(default_factory=dict)
    """By purchase: when the last of its units expire, or would have."""
    counted: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    """By purchase: what reversals took back in all, counted units among it."""

    def comes_in(self, home: Home, number: int) -> None:
        """Debt first."""
        for _ in range(number):
            if self.debt:
                self.debt -= 1
            else:
                self.units.append(home)

    def spends(self, number: int) -> bool:
        """A debit."""
        if len(self.units) < number:
            return False
        for _ in range(number):
            self._soonest(self.units)
        self.used += number
        return True

    def holds_back(self, name: str, number: int, ends: int) -> bool:
        """A hold."""
        if len(self.units) < number:
            return False
        self.holds[name] = (ends, [self._soonest(self.units) for _ in range(number)])
        return True

    def can_expire_from_now(self) -> None:
        """Holds named no lots until now: what they give back never expires. A favour."""
        if self.is_exact:
            return
        self.is_exact = True
        earlier = Home("earlier", None, bought=True, age=0)
        self.holds = {
            name: (ends, [earlier] * len(held)) for name, (ends, held) in self.holds.items()
        }

    def ends_hold(self, name: str, captured: int) -> bool:
        """Captured, the soonest first; the rest goes home, and pays debt first."""
        if name not in self.holds:
            return False
        self._ends_hold(name, captured)
        return True

    def _ends_hold(self, name: str, captured: int) -> None:
        _, held = self.holds.pop(name)
        for _ in range(captured):
            self._soonest(held)
        self.used += captured
        for home in sorted(held, key=Home.sooner):
            if home.void:
                continue
            if self.debt:
                self.debt -= 1
            elif home.ends is not None and home.ends <= self.now:
                self._expires(home)
            else:
                self.units.append(home)

    def time_passes(self, seconds: int) -> None:
        """What is over is gone, each at its second."""
        until = self.now + seconds
        of_units = (home.ends for home in self._everywhere() if home.ends is not None)
        of_holds = (ends for ends, _ in self.holds.values())
        for moment in sorted({*of_units, *of_holds, until}):
            if self.now < moment <= until:
                self.now = moment
                self._passes()

    def _passes(self) -> None:
        for name in [name for name, (ends, _) in self.holds.items() if ends <= self.now]:
            self._ends_hold(name, 0)
        for home in list(self.units):
            if home.ends is not None and home.ends <= self.now:
                self.units.remove(home)
                self._expires(home)

    def _everywhere(self) -> list[Home]:
        held = (unit for _, units in self.holds.values() for unit in units)
        return [*self.units, *held]

    @property
    def held(self) -> int:
        """Units in holds."""
        return len(self._everywhere()) - len(self.units)

    def goes_back(self, purchase: str, number: int) -> None:
        """A refund takes units back: own first, then what expired, then others, then debt."""
        if purchase not in self.away:
            own = [home for home in self._everywhere() if home.purchase == purchase]
            if own:
                self.ends_of[purchase] = max(own, key=Home.sooner).ends
            self.away[purchase] = (self.now, self.ends_of[purchase])
        self.taken[purchase] = self.taken.get(purchase, 0) + number
        mine = sorted((u for u in self.units if u.purchase == purchase), key=Home.sooner)
        for _ in range(number):
            if mine:
                self.units.remove(mine.pop(0))
            elif self.expired.get(purchase, 0) > self.counted.get(purchase, 0):
                self.counted[purchase] = self.counted.get(purchase, 0) + 1
            elif self.units:
                self._soonest(self.units)
            else:
                self.debt += 1

    def returns(self, purchase: str, number: int, name: str, age: float) -> None:
        """A refund failed: real units first, with the time that they were away added."""
        since, ends = self.away.get(purchase, (self.now, None))
        self.taken[purchase] -= number
        kept = min(self.counted.get(purchase, 0), self.taken[purchase])
        real = number - (self.counted.get(purchase, 0) - kept)
        self.counted[purchase] = kept
        later = None if ends is None or ends <= since else ends + self.now - since
        if self.taken[purchase] == kept:
            self.away.pop(purchase, None)
        self.comes_in(Home(name, later, bought=True, purchase=purchase, age=age), real)

    def is_voided(self, home: Home) -> int:
        """A grant is taken back: what is left now, and what holds have when it comes home."""
        taken = sum(unit is home for unit in self.units)
        self.units = [unit for unit in self.units if unit is not home]
        home.void = True
        return taken

    def left(self) -> dict[str, int]:
        """Units by home, those in holds included."""
        found: dict[str, int] = {}
        for home in self._everywhere():
            found[home.name] = found.get(home.name, 0) + 1
        return found

    def _soonest(self, units: list[Home]) -> Home:
        home = min(units, key=Home.sooner)
        units.remove(home)
        return home

    def _expires(self, home: Home) -> None:
        if home.purchase:
            self.expired[home.purchase] = self.expired.get(home.purchase, 0) + 1
