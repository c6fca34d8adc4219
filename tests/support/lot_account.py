"""One account with lots, acted on through the product, as a request would that comes first."""

from dataclasses import dataclass, field
from typing import Any

from billing.clock import epoch
from billing.errors import BillingError
from billing.expiry import present
from billing.grants import api, welcome
from billing.grants.grant import Grant
from billing.holds import closing, placing
from billing.lots.burning import Lots
from billing.payments.payment import Payment
from billing.payments.plan import Plan, Welcome
from billing.quota.balance import Balance, read_account
from billing.reconciliation import hold_sweep
from billing.settings import Telling
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
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
    telling: Telling = builders.OFF

    def __post_init__(self) -> None:
        """Nothing is bought yet."""
        memory._seen.clear()
        self.books = builders.books_on(self.store, self.policy, self.clock, telling=self.telling)
        self.meter = Meter(self.books, "")
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

    def welcomes(self, units: int, days: int = 0) -> bool:
        """Whether these free units came in: once for ever."""
        free = Welcome(units, needs_verified_email=False, daily_max=9, expires_after_days=days)
        return welcome.claim(self.books, USER, free, {}).is_new

    def spends(self, units: int, key: str = "") -> bool:
        """A debit, under an Idempotency-Key if there is one."""
        try:
            if key:
                debits.debit_once(self.meter, USER, units, "backend", key)
            else:
                debits.debit(self.meter, USER, units)
        except BillingError:
            return False
        return True

    def holds_back(self, units: int, seconds: int = 86_400) -> str:
        """A hold's id; "" when it is refused."""
        try:
            return placing.place(self.meter, USER, units, seconds).hold_id
        except BillingError:
            return ""

    def ends_hold(self, hold_id: str, captured: int) -> bool:
        """A capture, or with 0 a release. False where the hold's time is over."""
        try:
            if captured:
                closing.capture(self.meter, hold_id, captured)
            else:
                closing.release(self.meter, hold_id)
        except BillingError:
            return False
        return True

    def balance(self) -> Balance:
        """As ``GET /quota`` shows it."""
        return debits.read(self.books, USER)

    def is_swept(self) -> None:
        """The minute's sweep."""
        hold_sweep.sweep_holds(self.books)

    def stored(self) -> Balance:
        """As its row has it."""
        return read_account(self.store, USER)  # type: ignore[arg-type]

    def lots(self) -> Lots:
        """The lots as ``GET /quota/lots`` counts them."""
        return present.read_with_lots(self.books, USER, self.stored()).lots

    def left(self) -> dict[str, int]:
        """Units by lot, those in holds included."""
        return {lot.lot_id: lot.left for lot in self.lots() if lot.left}
