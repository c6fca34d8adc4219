"""What happens to an open charge when the customer, the seller or the clocks change meanwhile."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing.agreements.card import Card
from billing.agreements.rows import change
from billing.payments import plans
from billing.payments.payment import Payment, Phase
from billing.storage.keys import user_key
from support import builders
from support.fakes.card_twin import LOST_AFTER, LOST_BEFORE
from support.fakes.memory_store import MemoryStore
from support.top_ups import CARD, MAX_PER_MONTH, USER, WHEN_BELOW, Story
from support.top_ups import story as begin

SKEW = 30


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def _beside(story: Story, seconds: int) -> Story:
    """Another container over the same books and the same Stripe, whose clock is off."""
    clock = builders.Clock()
    clock.now = story.books.clock()
    clock.advance(seconds=seconds)
    return Story(replace(story.books, clock=clock), story.stripe)


def _taken_back(kind: str, payment: Payment) -> dict[str, Any]:
    if kind == "dispute":
        event = builders.dispute(payment, "created", "needs_response", -payment.amount_minor)
    else:
        event = builders.refunded(payment, payment.amount_minor)
    event["data"]["object"]["payment_intent"] = payment.payment_intent
    return event


def _pro() -> dict[str, Any]:
    plan = plans.catalogue()["pro"]
    names = ("quota", "amount_minor", "currency")
    return {"plan": plan.id, **{name: getattr(plan, name) for name in names}}


def test_a_request_that_never_arrived_is_not_sent_after_switching_off(story: Story) -> None:
    """Stripe is only asked what became of it, and the charge ends when it can come no more."""
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    story.switch_off()
    for hours in (1, 5, 20):
        story.advance(hours=hours)
        story.run()
    story.advance(hours=2)
    story.run()
    assert (story.stripe.attempts, story.agreement.charge) == ([], None)
    assert story.payments[0].phase is Phase.FAILED


def test_a_charge_whose_answer_was_lost_is_credited_after_switching_off(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe charges, loses the answer, and then answers no question for a while."""
    charge_card = story.stripe.charge_card

    def falls_silent(*asked: Any) -> Mapping[str, Any]:
        try:
            return charge_card(*asked)
        finally:
            story.stripe.is_down = True

    monkeypatch.setattr(story.stripe, "charge_card", falls_silent)
    story.stripe.faults = [LOST_AFTER]
    story.run()
    story.stripe.is_down = False
    assert story.credited == 0
    story.switch_off()
    story.advance(minutes=5)
    story.run()
    assert (story.credited, len(story.stripe.succeeded)) == (1, 1)
    assert story.agreement.charge is None


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_money_that_is_taken_back_stops_a_request_that_never_arrived(
    story: Story, kind: str
) -> None:
    """A charge is open beside the payment that the customer takes back."""
    story.run()
    (first,) = story.payments
    story.spend(story.remaining)
    story.advance(minutes=2)
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    event = _taken_back(kind, first)
    story.settle(event)
    for hours in (1, 25, 25):
        story.advance(hours=hours)
        story.run()
    assert len(story.stripe.succeeded) == 1
    assert (story.agreement.on, story.agreement.charge) == (False, None)


def test_agreeing_again_sends_the_request_under_its_own_key(story: Story) -> None:
    """Switched off, and on again before it is known what became of it: one charge."""
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    story.switch_off()
    story.advance(minutes=5)
    story.run()
    story.agree()
    story.advance(hours=2)
    story.run()
    assert (story.credited, len(story.stripe.succeeded)) == (1, 1)


def test_a_retry_never_charges_terms_that_were_replaced(story: Story) -> None:
    """The customer agrees to another plan while a declined charge waits for its next try."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.agree(**_pro())
    story.advance(hours=2)
    story.run()
    first, second = story.payments
    assert (first.plan, first.phase) == ("starter", Phase.FAILED)
    assert (second.plan, second.phase) == ("pro", Phase.PAID)
    assert story.agreement.used_in(story.month()) == 1


@pytest.mark.parametrize("reason", ["plan_removed", "price_changed"])
def test_a_retry_never_charges_a_price_that_the_catalogue_no_longer_has(
    story: Story, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It switches itself off between two tries as it does before the first one."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    sold = dict(plans.catalogue())
    plan = sold.pop("starter")
    if reason == "price_changed":
        sold["starter"] = replace(plan, quota=plan.quota - 1)
    monkeypatch.setattr(plans, "catalogue", lambda: sold)
    story.advance(hours=2)
    story.run()
    assert (story.agreement.on, story.agreement.paused) == (False, reason)
    assert (len(story.stripe.attempts), story.agreement.charge) == (1, None)
    assert story.payments[0].phase is Phase.FAILED


def test_units_that_expire_are_bought_as_such(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a checkout: the payment freezes how long they live, and their lot has an end."""
    plan = replace(plans.catalogue()["starter"], expires_after_days=30)
    monkeypatch.setattr(plans, "catalogue", lambda: {"starter": plan})
    story.agree(expires_after_days=30)
    story.run()
    (payment,) = story.payments
    assert (payment.phase, payment.expires_after_days) == (Phase.PAID, 30)
    story.advance(days=31)
    assert story.remaining == 0


