"""What waits for a purchase that an operator has dropped goes with it, and comes back should that
be credited after all.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.clock import epoch
from billing.errors import OutcomeUnknownError, RetryableError
from billing.facts import RefundsFact
from billing.parked import dropping, records
from billing.payments.payment import Payment
from billing.reconciliation import retry_parked, run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.keys import REFERENCE, reference_key, user_key
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

KINDS: Final = ("mismatch", "paid_twice", "other_session", "unknown_payment")


class Meddled(MemoryStore):
    """Before the transaction that is due, something else happens."""

    strikes_in = -1

    def commit(self, *writes: Write) -> None:
        """As the twin does, until then."""
        self.strikes_in -= 1
        if self.strikes_in == -1:
            self.first()
        super().commit(*writes)

    def first(self) -> None:
        """The process dies."""
        raise OutcomeUnknownError("injected")


class Shop:
    """One purchase of 100 units whose session is parked for the reason that ``kind`` says, and its
    refunds.
    """

    def __init__(self, kind: str, policy: str = "debt") -> None:
        """Paid a moment ago."""
        self.kind, self.clock, self.store, self.stripe = kind, Clock(), Meddled(), Stripe()
        self.books: Books = builders.books_on(self.store, policy, self.clock)
        self.payment = pending(self.books)
        self.wrong: dict[str, Any] = {"amount_subtotal": 500} if kind == "mismatch" else {}
        self.session = self.payment
        if kind in ("paid_twice", "other_session"):
            self.session = replace(self.payment, session_id="cs_test_copy")
        if kind == "paid_twice":
            self.tell(builders.completed(self.payment, payment_intent="pi_first"))
        if kind == "unknown_payment":
            self.store.tables["payments"].clear()
        self.stripe.sell(self.session, epoch(self.clock()), **self.wrong)
        assert self.tell(builders.completed(self.session, **self.wrong)) == "parked"

    def tell(self, event: dict[str, Any]) -> str:
        """Through the webhook's own path."""
        return settlement.apply(self.books, fact(event)).status

    def drop(self) -> None:
        """As an operator does with what cannot be settled, after a refund at Stripe."""
        (record,) = (
            record for record in records.all_parked(self.books) if record.kind == self.kind
        )
        dropping.drop(self.books, record, "refunded by hand")

    def recover(self) -> retry_parked.Recovered:
        """As the schedule does, when everything is due."""
        self.clock.advance(hours=7)
        return retry_parked.run(self.books, self.stripe)  # type: ignore[arg-type]

    def is_credited_after_all(self) -> None:
        """What the session was dropped for is over; Stripe is asked for it, by reconciliation."""
        if self.kind == "mismatch":
            self.stripe.sold[0]["amount_subtotal"] = 999
        if self.kind == "other_session":
            self.tell(builders.expired(self.payment))
        run.run(Run(self.books, self.stripe, repair=True), 0)  # type: ignore[arg-type]

    def dropped(self) -> dict[str, str]:
        """Reasons by the fact's id."""
        return {row["fact_id"]: row["reason"] for row in records.all_dropped(self.books)}

    def waiting(self) -> list[str]:
        """What is parked."""
        return [record.fact.fact_id for record in records.all_parked(self.books)]

    def units(self) -> int:
        """What remains; the laws are held on the way."""
        laws.check(self.store)
        return debits.read(self.books, "alice").remaining


def _half(payment: Payment) -> dict[str, Any]:
    return builders.refunded(payment, 500)


def _disputed(payment: Payment) -> dict[str, Any]:
    return builders.dispute(payment, "funds_withdrawn", "needs_response", -500, amount=500)


