"""Collects the differences between Stripe and our tables in a report.

The report's size is limited.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, assert_never

from billing.payments.decision import Change, Field, Park
from billing.payments.payment import Payment

Kind = Literal[
    "missing_here",
    "missing_there",
    "amount",
    "currency",
    "status",
    "identity",
    "failed",
]
"""``failed``: the object could not be compared, so we do not know whether
there is a difference.
"""
SHOWN_MAX: Final = 100
"""How many differences of each kind are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Describes one difference between an object at Stripe and our payment.

    ``repaired`` says whether our tables were corrected.
    """

    kind: Kind
    stripe_id: str
    payment_id: str
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """The result of one reconciliation.

    ``differences`` holds the first hundred of each kind. ``counts`` counts all of them.
    """

    matched: int = 0
    not_ours: int = 0
    dropped: int = 0
    """How many objects are of events that an operator decided not to settle.
    """
    repaired: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    finished: bool = False
    unlisted: list[str] = field(default_factory=list)
    """The lists at Stripe of which a page could not be read."""
    given_up: bool = False
    """Whether the run ended early, because too many objects in a row failed.
    """

    def add(self, difference: Difference) -> None:
        """Count a difference.

        The first hundred of each kind are also listed.
        """
        self.counts[difference.kind] = self.counts.get(difference.kind, 0) + 1
        self.repaired += difference.repaired
        if self.counts[difference.kind] <= SHOWN_MAX:
            self.differences.append(difference)

    @property
    def failed(self) -> int:
        """Return how many objects and lists could not be compared."""
        return self.counts.get("failed", 0)

    @property
    def differing(self) -> int:
        """Return the number of differences between Stripe and our tables."""
        return sum(self.counts.values()) - self.failed

    @property
    def compared(self) -> int:
        """Return how many of Stripe's objects were compared with our tables.

        Those for which the comparison failed are not counted.
        """
        return self.matched + self.not_ours + self.dropped + self.differing

    def as_answer(self) -> dict[str, Any]:
        """Return the reconciliation's report as a dict, to be sent as JSON."""
        return asdict(self)


def differs(payment: Payment | None, change: Change) -> bool:
    """Return whether a change alters the status or the units of a payment.

    A change that only adds a refund's id is not a difference.
    """
    return (
        payment is None
        or bool(change.units)
        or change.payment.status != payment.status
    )


def describe(
    payment: Payment | None, decision: Change | Park
) -> tuple[Kind, str]:
    """Return the kind of a difference, and a sentence about it for the report.

    The difference is between our payment and the same purchase at Stripe.
    ``payment`` is ours, or None if there is none. ``decision`` is what must be
    done to take over Stripe's state: change the payment, or keep the event for
    an operator or a later retry (Park).
    """
    match decision:
        case Park():
            return _kind_of(decision), decision.why
        case Change():
            was = payment.status if payment else "unknown"
            units = decision.units
            if decision.entry == "funded":
                return (
                    "missing_here",
                    f"paid at Stripe, {was} here: {units} units are owed",
                )
            status = decision.payment.status
            return "status", f"{was} here, {status} at Stripe; {units:+d} units"
        case _:
            assert_never(decision)


def _kind_of(park: Park) -> Kind:
    match park.kind:
        case "unknown_payment":
            return "missing_here"
        case "mismatch":
            return _kind_of_mismatch(park.fields)
        case "ahead" | "other_session" | "paid_twice":
            return "identity"
        case _:
            assert_never(park.kind)


def _kind_of_mismatch(fields: tuple[Field, ...]) -> Kind:
    if "amount" in fields:
        return "amount"
    return "currency" if "currency" in fields else "identity"
