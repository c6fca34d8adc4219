"""Refunds as Stripe makes them: they fail, are canceled, and are made again.

https://docs.stripe.com/refunds#failed-refunds
"""

import copy
import itertools
import random
from typing import Any

import pytest
from billing.audit.repair import repair_account
from billing.books import Books
from billing.buying import queries
from billing.parked import records
from billing.payments.payment import Payment
from billing.reconciliation import run
from billing.reconciliation.compare import look_again
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders, laws, model
from support.builders import pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

Event = dict[str, Any]
PRICE = 999
"""The starter plan's, for 100 units."""
ORDERS = 60


class Charge:
    """A paid purchase at Stripe. Each act changes Stripe's objects and notes
    the events it makes.
    """

    def __init__(self, payment: Payment) -> None:
        """Nothing is refunded yet."""
        self.payment = payment
        self.stripe = Stripe()
        self.events = [builders.completed(payment)]

    @property
    def amount_refunded(self) -> int:
        """Stripe lowers it when a refund fails."""
        return sum(row["amount"] for row in self.stripe.returned if row["status"] in model.STANDING)

    def refund(self, name: str, amount: int, status: str = "succeeded") -> "Charge":
        """A new refund."""
        self.stripe.refund(self.payment, name, amount, status)
        cumulative = self.amount_refunded
        self.events += builders.refund_made(self.payment, name, amount, cumulative, status)
        return self

    def change(self, name: str, status: str) -> "Charge":
        """A refund enters another state."""
        (row,) = (row for row in self.stripe.returned if row["id"] == name)
        row["status"] = status
        self.events += builders.refund_changed(self.payment, name, row["amount"], status)
        return self


def _listing(charge: Charge) -> Event:
    """charge.refunded with the list of the charge's refunds, newest first."""
    event = copy.deepcopy(charge.events[-1])
    assert event["type"] == "charge.refunded"
    rows = [dict(row) for row in charge.stripe.returned]
    event["data"]["object"]["refunds"] = {"object": "list", "data": rows, "has_more": False}
    return event


def _bought(policy: str = "debt") -> tuple[Books, Charge]:
    books = builders.books_on(MemoryStore(), policy)
    return books, Charge(pending(books, payment_id="pay_1", session_id="cs_1"))


def _settle(books: Books, *events: Event) -> None:
    """As the webhook does, and recovery after it."""
    for event in events:
        books.store.deadline.begin()
        if not isinstance(found := parse(event, builders.OURS), Ignored):
            settlement.apply(books, found)
    for record in list(records.all_parked(books)):
        settlement.retry(books, record)


def _end(books: Books) -> tuple[str, int]:
    """The payment's status and the units that remain."""
    laws.check(books.store)
    remaining = debits.read(books, "alice").remaining
    return queries.find(books, "alice", "pay_1").status, remaining


def _full_again(charge: Charge) -> None:
    charge.refund("re_A", PRICE).change("re_A", "failed").refund("re_B", PRICE)


def _more_again(charge: Charge) -> None:
    charge.refund("re_A", 300).change("re_A", "failed").refund("re_B", 500)


def _half_then_full(charge: Charge) -> None:
    charge.refund("re_A", 500).change("re_A", "failed").refund("re_B", PRICE)


def _canceled_then_full(charge: Charge) -> None:
    charge.refund("re_A", PRICE, "requires_action").change("re_A", "canceled")
    charge.refund("re_B", PRICE)


def _two_fail_and_the_first_half_stands(charge: Charge) -> None:
    charge.refund("re_A", 400).refund("re_B", 599).change("re_B", "failed")
    charge.refund("re_C", 599).change("re_C", "failed")


RIGHT = {
    "a full refund that failed and was made again": (_full_again, ("refunded", 0)),
    "300 that failed, then 500": (_more_again, ("partially_refunded", 50)),
    "500 that failed, then all of it": (_half_then_full, ("refunded", 0)),
    "all of it canceled, then all of it": (_canceled_then_full, ("refunded", 0)),
    "one that stands and two that failed": (
        _two_fail_and_the_first_half_stands,
        ("partially_refunded", 60),
    ),
}


