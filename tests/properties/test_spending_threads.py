import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.clock import utc_now
from billing.errors import BillingError, NotDoneError, RetryableError
from billing.holds import closing, placing
from billing.parked import records
from billing.payments.payment import Payment
from billing.reconciliation import hold_sweep
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from properties.crowd import at_once, check_laws
from support import builders, model
from support.builders import fact, pending
from support.deadlines import CountedDeadline
from support.dynamo import Dynamo
from support.rough_wire import rough

USERS: Final = ("alice", "bob", "carol")
ACTS: Final = 640
KEYS: Final = 25
REFUSALS: Final = ("quota_exhausted", "hold_closed")
NOT_DONE: Final = ("never sent", "throttled", "conflict")
WIRES: Final = {
    "a smooth wire": (),
    "conflicts and throttles": NOT_DONE,
    "lost answers as well": (
        *NOT_DONE,
        "cut before it was carried",
        "answer lost",
        "carried, and answered 500",
    ),
}
"""What one request in six meets."""
ROUNDS: Final = [
    ("dynoxide", "a smooth wire"),
    ("dynoxide", "conflicts and throttles"),
    ("ministack", "lost answers as well"),
]
"""Each wire once, each database at least once: the faults are the wire's, whatever is behind it."""


@dataclass(frozen=True, slots=True)
class Used:
    """What an act took for good, and under which key; ``refusal`` when it took nothing.

    ``unsure``: perhaps so much, once.
    """

    user_id: str = ""
    units: int = 0
    key: str = ""
    debit_id: str = ""
    refusal: str = ""
    unsure: int = 0


class Crowd:
    """Customers and a seller's backend that act concurrently."""

    def __init__(self, database: Dynamo, seed: int) -> None:
        """Every customer has bought once; further purchases and refunds come while they spend."""
        store = database.store(deadline=CountedDeadline())
        self.books = replace(builders.books_on(store), clock=utc_now)
        self.meter, self.random = Meter(self.books, "https://shop.example.com"), random.Random(seed)
        self.told: list[tuple[Payment, dict[str, Any]]] = []
        self.acts: list[Callable[[], Used]] = []
        for user_id in USERS:
            self._sells(user_id, "starter", told=True)
            for number in range(4):
                self._sells(user_id, "starter", refunds=number)

    def _sells(self, user_id: str, plan: str, refunds: int = 0, *, told: bool = False) -> None:
        payment = pending(self.books, user_id, plan)
        events = [builders.completed(payment), builders.completed(payment)]
        for part in range(1, refunds + 1):
            name = f"re_{payment.payment_id}_{part}"
            events += builders.refund_made(payment, name, 333, 333 * part)
        self.told += [(payment, event) for event in events]
        for event in events:
            if told:
                settlement.apply(self.books, fact(event))
            else:
                self.acts.append(self._telling(event))

    def _telling(self, event: dict[str, Any]) -> Callable[[], Used]:
        def act() -> Used:
            settlement.apply(self.books, fact(event))
            return Used()

        return act

    def plans(self) -> None:
        """What everybody will do, by chance."""
        kinds = (self._debits, self._debits_under_a_key, self._holds, self._reads)
        while len(self.acts) < ACTS:
            kind = self.random.choice(kinds)
            self.acts.append(kind(self.random.choice(USERS), self.random.randint(1, 12)))
        self.random.shuffle(self.acts)

    def _debits(self, user_id: str, units: int) -> Callable[[], Used]:
        def act() -> Used:
            try:
                answer = debits.debit(self.meter, user_id, units)
            except NotDoneError:
                raise
            except RetryableError:
                return Used(user_id, refusal="unknown", unsure=units)
            assert answer.remaining >= 0
            return Used(user_id, units)

        return _refusable(act)

    def _debits_under_a_key(self, user_id: str, units: int) -> Callable[[], Used]:
        number = self.random.randrange(KEYS)
        user_id, units, key = USERS[number % len(USERS)], number + 1, f"key{number}"

        def act() -> Used:
            answer = debits.debit_once(self.meter, user_id, units, "backend", key)
            assert answer.remaining >= 0
            return Used(user_id, units, key, answer.debit_id)

        return _refusable(act)

    def _holds(self, user_id: str, units: int) -> Callable[[], Used]:
        end, kept = (
            self.random.choice(("capture", "release", "expire", "forgotten")),
            self.random.randint(0, units),
        )

        def act() -> Used:
            seconds = 1 if end == "expire" else 300
            hold_id = placing.place(self.meter, user_id, units, seconds).hold_id
            self.books.store.deadline.begin()  # another request
            if end == "capture":
                return Used(user_id, closing.capture(self.meter, hold_id, kept).units)
            if end == "release":
                closing.release(self.meter, hold_id)
            return Used()

        return _refusable(act)

    def _reads(self, user_id: str, units: int) -> Callable[[], Used]:
        del units

        def act() -> Used:
            balance = debits.read(self.books, user_id)
            assert balance.remaining >= 0
            assert not (balance.remaining and balance.debt)
            return Used()

        return act


