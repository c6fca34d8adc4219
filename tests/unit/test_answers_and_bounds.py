"""Answers to the last member, bounds to the last value, and what several of a kind make of one
payment.
"""

from dataclasses import replace

import pytest
from billing.audit.readings import settled_tally
from billing.audit.tally import Tally
from billing.books import Books
from billing.buying import checkout, queries
from billing.clock import epoch
from billing.errors import OutcomeUnknownError
from billing.facts import SessionFact
from billing.holds import placing
from billing.payments.plans import catalogue
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.writes import Write
from billing.stripe_api.events import parse
from billing.stripe_api.signatures import usable_secrets
from support import builders, laws
from support.builders import SHOP, START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


class Rough(MemoryStore):
    """``loses``: the outcome of a transaction is unknown."""

    loses = False

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.loses:
            raise OutcomeUnknownError("no answer in time")
        super().commit(*writes)


@pytest.fixture
def store() -> Rough:
    """An empty one."""
    return Rough()


@pytest.fixture
def books(clock: Clock, store: Rough) -> Books:
    """Nothing was sold."""
    memory._seen.clear()
    return builders.books_on(store, clock=clock)


def test_two_disputes_of_one_payment_both_count(books: Books, store: Rough) -> None:
    """Each takes its part, and the one that is won gives back its own."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    for name, amount in (("du_1", 500), ("du_2", 499)):
        event = builders.dispute(
            payment, "funds_withdrawn", "needs_response", -amount, dispute_id=name, amount=amount
        )
        settlement.apply(books, fact(event))
    assert debits.read(books, "alice").remaining == 0
    won = builders.dispute(payment, "closed", "won", -499, 499, dispute_id="du_2", amount=499)
    settlement.apply(books, fact(won))
    assert debits.read(books, "alice").remaining == 50
    assert queries.find(books, "alice", payment.payment_id).status == "disputed"
    laws.check(store)


def test_a_purchase_whose_record_may_not_be_written_is_not_sold(books: Books, store: Rough) -> None:
    """Stripe is not asked: the buyer is informed that the outcome is unknown."""
    store.loses = True
    with pytest.raises(OutcomeUnknownError):
        checkout.create(books, None, SHOP, "alice", catalogue()["starter"], key="k")  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_all_expired_holds_count_as_released(
    books: Books, store: Rough, clock: Clock, count: int
) -> None:
    """A page of them, a whole one, and several."""
    for _ in range(3):
        settlement.apply(books, fact(builders.completed(pending(books))))
    for _ in range(count):
        placing.place(Meter(books, ""), "alice", 1, 60)
    placing.place(Meter(books, ""), "alice", 7, 3600)
    clock.advance(seconds=61)
    balance = debits.read(books, "alice")
    assert (balance.held, balance.remaining) == (7, 293)
    laws.check(store)


@pytest.mark.parametrize("intent", [5, True, ["pi_1"], {"id": 5}])
def test_a_payment_intent_that_is_no_text_is_none(books: Books, intent: object) -> None:
    found = parse(builders.completed(pending(books), payment_intent=intent), books.ours)
    assert isinstance(found, SessionFact)
    assert found.payment_intent is None


def test_a_rebuilt_payment_is_found_by_its_session_too(books: Books, store: Rough) -> None:
    """As the page that the buyer comes back to asks for it."""
    stripe, payment = Stripe(), pending(books)
    stripe.sell(payment, epoch(START))
    store.tables["payments"].clear()
    job = Run(books, stripe, repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    run.run(job, epoch(START) - 3600)
    assert queries.find(books, "alice", payment.session_id).status == "completed"
    assert debits.read(books, "alice").remaining == 100


RIGHT = {"balance_count": 1}


@pytest.mark.parametrize(
    ("figures", "rules"),
    [
        ({}, set()),
        ({"booked": 5}, {"the"}),
        ({"total": 5, "booked": 5}, {"remaining + held"}),
        ({"in_holds": 5}, {"held is"}),
        ({"paid_count": 1, "paid": 0}, {"every paid"}),
        ({"intents_count": 1}, {"every payment intent"}),
        ({"paid": 5}, {"paid payments"}),
        ({"clawed_back": 5}, {"payments and ledger agree on what was clawed"}),
        ({"written_off": 5}, {"payments and ledger agree on what was written"}),
        ({"remaining": -5, "debt": -5}, {"remaining is", "debt is"}),
        ({"itemised": 5, "booked": -5}, {"itemised is"}),
        ({"remaining": 5, "debt": 5}, {"there is no debt"}),
        ({"balance_count": 2}, {"an account"}),
        ({"balance_count": 0}, {"an account"}),
    ],
    ids=lambda value: str(sorted(value)),
)
def test_each_rule_is_broken_by_its_own_figures(figures: dict[str, int], rules: set[str]) -> None:
    found = [one.rule for one in Tally(**{**RIGHT, **figures}).differences("alice")]
    assert len(found) == len(rules)
    assert all(any(rule.startswith(start) for start in rules) for rule in found)


def test_of_a_converted_dispute_what_is_back_counts_by_its_share(
    books: Books, store: Rough
) -> None:
    """The account is settled in another currency: a third is back while the dispute goes on, and
    all of it once it is won.
    """
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    for kind, status, *amounts in (
        ("funds_withdrawn", "needs_response", -900),
        ("funds_reinstated", "under_review", -900, 300),
        ("closed", "won", -900, 300, 590),
    ):
        event = builders.dispute(payment, kind, status, *amounts)
        for row in event["data"]["object"]["balance_transactions"]:
            row["currency"] = "eur"
        settlement.apply(books, fact(event))
        taken = {1: 100, 2: 66, 3: 0}[len(amounts)]
        assert debits.read(books, "alice").remaining == 100 - taken
        laws.check(store)


def test_what_is_paid_here_and_not_at_stripe_is_reported(books: Books) -> None:
    """An operator has credited it by hand, or Stripe's object was changed; nothing is taken back
    for it.
    """
    stripe, payment = Stripe(), pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(payment, epoch(START) - 10**7, status="expired", payment_status="unpaid")
    job = Run(books, stripe, repair=False, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    report = run.run(job, epoch(START) - 3600)
    (told,) = report.differences
    assert (str(told.kind), told.stripe_id, told.payment_id) == (
        "missing_there",
        payment.session_id,
        payment.payment_id,
    )
    assert "unpaid at Stripe" in told.detail
    assert debits.read(books, "alice").remaining == 100


@pytest.mark.parametrize("make", ["refunded", "refund", "dispute"])
def test_a_reversal_that_is_delivered_twice_is_a_duplicate(books: Books, make: str) -> None:
    """It was learnt the first time, whether it moved units or not: nothing is written again."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    events = {
        "refunded": builders.refunded(payment, 500),
        "refund": builders.refund(payment, "re_1", 500),
        "dispute": builders.dispute(payment, "created", "needs_response"),
    }
    event = fact(events[make])
    assert settlement.apply(books, event).status in {"settled", "recorded"}
    before = queries.find(books, "alice", payment.payment_id)
    assert settlement.apply(books, replace(event, fact_id="evt_twin")).status == "duplicate"
    assert queries.find(books, "alice", payment.payment_id) == before


