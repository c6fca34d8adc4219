"""What a comparison of Stripe with the books finds: one difference each, and a report of bounded size."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from billing.payments.payment import Change, Park, Payment

Kind = Literal[
    "missing_here", "missing_there", "amount", "currency", "status", "identity", "failed"
]
"""``failed``: nobody knows whether they agree, for it could not be compared."""
SHOWN_MAX: Final = 100
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which Stripe and the books do not agree."""

    kind: Kind
    stripe_id: str
    payment_id: str
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """What a run found.

    ``differences`` holds the first hundred of each kind, ``counts`` all of them.
    """

    matched: int = 0
    not_ours: int = 0
    dropped: int = 0
    """What a person has decided not to settle."""
    repaired: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    finished: bool = False
    unlisted: list[str] = field(default_factory=list)
    """Lists that could not be read to their end."""
    given_up: bool = False
    """So many rows in a row failed that the run was ended."""

    def add(self, difference: Difference) -> None:
        """Count it, show it while there is room."""
        self.counts[difference.kind] = self.counts.get(difference.kind, 0) + 1
        self.repaired += difference.repaired
        if self.counts[difference.kind] <= SHOWN_MAX:
            self.differences.append(difference)

    @property
    def failed(self) -> int:
        """Rows and lists that could not be compared."""
        return self.counts.get("failed", 0)

    @property
    def differing(self) -> int:
        """Where Stripe and the books do not agree."""
        return sum(self.counts.values()) - self.failed

    @property
    def compared(self) -> int:
        """What was looked at to its end."""
        return self.matched + self.not_ours + self.dropped + self.differing

    def as_answer(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def differs(payment: Payment | None, change: Change) -> bool:
    """Learning a refund's name is no difference; another state, or other units, are."""
    return payment is None or bool(change.units) or change.payment.status != payment.status


def told(payment: Payment | None, decision: Change | Park) -> tuple[Kind, str]:
    """Of what kind a difference is, and a sentence about it."""
    if isinstance(decision, Change):
        was = payment.status if payment else "unknown"
        if decision.entry == "funded":
            return "missing_here", f"paid at Stripe, {was} here: {decision.units} units are owed"
        return (
            "status",
            f"{was} here, {decision.payment.status} at Stripe; {decision.units:+d} units",
        )
    if decision.kind == "unknown_payment":
        return "missing_here", decision.why
    if decision.kind == "mismatch" and "amount is" in decision.why:
        return "amount", decision.why
    if decision.kind == "mismatch" and "currency is" in decision.why:
        return "currency", decision.why
    return "identity", decision.why