def test_a_card_that_was_replaced_pays_the_next_try(story: Story) -> None:
    """One payment intent, and the card that was agreed to last."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    other = {"id": "pm_2", "card": {"fingerprint": "other"}}
    story.stripe.customers["cus_1"] = [other]
    story.agree(card=replace(CARD, id="pm_2", print="other"))
    story.advance(hours=2)
    story.run()
    assert (story.credited, len(story.payments)) == (1, 1)
    assert story.agreement.charge is None


@pytest.mark.parametrize("seconds", [-SKEW, SKEW])
def test_clocks_apart_charge_once_and_keep_the_pause_between_packs(
    story: Story, seconds: int
) -> None:
    other = _beside(story, seconds)
    story.stripe.faults = [LOST_AFTER, LOST_BEFORE]
    for _ in range(4):
        story.run_only()
        other.run_only()
        story.advance(seconds=20)
        other.advance(seconds=20)
    story.check()
    assert (story.credited, len(story.stripe.succeeded)) == (1, 1)


@pytest.mark.parametrize("seconds", [-SKEW, SKEW])
def test_a_slower_clock_gives_no_charge_more_at_the_months_end(story: Story, seconds: int) -> None:
    """One container is in February already and has used it up; the other is still in January."""
    story.agree(month="2026-02", used=MAX_PER_MONTH)
    clock: Any = story.books.clock
    clock.now = clock().replace(month=1, day=31, hour=23, minute=59, second=50)
    other = _beside(story, seconds)
    for one in (other, story):
        one.run_only()
    assert story.payments == []
    assert story.agreement.used_in("2026-02") == MAX_PER_MONTH


def test_a_charge_that_fails_by_a_slower_clock_is_given_back_to_its_own_month(
    story: Story,
) -> None:
    """Opened in February, and ended without a card by a container in which it is still January."""
    clock: Any = story.books.clock
    clock.now = clock().replace(month=2, day=1, hour=0, minute=0, second=1)
    story.stripe.faults = [LOST_BEFORE]
    story.run_only()
    assert story.agreement.used_in("2026-02") == 1
    other = _beside(story, -SKEW)
    assert other.month() == "2026-01"
    story.agree(card=Card())
    before = story.agreement
    assert before.charge is not None
    charge = replace(before.charge, state="waiting", due=0)
    story.books.store.commit(change(before, replace(before, charge=charge)))
    other.run_only()
    assert story.agreement.charge is None
    assert story.agreement.used_in("2026-02") == 0


def test_what_a_decline_gives_back_can_be_used_and_no_more_is_charged(story: Story) -> None:
    """At the limit of three: one decline, three charges, and then none this month."""
    story.stripe.script = ["lost_card"]
    story.run()
    story.agree()
    for _ in range(MAX_PER_MONTH + 2):
        story.run()
        story.spend(story.remaining)
        story.advance(minutes=2)
    assert len(story.stripe.succeeded) == MAX_PER_MONTH
    assert story.agreement.used_in(story.month()) == MAX_PER_MONTH


def test_a_sweep_and_two_containers_that_all_hear_nothing_charge_once(story: Story) -> None:
    """Each is followed by the event of the charge, twice."""
    containers = [story, _beside(story, SKEW), _beside(story, -SKEW)]
    story.stripe.faults = [LOST_AFTER, LOST_BEFORE, LOST_AFTER]
    for container in containers:
        container.run_only()
        for event in [*story.stripe.events]:
            container.settle(event)
            container.settle(event)
    story.check()
    assert (len(story.stripe.succeeded), story.credited) == (1, 1)
    assert story.remaining >= WHEN_BELOW


def test_an_account_whose_agreement_was_lost_by_a_restore_is_off(story: Story) -> None:
    """No consent, no charge: what is gone from the books has to be agreed to again."""
    store: Any = story.books.store
    del store.tables["quotas"][USER, "top_up"]
    story.run()
    assert (story.agreement.on, story.stripe.attempts) == (False, [])
    assert (user_key(USER), "customer") not in store.tables["payments"]
