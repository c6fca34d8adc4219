"""A payment whose record was lost by a restore."""

from collections.abc import Callable
from typing import Any

from billing.clock import epoch
from billing.parked import parking, records
from billing.payments.decision import Park
from billing.payments.payment import Payment
from billing.reconciliation import retry_parked, run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

Make = Callable[[Payment], dict[str, Any]]


class Shop:
    """Its one payment's record was lost by a restore."""

    def __init__(self) -> None:
        """It was sold, and forgotten."""
        self.clock, self.store, self.stripe = Clock(), MemoryStore(), Stripe()
        self.books = builders.books_on(self.store, clock=self.clock)
        self.payment = pending(self.books)
        self.forget()

    def forget(self) -> None:
        """The restore."""
        self.store.tables["payments"].clear()

    def park(self, make: Make) -> records.Parked:
        """As an older version did."""
        parking.park(
            self.books, fact(make(self.payment)), Park("unknown_payment", "not in our records")
        )
        (record,) = records.all_parked(self.books)
        return record

    def reconcile(self, *, repair: bool = True) -> Report:
        """As each hour."""
        job = Run(self.books, self.stripe, repair)  # type: ignore[arg-type]
        return run.run(job, epoch(builders.START) - 86_400)

    def recover(self) -> retry_parked.Recovered:
        """A minute later."""
        self.clock.advance(seconds=60)
        return retry_parked.run(self.books, self.stripe)  # type: ignore[arg-type]

    def parked(self) -> list[records.Parked]:
        """What waits."""
        return list(records.all_parked(self.books))
