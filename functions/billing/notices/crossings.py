"""Decides which thresholds of an account a write crosses.

Nothing is read or written. To cross a threshold causes one event.
``quota.low``: ``remaining`` falls from ``low_at`` (the customer's or the
template's threshold) or more to less. ``quota.depleted``: it falls from one or
more to zero. ``quota.recovered``: new units lift it to ``low_at`` or more,
after a ``quota.low``. Units that a hold gives back cause no event. If they
lift it to ``low_at``, the next ``quota.low`` is possible again.

It also opens one automatic charge if ``remaining`` falls from ``when_below``
(the customer's threshold for automatic top-ups) or more to less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from billing.storage.writes import Must, Write, absent, absent_or, equals

QuotaType = Literal["quota.low", "quota.depleted", "quota.recovered"]


class Account(Protocol):
    """What must be known of an account to tell which thresholds are crossed.

    A threshold is a number of units. It is crossed if a write takes the
    units that can be spent below it, or lifts them to it.
    """

    @property
    def remaining(self) -> int:
        """Return the units that can be spent."""

    @property
    def told(self) -> int:
        """Return the number of the account's last event to the seller.

        The events of each account are numbered in sequence.
        """

    @property
    def low_at(self) -> int | None:
        """Return the customer's own threshold for ``quota.low``.

        None means that the template's parameter LowAtUnits applies.
        """

    @property
    def top_up_at(self) -> int:
        """Return below how many units a top-up starts, or 0 for never."""

    @property
    def low_told(self) -> bool:
        """Return whether ``quota.low`` was sent, and no ``quota.recovered`` since."""

    def after(self, write: Write) -> "Account":
        """Return the account as it would be after ``write``."""

    def shown(self, user_id: str) -> dict[str, Any]:
        """Return the quota as the API shows it."""


class Crossing(NamedTuple):
    """What a write causes by crossing thresholds of an account.

    A threshold is a number of units: falling below it, or rising to it, causes
    an event or an automatic top-up. ``tells`` are the types of the events to
    send. ``set``, ``remove`` and ``must`` are added to the balance's write.
    """

    tells: tuple[QuotaType, ...]
    opens: bool
    """Whether ``remaining`` falls below ``when_below``, the threshold for
    automatic top-ups. Then a charge is opened, if the customer's agreement
    allows one.
    """
    set: Mapping[str, bool]
    remove: tuple[str, ...]
    must: tuple[Must, ...]


NO_CROSSING: Final = Crossing((), False, {}, (), ())  # noqa: FBT003 - opens nothing


def cross(
    account: Account,
    units: int,
    low_at_default: int | None,
    *,
    comes_in: bool = False,
    may_open: bool = False,
    returned: int = 0,
) -> Crossing:
    """Return which events and which charge a change of units causes.

    The result also has the conditions under which that holds. The change adds
    ``units`` to ``remaining``; they are negative for a debit.
    ``low_at_default`` is the template's LowAtUnits, or None if no events are
    sent. ``comes_in`` is true for new units, and false for units that a hold
    returns. ``may_open`` is true if falling below ``when_below``, the
    threshold for automatic top-ups, opens a charge. ``returned`` are units
    that expired holds give back in the same write; they count as given back
    before the write.

    The conditions keep the result right if a concurrent debit comes first:
    ``remaining`` must still lie between the same thresholds. Its exact value
    is not required, because a settlement would never succeed on a busy
    account.
    """
    move = _Move(account.remaining, units, returned, comes_in=comes_in)
    charge = _charge(account, move) if may_open else NO_CROSSING
    if low_at_default is None:
        return charge
    low_at = low_at_default if account.low_at is None else account.low_at
    lifts = comes_in and move.before < low_at <= move.after
    tells = tuple(_types(account, move, low_at, lifts=lifts))
    must = [*move.between(low_at, 1)]
    if units:
        must.append(_same_threshold(account))
    if lifts:
        must.append(_same_mark(account))
    return Crossing(
        tells=tells,
        opens=charge.opens,
        set={"low_told": True} if "quota.low" in tells else {},
        remove=("low_told",) if "quota.recovered" in tells else (),
        must=(*must, *charge.must),
    )


def _types(
    account: Account, move: "_Move", low_at: int, *, lifts: bool
) -> Iterator[QuotaType]:
    if move.goes_below(low_at):
        yield "quota.low"
    if move.goes_below(1):
        yield "quota.depleted"
    if lifts and account.low_told:
        yield "quota.recovered"


def _charge(account: Account, move: "_Move") -> Crossing:
    """Return whether a write opens an automatic charge, and its conditions.

    It opens one if ``move`` takes units, and ``remaining`` falls below the
    customer's threshold for automatic top-ups. The conditions make DynamoDB
    refuse the write if the stored balance no longer gives the same result.
    """
    if move.units >= 0:
        return NO_CROSSING
    when_below = account.top_up_at
    if not when_below:
        return NO_CROSSING._replace(must=(absent("top_up_at"),))
    same = (*move.between(when_below), equals("top_up_at", when_below))
    return NO_CROSSING._replace(opens=move.goes_below(when_below), must=same)


@dataclass(frozen=True, slots=True)
class _Move:
    """A change by ``units`` of ``remaining``, the units that can be spent.

    ``stored`` is the value before. ``returned`` are the units that expired
    holds give back in the same write. ``comes_in`` is true for new units, and
    false for units that a hold returns.
    """

    stored: int
    units: int
    returned: int
    comes_in: bool

    @property
    def before(self) -> int:
        """Return how many units can be spent just before this change.

        Units that expired holds give back in the same write are included.
        """
        return self.stored + self.returned

    @property
    def after(self) -> int:
        """Return the units that can be spent after the change."""
        return self.before + self.units

    def goes_below(self, threshold: int) -> bool:
        """Return whether ``remaining`` falls below this threshold."""
        return self.before >= threshold > self.after

    def between(self, *thresholds: int) -> Iterator[Must]:
        """Yield conditions on ``remaining`` for the write that changes it.

        If a concurrent write comes first, this one may cross other
        ``thresholds`` than computed. Then DynamoDB refuses it. For new units
        only the first threshold counts. Yields nothing for units that a hold
        returns: they cross none.
        """
        if self.units < 0:
            bounds = [
                *thresholds,
                *(value - self.units for value in thresholds),
            ]
        elif self.units and self.comes_in:
            bounds = [thresholds[0], thresholds[0] - self.units]
        else:
            return
        below = [value for value in bounds if 0 < value <= self.before]
        above = [value for value in bounds if value > self.before]
        if below:
            yield Must("remaining", ">=", max(below) - self.returned)
        if above:
            yield absent_or("remaining", "<", min(above) - self.returned)


def _same_threshold(account: Account) -> Must:
    if account.low_at is None:
        return absent("low_at")
    return equals("low_at", account.low_at)


def _same_mark(account: Account) -> Must:
    if account.low_told:
        return equals("low_told", account.low_told)
    return absent("low_told")
