"""A shop in memory whose store fails at any one call."""

from typing import Any

from billing.books import Books
from billing.errors import AwsRefusedError, Item
from billing.holds import placing
from billing.keys import api_keys
from billing.parked import records
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.reader import Page
from billing.storage.writes import Table, Write
from billing.stripe_api.outcomes import StripeServerError
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


class Failing(MemoryStore):
    """The call after ``good`` others fails, in a way of which nothing was foreseen."""

    good: int | None = None

    def call(self) -> None:
        """One is made."""
        if self.good is not None:
            self.good -= 1
            if self.good < 0:
                self.good = None
                raise AwsRefusedError("injected")

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """See the store."""
        self.call()
        return super().get(table, key)

    def commit(self, *writes: Write) -> None:
        """See the store."""
        self.call()
        super().commit(*writes)

    def query(self, *args: Any, **options: Any) -> Page:
        """See the store."""
        self.call()
        return super().query(*args, **options)

    def due(self, now_epoch: int, after: Item | None = None, mark: str = "open") -> Page:
        """See the store."""
        self.call()
        return super().due(now_epoch, after, mark)


class Shop:
    """Alice has bought 100 units, spent one and holds ten; a refund of another purchase waits."""

    def __init__(self) -> None:
        """Open."""
        memory._seen.clear()
        self.clock = Clock()
        self.store = Failing()
        self.books: Books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "")
        self.stripe = Till()
        self.gateway: Any = Line(self.stripe, self.store)
        self.stripe.rows_a_page = 100
        self.paid, self.unpaid = pending(self.books), pending(self.books)
        self.tell(builders.completed(self.paid))
        debits.debit(self.meter, "alice", 1)
        self.hold = placing.place(self.meter, "alice", 10, 60).hold_id
        self.key = api_keys.create(self.books, "alice", "test", "n").key_id
        self.tell(builders.refunded(self.unpaid, 500))
        for payment in (self.paid, self.unpaid):
            self.stripe.sell(payment, 1767323045)

    def tell(self, event: dict[str, Any]) -> str:
        """An event."""
        return settlement.apply(self.books, fact(event)).status

    def forget(self) -> None:
        """A new container."""
        memory._seen.clear()

    def later(self, **duration: int) -> None:
        """Time passes."""
        self.clock.advance(**duration)

    def parked(self) -> records.Parked:
        """The refund that waits."""
        (record,) = records.all_parked(self.books)
        return record

    def lose(self, payment: Payment) -> None:
        """A restore has lost its record and what led to it."""
        rows = self.store.tables["payments"]
        for key in [key for key, row in rows.items() if payment.payment_id in str((key, row))]:
            del rows[key]


class Till(Stripe):
    """It makes sessions too, or has trouble first, and has no receipts."""

    troubles = 0

    def create_session(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway."""
        del params
        if self.troubles:
            self.troubles -= 1
            raise StripeServerError("500")
        return {"id": f"cs_{idempotency_key}", "url": "https://pay", "expires_at": 1767409445}

    def receipt_url(self, payment_intent: str) -> str:
        """See the gateway."""
        return f"https://receipts/{payment_intent}"


class Line:
    """Leads to Stripe; a call of it may fail like one of the store."""

    def __init__(self, till: Till, store: Failing) -> None:
        """Both ends."""
        self._till, self._store = till, store

    def __getattr__(self, name: str) -> Any:
        """Every method of the gateway."""
        self._store.call()
        return getattr(self._till, name)