def _refusable(act: Callable[[], Used]) -> Callable[[], Used]:
    def run() -> Used:
        try:
            return act()
        except BillingError as refused:
            if refused.code not in REFUSALS:
                raise
            return Used(refusal=refused.code)

    return run


def _expired_are_back(books: Books) -> None:
    """As the schedule does, for the holds that are open and no read has found expired; then
    nothing is held.
    """
    later = replace(books, clock=lambda: utc_now().replace(year=utc_now().year + 1))
    books.store.deadline.begin()
    assert hold_sweep.sweep_holds(later) > 0
    assert hold_sweep.sweep_holds(later) == 0


@pytest.mark.parametrize(("database", "name"), ROUNDS, indirect=["database"])
def test_sixty_four_threads_of_spending_buying_and_refunding_never_oversell(
    database: Dynamo, name: str
) -> None:
    """Within the product's own 8 seconds requests are refused only for want of units, and what was
    taken is what was answered.

    Nothing is answered 5xx but a plain debit whose answer was lost: it must not be taken twice.
    """
    crowd = Crowd(database, seed=20260102)
    crowd.plans()
    store, met = crowd.books.store, Counter[str]()
    wire = rough(store, 20260102, met, WIRES[name])
    wire.is_rough = bool(WIRES[name])
    answers: list[Used] = at_once(store, crowd.acts)
    wire.is_rough = False
    store.deadline.begin()
    assert all(met[fault] > ACTS // 40 for fault in WIRES[name]), met
    check_laws(store)
    for record in list(records.all_parked(crowd.books)):
        settlement.retry(crowd.books, record)
    _expired_are_back(crowd.books)
    found = check_laws(store)
    assert not list(records.all_parked(crowd.books))

    by_key = {used.key: used for used in answers if used.key}
    for used in answers:
        assert not used.key or used.debit_id == by_key[used.key].debit_id, "a key was debited twice"
    counted = [used for used in answers if not used.key] + list(by_key.values())
    taken, unsure = Counter[str](), Counter[str]()
    for used in counted:
        taken[used.user_id] += used.units
        unsure[used.user_id] += used.unsure
    assert bool(unsure.total()) == ("answer lost" in WIRES[name])
    bought = Counter[str]()
    for payment in {payment.payment_id: payment for payment, _ in crowd.told}.values():
        events = [event for about, event in crowd.told if about.payment_id == payment.payment_id]
        status, credited, clawed_back = model.purchase(events, payment.quota, payment.amount_minor)
        stored = Payment.from_item(
            found.tables["payments"][user_key(payment.user_id), payment.payment_id]
        )
        assert (stored.status, stored.units_clawed_back) == (status, clawed_back)
        bought[payment.user_id] += credited - clawed_back
    for user_id in USERS:
        store.deadline.begin()
        balance = debits.read(crowd.books, user_id)
        assert taken[user_id] <= balance.used <= taken[user_id] + unsure[user_id]
        assert (balance.total, balance.held) == (bought[user_id], 0)
        assert balance.remaining - balance.debt == bought[user_id] - balance.used
    refused = Counter(used.refusal for used in answers)
    assert min(refused[""], refused["quota_exhausted"]) > ACTS // 10, (
        f"the crowd must meet empty accounts, and others: {refused}"
    )


@pytest.fixture(autouse=True)
def _numbered() -> None:
    builders.renumber()
