"""Books beside Stripe, for whole reports of reconciliation: every count and every difference."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from billing.books import Books
from billing.payments.payment import Payment
from billing.reconciliation import run
from billing.reconciliation.compare import look_again
from billing.reconciliation.comparison import Comparison
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import Meddled
from support.fakes.stripe_twin import Stripe

AT: Final = 1767323045
"""When everything at Stripe was made."""
EMPTY: Final[dict[str, Any]] = asdict(Report(finished=True))


@dataclass
class World:
    """Books and Stripe. Nothing was sold."""

    stripe: Stripe = field(default_factory=Stripe)
    store: Meddled = field(default_factory=Meddled)

    def __post_init__(self) -> None:
        """Begin."""
        self.books: Books = builders.books_on(self.store, clock=Clock())
        self.stripe.rows_a_page = 100

    def buy(self, user_id: str = "alice", *, paid: bool = True, **members: Any) -> Payment:
        """One more purchase, which Stripe lists. ``paid``: its event came."""
        payment = pending(self.books, user_id)
        if paid:
            self.settle(builders.completed(payment))
        self.stripe.sell(payment, AT, **members)
        return payment

    def charge(self, *, paid: bool = True, **members: Any) -> Payment:
        """One more automatic charge, which Stripe lists. ``paid``: its event came."""
        payment = builders.automatic(self.books)
        if paid:
            self.settle(builders.intent_event(payment))
        self.stripe.charged.insert(0, builders.intent(payment, **members))
        return payment

    def settle(self, event: dict[str, Any]) -> str:
        """As the webhook does."""
        return settlement.apply(self.books, fact(event)).status

    def forget(self, payment: Payment) -> None:
        """A restore has lost its record and all that led to it."""
        rows = self.store.tables["payments"]
        for key in [key for key, row in rows.items() if payment.payment_id in str((key, row))]:
            del rows[key]

    def report(self, since: int = 0, *, repair: bool = True) -> dict[str, Any]:
        """What a whole run says."""
        job = Run(self.books, self.stripe, repair)  # type: ignore[arg-type]
        return run.run(job, since).as_answer()

    def look(self, name: str) -> dict[str, Any]:
        """What a look at one purchase says."""
        report = Report(finished=True)
        by = Comparison(self.books, self.stripe, repair=True)  # type: ignore[arg-type]
        look_again(by, name, report)
        return report.as_answer()

    def row(self, owner: str, name: str) -> dict[str, Any]:
        """A row of the payments' table."""
        return self.store.tables["payments"][owner, name]


def whole(*rows: tuple[str, str, str, str, bool], **members: Any) -> dict[str, Any]:
    """A finished report with these differences: kind, Stripe's id, ours, detail, repaired."""
    names = ("kind", "stripe_id", "payment_id", "detail", "repaired")
    kinds = [row[0] for row in rows]
    return {
        **EMPTY,
        "counts": {kind: kinds.count(kind) for kind in kinds},
        "differences": [dict(zip(names, row, strict=True)) for row in rows],
        "repaired": sum(row[4] for row in rows),
        **members,
    }