def test_owed_and_remaining_units_are_both_reported() -> None:
    """What would be left if one had paid the other."""
    (found,) = [
        one
        for one in Tally(balance_count=1, remaining=5, debt=9, total=-4, booked=-4).differences(
            "alice"
        )
        if "no debt" in one.rule
    ]
    assert (found.expected, found.found) == (0, 5)


def test_the_expiry_of_a_session_that_is_not_the_payments_is_only_noted(books: Books) -> None:
    """It is no second delivery of anything."""
    payment = pending(books)
    other = replace(payment, session_id="cs_other")
    assert settlement.apply(books, fact(builders.expired(other))).status == "recorded"
    assert queries.find(books, "alice", payment.payment_id).status == "pending"


def test_a_converted_dispute_that_is_won_gives_back_with_the_money(
    books: Books, store: Rough
) -> None:
    """Not before: Stripe tells of the verdict first, and of the money later."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    for kind, status, amounts, remaining in (
        ("funds_withdrawn", "needs_response", [-900], 0),
        ("closed", "won", [-900], 0),
        ("funds_reinstated", "won", [-900, 890], 100),
    ):
        event = builders.dispute(payment, kind, status, *amounts)
        for row in event["data"]["object"]["balance_transactions"]:
            row["currency"] = "eur"
        settlement.apply(books, fact(event))
        assert debits.read(books, "alice").remaining == remaining
        laws.check(store)


def test_an_account_of_which_nothing_is_known_balances(store: Rough) -> None:
    tally = settled_tally(store, "nobody")  # type: ignore[arg-type]
    assert tally is not None
    assert list(tally.differences("nobody")) == []


@pytest.mark.parametrize(
    "stored",
    ["[]", "5", "null", '"whsec_1"', "{}", '{"secrets": 5}', '{"secrets": [""]}', "no JSON"],
)
def test_a_stored_secret_of_another_form_is_of_no_use(stored: str) -> None:
    with pytest.raises(ValueError, match="the webhook secret"):
        usable_secrets(stored)


def test_a_purchase_whose_waiting_event_is_gone_is_settled(books: Books, store: Rough) -> None:
    """The record was resolved in the moment before; its word in the reference row was not."""
    payment = pending(books)
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    for key in [key for key in store.tables["events"] if key[0] == "parked"]:
        del store.tables["events"][key]
    assert settlement.apply(books, fact(builders.completed(payment))).status == "settled"
    assert debits.read(books, "alice").remaining == 100
    laws.check(store)