@pytest.mark.parametrize("policy", ["debt", "write_off"])
@pytest.mark.parametrize("story", RIGHT)
def test_a_refund_made_again_is_taken_back(story: str, policy: str) -> None:
    acts, right = RIGHT[story]
    books, charge = _bought(policy)
    acts(charge)
    _settle(books, *(event for event in charge.events for _ in range(2)))
    assert _end(books) == right


@pytest.mark.parametrize("story", RIGHT)
def test_refund_events_in_any_order_end_in_one_state(story: str) -> None:
    """Many orders of each story, with every event once or twice."""
    acts, right = RIGHT[story]
    chance = random.Random(story)
    for _ in range(ORDERS):
        books, charge = _bought()
        acts(charge)
        events = charge.events + chance.sample(charge.events, chance.randrange(len(charge.events)))
        chance.shuffle(events)
        _settle(books, *events)
        assert _end(books) == right, [event["type"] for event in events]


@pytest.mark.parametrize("kept", ["refund.created", "refund.updated", "charge.refund.updated"])
def test_any_one_event_that_names_a_refund_is_enough(kept: str) -> None:
    """The charge's figure was lost: what stands is known by the refunds' ids."""
    books, charge = _bought()
    charge.refund("re_A", 300, "pending").change("re_A", "succeeded")
    charge.refund("re_B", 200, "requires_action").change("re_B", "pending")
    _settle(books, charge.events[0], *(row for row in charge.events if row["type"] == kept))
    assert _end(books) == ("partially_refunded", 50)


def test_a_canceled_refund_that_was_never_counted_hides_the_next_until_it_is_known_by_id() -> None:
    """``charge.refunded`` alone may be the canceled one's figure: the lower bound is nothing."""
    books, charge = _bought()
    _canceled_then_full(charge)
    completed, _, _, canceled, _, created, cumulative = charge.events
    _settle(books, completed, canceled, cumulative)
    assert _end(books) == ("completed", 100)
    _settle(books, created)
    assert _end(books) == ("refunded", 0)


def test_without_refund_created_the_highest_figure_less_the_failures_counts() -> None:
    """An endpoint of an older API version gets no ``refund.created`` of charges."""
    books, charge = _bought()
    charge.refund("re_A", 300).refund("re_B", 400).change("re_A", "failed")
    _settle(books, *(row for row in charge.events if row["type"] != "refund.created"))
    assert _end(books) == ("partially_refunded", 60)


