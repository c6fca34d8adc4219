"""``updated_at`` of a quota is the time of its last change, whatever changed it, and of nothing
else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from billing.books import Books
from billing.clock import stamp
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders
from support.builders import Still, fact, pending
from support.fakes.memory_store import MemoryStore


@dataclass
class Account:
    """Alice's: 100 units, 10 of them in a hold of a minute. The clock stands still between two
    acts.
    """

    clock: Still = field(default_factory=Still)

    def __post_init__(self) -> None:
        """Begin."""
        self.books: Books = builders.books_on(MemoryStore(), "write_off", self.clock)
        self.meter = Meter(self.books, "")
        self.payment = self.buys()
        self.hold = placing.place(self.meter, "alice", 10, 60).hold_id

    def buys(self) -> Payment:
        """A purchase."""
        payment = pending(self.books)
        self.tells(builders.completed(payment))
        return payment

    def tells(self, event: dict[str, Any]) -> None:
        """An event."""
        settlement.apply(self.books, fact(event))

    def sweeps(self) -> None:
        """What has expired is given back."""
        hold_expiry.give_back_expired(
            self.books,
            "alice",
            Balance.from_item(self.books.store.get("quotas", ("alice", "quota"))),
        )

    def loses_what_it_used(self) -> None:
        """A debit, and a refund that writes it off a second later."""
        debits.debit(self.meter, "alice", 90)
        self.clock.advance(seconds=1)
        self.tells(builders.refunded(self.payment, 999))

    def asks_too_much(self) -> None:
        """A debit that is refused."""
        with pytest.raises(BillingError, match="quota_exhausted"):
            debits.debit(self.meter, "alice", 1000)

    @property
    def updated_at(self) -> str:
        """As ``GET /quota`` answers it."""
        return str(debits.read(self.books, "alice").as_answer("alice").updated_at)


CHANGES: Final[dict[str, tuple[int, Callable[[Account], object]]]] = {
    "a purchase": (7, Account.buys),
    "a refund": (7, lambda one: one.tells(builders.refunded(one.payment, 500))),
    "a dispute": (
        7,
        lambda one: one.tells(
            builders.dispute(one.payment, "funds_withdrawn", "needs_response", -500)
        ),
    ),
    "a refund of units that were used": (7, Account.loses_what_it_used),
    "a debit": (7, lambda one: debits.debit(one.meter, "alice", 1)),
    "a debit under a key": (
        7,
        lambda one: debits.debit_once(one.meter, "alice", 1, "backend", "k"),
    ),
    "a hold": (7, lambda one: placing.place(one.meter, "alice", 1, 60)),
    "a capture": (7, lambda one: closing.capture(one.meter, one.hold, 4)),
    "a release": (7, lambda one: closing.release(one.meter, one.hold)),
    "a hold that expires": (61, Account.sweeps),
    "a debit after a hold has expired": (61, lambda one: debits.debit(one.meter, "alice", 1)),
    "a hold after a hold has expired": (61, lambda one: placing.place(one.meter, "alice", 1, 60)),
    "a debit on the next day": (86_400, lambda one: debits.debit(one.meter, "alice", 1)),
}
NO_CHANGES: Final[dict[str, Callable[[Account], object]]] = {
    "a purchase that is told again": lambda one: one.tells(builders.completed(one.payment)),
    "an inquiry": lambda one: one.tells(
        builders.dispute(one.payment, "created", "warning_needs_response")
    ),
    "an expiry of another purchase": lambda one: one.tells(builders.expired(pending(one.books))),
    "a debit of more than there is": Account.asks_too_much,
    "a capture that is told again": lambda one: closing.capture(one.meter, one.hold, 4),
    "a read": lambda one: debits.read(one.books, "alice"),
}


@pytest.mark.parametrize(("seconds", "act"), CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_quota_is_its_latest(
    seconds: int, act: Callable[[Account], object]
) -> None:
    account = Account()
    before = account.updated_at
    assert before == stamp(account.clock.now)
    account.clock.advance(seconds=seconds)
    act(account)
    assert account.updated_at == stamp(account.clock.now) > before


@pytest.mark.parametrize("act", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_changes_nothing_is_no_change(act: Callable[[Account], object]) -> None:
    account = Account()
    closing.capture(account.meter, account.hold, 4)
    before = account.updated_at
    account.clock.advance(seconds=7)
    act(account)
    assert account.updated_at == before