@pytest.mark.parametrize(
    "make", [_half, _disputed, lambda payment: builders.refund(payment, "re_1", 500)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_refund_of_a_dropped_purchase_goes_with_it(
    kind: str, make: Callable[[Payment], dict[str, Any]]
) -> None:
    """Reported before the drop or after it: an operator need not drop it too, it is not asked for
    again, and the reason is kept.
    """
    shop = Shop(kind)
    before = shop.units()
    early, late = make(shop.session), make(shop.session)
    assert shop.tell(early) == "parked"
    assert shop.recover().waiting == 2
    shop.drop()
    assert shop.tell(late) == "parked"
    assert (shop.recover().waiting, shop.waiting(), shop.units()) == (0, [], before)
    reason = f"{shop.session.session_id}, whose money it gives back, was dropped"
    assert [shop.dropped()[event["id"]] for event in (early, late)] == [reason, reason]
    for again in (early, late):
        assert shop.tell(again) == "parked"
    assert shop.waiting() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_refund_waits_until_an_operator_has_decided(kind: str) -> None:
    """The session waits for an operator, or for its record: it may be credited yet."""
    shop = Shop(kind)
    event = _half(shop.session)
    shop.tell(event)
    for _ in range(5):
        shop.recover()
    assert event["id"] in shop.waiting()
    assert shop.dropped() == {}


@pytest.mark.parametrize("kind", ["mismatch", "other_session", "unknown_payment"])
def test_what_went_with_a_purchase_counts_when_that_is_credited_after_all(kind: str) -> None:
    """By reconciliation, which asks Stripe: more of them than are settled with a purchase at once,
    and no longer among the dropped.
    """
    shop = Shop(kind)
    events = [
        builders.refunded(shop.session, 10 * number + 10)
        for number in range(settlement.WAITING_AT_ONCE_MAX + 5)
    ]
    for event in events:
        shop.tell(event)
    shop.drop()
    shop.recover()
    assert events[-1]["id"] in shop.dropped()
    shop.is_credited_after_all()
    shop.recover()
    assert (shop.units(), shop.waiting()) == (100 - 100 * 250 // 999, [])
    assert not {event["id"] for event in events} & set(shop.dropped())


def test_a_refund_that_is_known_by_its_charge_alone_goes_and_comes_back_too() -> None:
    """Stripe names the payment intent of the charge."""
    shop = Shop("mismatch")
    event = _disputed(shop.session)
    event["data"]["object"]["payment_intent"] = None
    shop.tell(event)
    shop.drop()
    shop.recover()
    assert event["id"] in shop.dropped()
    shop.is_credited_after_all()
    assert (shop.units(), shop.waiting()) == (50, [])


@pytest.mark.parametrize("transaction", range(8))
def test_wherever_a_late_credit_dies_no_refund_is_lost(transaction: int) -> None:
    """Neither forgotten among the dropped with the units credited, nor taken twice."""
    shop = Shop("mismatch")
    events = [_half(shop.session), _disputed(shop.session)]
    for event in events:
        shop.tell(event)
    shop.drop()
    shop.recover()
    told = builders.completed(shop.session)
    shop.store.strikes_in = transaction
    with suppress(RetryableError):
        shop.tell(told)
    shop.store.strikes_in = -1
    if _is_credited(shop):
        assert not {event["id"] for event in events} & set(shop.dropped())
    shop.tell(told)
    shop.recover()
    assert (shop.units(), shop.waiting()) == (0, [])


def test_a_repeated_session_event_restores_nothing() -> None:
    """It still cannot be credited: what went with it stays where it is."""
    shop = Shop("mismatch")
    event = _half(shop.session)
    shop.tell(event)
    shop.drop()
    shop.recover()
    assert shop.tell(builders.completed(shop.session, **shop.wrong)) == "parked"
    assert (shop.waiting(), event["id"] in shop.dropped()) == ([], True)


def test_a_purchase_that_is_credited_at_that_moment_keeps_its_refund() -> None:
    """Recovery has seen the session as dropped, and is overtaken; what waited for the purchase is
    not settled yet.
    """
    shop = Shop("mismatch")
    event = _half(shop.session)
    shop.tell(event)
    shop.drop()
    (record,) = records.all_parked(shop.books)
    # the first is refused: an event waits; the second is the purchase, the third the refund
    shop.store.strikes_in = 2
    assert shop.tell(builders.completed(shop.session)) == "settled"
    assert shop.units() == 100
    assert not dropping.drop_with_purchase(
        shop.books, record, shop.session.session_id, builders.intent_of(shop.session)
    )
    shop.recover()
    assert (shop.units(), shop.dropped().keys() & {event["id"]}) == (50, set())


def test_a_refund_that_goes_once_more_before_the_credit_comes_back_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was brought back for the credit; recovery, to which the session is dropped still, is
    quicker than that.
    """
    shop = Shop("mismatch")
    event = _half(shop.session)
    shop.tell(event)
    shop.drop()
    shop.recover()
    went: list[bool] = []
    monkeypatch.setattr(
        shop.store,
        "first",
        lambda: went.append(shop.recover().settled == 1 and event["id"] in shop.dropped()),
    )
    shop.store.strikes_in = (
        2  # the first is refused, the second brings it back, the third is the purchase
    )
    assert shop.tell(builders.completed(shop.session)) == "settled"
    assert (went, shop.units(), shop.waiting(), event["id"] in shop.dropped()) == (
        [True],
        50,
        [],
        False,
    )


def test_a_restore_that_forgot_what_was_dropped_keeps_no_purchase_from_being_credited() -> None:
    """Put back to before: the refund is parked there still."""
    shop = Shop("mismatch")
    shop.tell(_half(shop.session))
    shop.drop()
    before = {key: dict(row) for key, row in shop.store.tables["events"].items()}
    shop.recover()
    shop.store.tables["events"] = before
    assert shop.tell(builders.completed(shop.session)) == "settled"
    shop.recover()
    assert (shop.units(), shop.waiting()) == (50, [])


def test_an_event_without_any_reference_is_dropped_and_stripe_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parked before such events were ignored: no intent and no charge lead to no payment."""
    shop, asked = Shop("mismatch"), list[str]()

    def charge(charge_id: str) -> dict[str, Any]:
        asked.append(charge_id)
        return {}

    monkeypatch.setattr(shop.stripe, "charge", charge)
    shop.drop()
    told = fact(_half(shop.session))
    assert isinstance(told, RefundsFact)
    nobodys = replace(told, payment_intent=None, charge=None)
    assert settlement.apply(shop.books, nobodys).status == "parked"
    shop.recover()
    assert (shop.waiting(), asked) == ([], [])


def _is_credited(shop: Shop) -> bool:
    row = shop.store.tables["payments"].get(
        (reference_key(builders.intent_of(shop.session)), REFERENCE), {}
    )
    paid = Payment.from_item(
        shop.store.tables["payments"][user_key("alice"), shop.payment.payment_id]
    ).status not in ("pending", "failed")
    assert paid == ("payment_id" in row)
    return paid


def test_all_that_was_dropped_with_a_purchase_is_brought_back_at_once() -> None:
    """One after the other, each on condition of what is left by then."""
    shop = Shop("mismatch")
    events = [builders.refund(shop.session, f"re_{number}", 100) for number in range(3)]
    for event in events:
        shop.tell(event)
    shop.drop()
    shop.recover()
    names = {event["id"] for event in events}
    assert shop.waiting() == []
    intent = builders.intent_of(shop.session)
    dropping.bring_back(shop.books, intent, frozenset(names))
    assert set(shop.waiting()) == names
    assert not names & shop.dropped().keys()