def test_an_old_endpoint_knows_the_refunds_that_a_charge_lists() -> None:
    """Endpoints of API versions before 2022-11-15 see the charge's refunds in charge.refunded.

    Nothing else names a refund that succeeded there.
    """
    books, charge = _bought()
    charge.refund("re_A", 500)
    first = _listing(charge)
    charge.change("re_A", "failed").refund("re_B", 333)
    failure = builders.refund(charge.payment, "re_A", 500, "failed", "charge.refund.updated")
    _settle(books, charge.events[0], first, failure, _listing(charge))
    assert _end(books) == ("partially_refunded", 100 - 100 * 333 // 999)


@pytest.mark.parametrize(
    "listed", [None, [], "re_1", {}, {"data": None}, {"data": [None, "re_1", {"status": []}]}]
)
def test_refunds_that_a_charge_does_not_list_are_counted_by_its_figure(listed: object) -> None:
    """As newer versions of the API leave the list out."""
    books, charge = _bought()
    charge.refund("re_A", 500)
    event = copy.deepcopy(charge.events[-1])
    event["data"]["object"]["refunds"] = listed
    _settle(books, charge.events[0], event)
    assert _end(books) == ("partially_refunded", 100 - 100 * 500 // 999)


def test_a_refund_that_succeeded_late_does_not_undo_its_failure() -> None:
    """``succeeded`` may come before ``failed``, never after it, whatever the events' order."""
    books, charge = _bought()
    charge.refund("re_A", PRICE, "pending").change("re_A", "succeeded").change("re_A", "failed")
    for order in itertools.permutations(charge.events[1:4] + charge.events[-1:]):
        _settle(books, charge.events[0], *order)
    assert _end(books) == ("completed", 100)


def test_reconciliation_and_late_events_agree_about_refunds_made_again() -> None:
    """Every event of the refunds was lost until Stripe was asked."""
    for acts, right in RIGHT.values():
        books, charge = _bought()
        acts(charge)
        _settle(books, charge.events[0])
        charge.stripe.sell(charge.payment, 1767323045)
        job = Run(books, charge.stripe, repair=True)  # type: ignore[arg-type]
        look_again(job.comparison, "cs_1", Report())
        assert _end(books) == right
        _settle(books, *charge.events)
        assert _end(books) == right


def test_a_refund_made_again_after_the_payment_was_put_back_is_taken_once() -> None:
    """The restore forgot both refunds; their units are in the ledger, and are not taken twice."""
    books, charge = _bought()
    _full_again(charge)
    store: Any = books.store
    _settle(books, charge.events[0])
    before = {key: dict(row) for key, row in store.tables["payments"].items()}
    _settle(books, *charge.events[1:6])
    store.tables["payments"] = before
    _settle(books, *charge.events[6:])
    assert _end(books) == ("refunded", 0)


def test_units_given_up_for_a_refund_that_fails_are_given_up_for_the_next() -> None:
    """Sixty were used: written off, come back, written off again."""
    books, charge = _bought("write_off")
    _full_again(charge)
    _settle(books, charge.events[0])
    debits.debit(Meter(books, ""), "alice", 60)
    _settle(books, *charge.events[1:])
    payment = queries.find(books, "alice", "pay_1")
    balance = debits.read(books, "alice")
    assert (payment.units_clawed_back, payment.units_written_off) == (100, 60)
    assert (balance.remaining, balance.debt, balance.used) == (0, 0, 60)


@pytest.mark.parametrize("policy", ["debt", "write_off"])
@pytest.mark.parametrize("used", [0, 60])
@pytest.mark.parametrize("restored", ["payments", "ledger", "quotas", "payments ledger"])
def test_after_a_repair_two_further_refunds_are_taken_back_exactly(
    restored: str, used: int, policy: str
) -> None:
    """Tables were put back to before the first refunds, of which one had failed.

    Where ledger and payments were put back together, only Stripe knows of the refunds.
    """
    books, charge = _bought(policy)
    store: Any = books.store
    charge.stripe.sell(charge.payment, 1767323045)
    _settle(books, charge.events[0])
    if used:
        debits.debit(Meter(books, ""), "alice", used)
    before = copy.deepcopy(store.tables)
    charge.refund("re_A", 500).change("re_A", "failed").refund("re_B", 333)
    _settle(books, *charge.events)
    for name in restored.split():
        store.tables[name] = before[name]
    job = Run(books, charge.stripe, repair=True, resumes=False)  # type: ignore[arg-type]
    if restored == "payments ledger":
        run.run(job, 0)
    repair_account(job, "alice")
    assert repair_account(job, "alice").acts == ()
    after = len(charge.events)
    charge.refund("re_C", 333).refund("re_D", 333)
    for event, taken in zip(charge.events[after:], (66, 66, 100, 100), strict=True):
        _settle(books, event)
        assert queries.find(books, "alice", "pay_1").units_clawed_back == taken
    laws.check(store)
    balance = debits.read(books, "alice")
    given_up = queries.find(books, "alice", "pay_1").units_written_off
    assert given_up == (used if policy == "write_off" else 0)
    assert (balance.remaining, balance.debt) == (0, used - given_up)
    assert balance.used == used
