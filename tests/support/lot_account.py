"""One account with lots, acted on through the product, as a request would that comes first."""

from dataclasses import dataclass, field
from typing import Any

from billing.clock import epoch, stamp
from billing.errors import BillingError
from billing.grants import api
from billing.grants.grant import Grant
from billing.payments import settlement
from billing.payments.payment import Payment
from billing.payments.plans import Plan
from billing.quota import debits, lot_expiry, lot_holds, spending
from billing.quota.balance import Balance, come_in
from billing.quota.lot_rows import Holdings
from billing.quota.spending import Meter
from billing.storage.writes import Must, Write, creates
from support import builders
from support.builders import Clock, fact
from support.fakes.memory_store import MemoryStore

USER = "alice"
PRICE = 100
"""Of one unit, in minor units."""


@dataclass
class LotAccount:
    """Alice's."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    policy: str = "debt"

    def __post_init__(self) -> None:
        """Nothing is bought yet."""
        spending._seen.clear()
        self.books = builders.books_on(self.store, self.policy, self.clock)
        self.numbers = 0

    def number(self) -> int:
        """A new one."""
        self.numbers += 1
        return self.numbers

    def buys(self, units: int, days: int = 0) -> Payment:
        """A purchase that is paid."""
        plan = Plan("p", "P", "P", units * PRICE, "usd", units, days)
        payment = builders.pending(self.books, USER, sold=plan)
        self.hears(builders.completed(payment))
        return payment

    def hears(self, event: dict[str, Any]) -> None:
        """An event of Stripe's."""
        settlement.apply(self.books, fact(event))

    def grants(self, units: int, seconds: int = 0) -> str:
        """The grant's id."""
        expires_at = epoch(self.clock.now) + seconds if seconds else 0
        grant = Grant(f"grant_{self.number()}", USER, units, "why", expires_at)
        return str(api.give(self.books, grant)["grant_id"])

    def voids(self, grant_id: str) -> int:
        """How many units were taken back."""
        return int(api.void(self.books, grant_id)["units"])

    def spends(self, units: int) -> bool:
        """A debit. The lots that are due go first, as its refusal would have it."""
        lot_expiry.bring_up_to_date(self.books, USER)
        try:
            debits.debit(Meter(self.books, ""), USER, units)
        except BillingError:
            return False
        return True

    def holds_back(self, units: int) -> str:
        """A hold's key; "" when it is refused."""
        holdings = lot_expiry.read_to_change(self.books, USER, units)
        if holdings.balance.remaining < units:
            return ""
        placed = lot_holds.place(holdings, units)
        key = f"hold#{10**11 + self.number():012d}#{self.number():016x}"
        row = {"units": units, "parts": dict(placed.parts), "expires_at": 10**11}
        account = placed.change.account(
            USER,
            stamp(self.clock()),
            {"remaining": -units, "held": units, "holds_placed": 1},
            (Must("remaining", ">=", units),),
        )
        self.store.commit(account, *placed.change.rows, creates("quotas", (USER, key), row))
        return key

    def ends_hold(self, key: str, captured: int) -> None:
        """A capture, or with 0 a release."""
        row = self.store.get("quotas", (USER, key))
        assert row
        holdings = lot_expiry.read_to_change(self.books, USER, through=lot_holds.through([row]))
        now = self.clock()
        closed = lot_holds.close(holdings, row, captured, stamp(now), epoch(now))
        movement = come_in(holdings.balance, closed.back)
        moved = {"held": -row["units"], "used": captured, "total": -closed.gone}
        account = closed.change.account(USER, stamp(now), {**moved, **movement.add}, movement.must)
        gone = Write("quotas", (USER, key), delete=True)
        self.store.commit(account, *closed.change.rows, gone, *closed.entries)

    def balance(self) -> Balance:
        """As ``GET /quota`` shows it."""
        return debits.read(self.books, USER)

    def holdings(self) -> Holdings:
        """The lots as they are now."""
        balance = lot_expiry.bring_up_to_date(self.books, USER)
        return lot_expiry.read_steady(self.books, USER, balance)

    def left(self) -> dict[str, int]:
        """Units by lot, those in holds included."""
        return {lot.lot_id: lot.left for lot in self.holdings().lots if lot.left}
