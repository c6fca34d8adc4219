"""Decides which thresholds of an account a write crosses. It is pure.

One crossing is one event. ``quota.low``: ``remaining`` falls from ``low_at`` or more to less.
``quota.depleted``: it falls from one or more to zero. ``quota.recovered``: new units lift it to
``low_at`` or more, after a ``quota.low``. Units that a hold gives back cause no event. If they lift
it to ``low_at``, the next ``quota.low`` is possible again.

One crossing opens one charge, too: ``remaining`` falls from ``when_below`` or more to less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from billing.storage.writes import Must, Write, absent, absent_or, equals

QuotaType = Literal["quota.low", "quota.depleted", "quota.recovered"]


class Account(Protocol):
    """The members of a balance that the decision needs."""

    @property
    def remaining(self) -> int:
        """Return the units that can be spent."""

    @property
    def told(self) -> int:
        """Return the sequence number of the account's last event."""

    @property
    def low_at(self) -> int | None:
        """Return the customer's own threshold, or None for the template's."""

    @property
    def top_up_at(self) -> int:
        """Return ``when_below`` of automatic top-ups, 0 where the customer has none."""

    @property
    def low_told(self) -> bool:
        """Return whether ``quota.low`` was sent, and no ``quota.recovered`` since."""

    def after(self, write: Write) -> "Account":
        """Return the account after a write on it."""

    def shown(self, user_id: str) -> dict[str, Any]:
        """Return the quota as the API shows it."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """The events of a write, and the additions and conditions of the account's write."""

    tells: tuple[QuotaType, ...]
    opens: bool
    """It goes below ``when_below``: a charge is to be opened, if the agreement allows one."""
    set: Mapping[str, bool]
    remove: tuple[str, ...]
    must: tuple[Must, ...]


def cross(
    account: Account,
    units: int,
    low_at_default: int | None,
    *,
    comes_in: bool,
    may_open: bool = False,
) -> Crossing:
    """Return what follows when ``units`` (signed) are added to ``remaining``.

    ``low_at_default``: the template's LowAtUnits, None where no events go out. ``may_open``: going
    below ``when_below`` opens a charge.

    The clauses keep the decision right under concurrent debits: ``remaining`` must still lie
    between the same thresholds. They do not demand its exact value, or a busy account would keep
    a settlement waiting.
    """
    before, after = account.remaining, account.remaining + units
    opens = may_open and before >= account.top_up_at > after
    charges = _charge_clauses(account, units) if may_open else ()
    if low_at_default is None:
        return Crossing((), opens, {}, (), charges)
    low_at = low_at_default if account.low_at is None else account.low_at
    tells: list[QuotaType] = []
    if before >= low_at > after:
        tells.append("quota.low")
    if before > 0 >= after:
        tells.append("quota.depleted")
    lifts = comes_in and before < low_at <= after
    if lifts and account.low_told:
        tells.append("quota.recovered")
    must = [*_between(before, _thresholds(units, low_at, comes_in=comes_in))]
    if units:
        must.append(_same_threshold(account))
    if lifts:
        must.append(_same_mark(account))
    return Crossing(
        tells=tuple(tells),
        opens=opens,
        set={"low_told": True} if "quota.low" in tells else {},
        remove=("low_told",) if "quota.recovered" in tells else (),
        must=(*must, *charges),
    )


def _thresholds(units: int, low_at: int, *, comes_in: bool) -> list[int]:
    """Return the values of ``remaining`` at which another decision begins."""
    if units < 0:
        return [low_at, low_at - units, 1, 1 - units]
    return [low_at, low_at - units] if comes_in and units else []


def _charge_clauses(account: Account, units: int) -> tuple[Must, ...]:
    """Return the clauses of a write that takes units and may open a charge."""
    if units >= 0:
        return ()
    when_below = account.top_up_at
    if not when_below:
        return (absent("top_up_at"),)
    between = _between(account.remaining, [when_below, when_below - units])
    return (*between, equals("top_up_at", when_below))


def _between(remaining: int, thresholds: list[int]) -> Iterator[Must]:
    below = [value for value in thresholds if 0 < value <= remaining]
    above = [value for value in thresholds if value > remaining]
    if below:
        yield Must("remaining", ">=", max(below))
    if above:
        yield absent_or("remaining", "<", min(above))


def _same_threshold(account: Account) -> Must:
    if account.low_at is None:
        return absent("low_at")
    return equals("low_at", account.low_at)


def _same_mark(account: Account) -> Must:
    return equals("low_told", True) if account.low_told else absent("low_told")  # noqa: FBT003 - the stored value
