"""Automatic charges from the crossing to the credit, with a Stripe that declines, hangs, charges
and loses the answer.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from billing.errors import NotDoneError
from billing.payments import plans
from billing.payments.payment import Phase
from billing.settings import Telling
from billing.storage.keys import user_key
from support import builders
from support.fakes.card_twin import BROKEN_AFTER, BROKEN_BEFORE, FAULTS, LOST_AFTER, LOST_BEFORE
from support.fakes.memory_store import MemoryStore, copy_of
from support.top_ups import CARD, MAX_PER_MONTH, USER, Story
from support.top_ups import story as begin

HOUR = 3600
UNITS = 100


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def test_an_account_below_its_threshold_is_charged_once_and_credited(story: Story) -> None:
    story.run()
    assert (story.credited, story.remaining) == (1, UNITS)
    assert len(story.stripe.succeeded) == 1
    assert story.agreement.charge is None
    assert story.agreement.used_in(story.month()) == 1
    for _ in range(3):
        story.advance(minutes=5)
        story.run()
    assert len(story.stripe.succeeded) == 1


def test_an_account_at_its_threshold_is_not_charged(story: Story) -> None:
    story.units(50)
    story.run()
    assert not story.stripe.attempts
    assert story.agreement.due == 0


def test_the_row_stands_before_stripe_is_asked(story: Story) -> None:
    """Also where nothing comes back: no charge without a row."""
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    (payment,) = story.payments
    assert payment.status == "pending"
    assert story.agreement.charge is not None


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unknown_outcome_is_asked_for_under_the_same_key_and_never_charged_twice(
    story: Story, fault: str
) -> None:
    story.stripe.faults = [fault]
    story.run()
    story.advance(hours=22)
    story.run()
    story.advance(hours=2)
    story.run()
    story.advance(hours=2)
    story.run()
    assert len(story.stripe.succeeded) == 1
    assert story.credited == 1


@pytest.mark.parametrize("fault", [LOST_AFTER, BROKEN_AFTER])
def test_a_charge_whose_answer_was_lost_is_found_at_once(story: Story, fault: str) -> None:
    """Stripe is asked for the customer's charges, before anything else is tried."""
    story.stripe.faults = [fault]
    story.run()
    assert (story.credited, len(story.stripe.attempts)) == (1, 1)


def test_a_request_that_never_came_through_is_the_first_one_still(story: Story) -> None:
    story.stripe.faults = [LOST_BEFORE, LOST_BEFORE]
    for _ in range(3):
        story.run()
        story.advance(minutes=5)
    assert [key[-2:] for key in story.stripe.keys] == ["-0"]
    assert story.credited == 1


def test_a_broken_answer_is_not_asked_for_under_a_new_key_within_its_day(story: Story) -> None:
    """Stripe keeps its 500 under the key, and the charge may exist where no list shows it."""
    story.stripe.faults = [BROKEN_BEFORE]
    for _ in range(22):
        story.run()
        story.advance(hours=1)
    assert list(story.stripe.keys) == [f"{story.payments[0].payment_id}-0"]
    for _ in range(4):
        story.run()
        story.advance(hours=1)
    assert story.credited == 1


@pytest.mark.parametrize("word", ["insufficient_funds", "generic_decline"])
def test_a_soft_decline_is_tried_again_after_1_6_and_24_hours_and_then_paused(
    story: Story, word: str
) -> None:
    story.stripe.script = [word] * 9
    for _ in range(60):
        story.run()
        story.advance(minutes=30)
    times = [at.timestamp() for _, at in story.stripe.attempts]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 3
    assert [round(pause / HOUR) for pause in pauses] == [1, 6]
    for _ in range(120):
        story.run()
        story.advance(hours=1)
    assert len(story.stripe.attempts) == 4
    assert story.agreement.paused == "declined_too_often"
    (payment,) = story.payments
    assert (payment.status, payment.failure_code) == ("failed", word)
    assert len({intent for intent, _ in story.stripe.attempts}) == 1


def test_a_second_attempt_whose_answer_was_lost_is_not_judged_by_the_first_ones_decline(
    story: Story,
) -> None:
    """The intent shows the decline of an hour ago until the new attempt has ended."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.advance(hours=2)
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    assert story.agreement.charge is not None
    assert (story.agreement.charge.attempt, story.agreement.charge.state) == (1, "asked")
    story.advance(minutes=5)
    story.run()
    assert story.credited == 1


def test_a_card_that_pays_at_the_second_try_is_credited_once(story: Story) -> None:
    story.stripe.script = ["insufficient_funds"]
    story.run()
    assert story.payments[0].status == "failed"
    story.advance(hours=2)
    story.run()
    assert (story.credited, story.remaining, story.agreement.paused) == (1, UNITS, "")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("lost_card", "card_declined"),
        ("expired_card", "card_declined"),
        ("never_again", "card_declined"),
        ("authentication_required", "authentication_required"),
        ("requires_action", "authentication_required"),
    ],
)
def test_what_will_not_pay_is_paused_at_once(story: Story, word: str, reason: str) -> None:
    """Authentication is no success: nothing was charged, nothing is credited."""
    story.stripe.script = [word]
    story.run()
    assert story.agreement.paused == reason
    assert (story.credited, story.remaining) == (0, 0)
    story.advance(hours=30)
    story.run()
    assert len(story.stripe.attempts) == 1
    assert story.payments[0].status == "failed"


def test_agreeing_again_ends_a_pause_and_keeps_the_months_count(story: Story) -> None:
    story.run()
    story.spend(UNITS)
    story.stripe.script = ["lost_card"]
    story.advance(minutes=2)
    story.run()
    assert story.agreement.paused
    story.agree()
    story.run()
    assert (story.credited, story.agreement.used_in(story.month())) == (2, 2)


def test_money_under_way_is_credited_when_it_has_come(story: Story) -> None:
    """And asked for, where the event was lost."""
    story.stripe.script = ["processing"]
    story.run()
    assert (story.credited, story.payments[0].status) == (0, "processing")
    story.stripe.end(story.payments[0].payment_id, "succeeded")
    story.advance(hours=2)
    story.run()
    assert (story.credited, len(story.stripe.attempts)) == (1, 1)


def test_money_under_way_that_fails_is_tried_again(story: Story) -> None:
    story.stripe.script = ["processing"]
    story.run()
    story.stripe.end(story.payments[0].payment_id, "insufficient_funds")
    story.advance(hours=1)
    story.run()
    story.advance(hours=1, minutes=1)
    story.run()
    assert (story.credited, len(story.stripe.attempts)) == (1, 2)


def test_the_event_alone_credits_a_charge_whose_container_died(story: Story) -> None:
    story.stripe.faults = [LOST_AFTER]
    story.stripe.is_down = False
    story.run()
    story.deliver()
    assert story.credited == 1
    story.run()
    assert story.agreement.charge is None


def test_reconciliation_credits_a_charge_of_which_nothing_was_heard(story: Story) -> None:
    story.stripe.faults = [LOST_AFTER]
    story.run()
    story.reconcile()
    assert story.credited == 1
    story.run()
    assert story.agreement.charge is None


def test_a_pack_smaller_than_the_backlog_is_followed_by_another_within_the_limit(
    story: Story,
) -> None:
    """A minute later, and in the next month again."""
    for _ in range(6):
        story.run()
        story.spend(story.remaining)
        story.advance(seconds=61)
    assert story.credited == MAX_PER_MONTH
    story.advance(days=31)
    story.run()
    assert story.credited == MAX_PER_MONTH + 1


def test_two_packs_are_a_minute_apart(story: Story) -> None:
    story.run()
    story.spend(UNITS)
    story.run()
    assert story.credited == 1
    story.advance(seconds=61)
    story.run()
    assert story.credited == 2


def test_a_charge_opened_in_the_last_minute_of_a_month_counts_there(story: Story) -> None:
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    assert story.agreement.month == "2026-01"
    story.advance(days=30)
    story.run()
    assert story.agreement.used_in("2026-02") == 0


def test_a_failed_charge_is_given_back_to_the_month(story: Story) -> None:
    story.stripe.script = ["lost_card"]
    story.run()
    assert story.agreement.used_in(story.month()) == 0


@pytest.mark.parametrize("reason", ["plan_removed", "price_changed"])
def test_another_price_switches_off_before_anything_is_charged(
    story: Story, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = dict(plans.catalogue())
    plan = sold.pop("starter")
    if reason == "price_changed":
        sold["starter"] = replace(plan, amount_minor=plan.amount_minor + 1)
    monkeypatch.setattr(plans, "catalogue", lambda: sold)
    story.run()
    assert (story.agreement.on, story.agreement.paused) == (False, reason)
    assert not story.stripe.attempts


def test_a_card_that_was_detached_pauses(story: Story) -> None:
    story.stripe.customers["cus_1"] = []
    story.run()
    assert story.agreement.paused == "card_gone"
    assert story.payments[0].status == "failed"


def test_a_customer_that_was_deleted_pauses(story: Story) -> None:
    story.stripe.customers = {}
    story.run()
    assert story.agreement.paused == "card_gone"


def test_a_key_of_the_other_mode_charges_and_pauses_nothing(story: Story) -> None:
    """Every object would be missing: that is the operator's fault, not the customer's."""
    story.stripe.key_name = "sk_live_1"
    story.run()
    assert (story.agreement.paused, story.stripe.attempts) == ("", [])
    story.stripe.key_name = "sk_test_1"
    story.advance(minutes=5)
    story.run()
    assert story.credited == 1


def test_an_account_in_debt_is_charged_until_it_is_out_of_it(story: Story) -> None:
    bought = builders.pending(story.books, USER)
    story.settle(builders.completed(bought))
    story.spend(UNITS)
    story.settle(builders.refunded(bought, bought.amount_minor))
    story.run()
    assert (story.credited, story.remaining) == (1, 0)
    story.advance(seconds=61)
    story.run()
    assert (story.credited, story.remaining) == (2, UNITS)


def _reversal(story: Story, kind: str, amount: int) -> dict[str, Any]:
    """An event about the only automatic payment, found by its intent."""
    (payment,) = story.payments
    if kind == "refund":
        event = builders.refunded(payment, amount)
    else:
        event = builders.dispute(payment, "created", "needs_response", -amount)
    event["data"]["object"]["payment_intent"] = payment.payment_intent
    return event


@pytest.mark.parametrize(("kind", "reason"), [("refund", "refunded"), ("dispute", "disputed")])
def test_money_that_is_taken_back_switches_off(story: Story, kind: str, reason: str) -> None:
    """Once: the customer may agree again, and later events of the same dispute change nothing."""
    story.run()
    assert story.settle(_reversal(story, kind, 999)) == "settled"
    assert (story.agreement.on, story.agreement.paused) == (False, reason)
    story.advance(minutes=5)
    story.run()
    assert len(story.stripe.succeeded) == 1
    story.agree()
    story.settle(_reversal(story, "refund", 999))
    assert story.agreement.on


def test_a_partial_refund_switches_nothing_off(story: Story) -> None:
    story.run()
    story.settle(_reversal(story, "refund", 500))
    assert story.agreement.charges


def test_a_checkouts_refund_switches_nothing_off(story: Story) -> None:
    bought = builders.pending(story.books, USER)
    story.settle(builders.completed(bought))
    story.settle(builders.refunded(bought, bought.amount_minor))
    assert story.agreement.charges


def test_switched_off_before_stripe_was_asked_charges_nothing(story: Story) -> None:
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.switch_off()
    story.advance(hours=2)
    story.run()
    assert len(story.stripe.attempts) == 1
    assert story.agreement.charge is None
    assert story.payments[0].phase is Phase.FAILED


def test_units_that_came_in_meanwhile_make_the_charge_needless(story: Story) -> None:
    """The customer has bought by checkout: the second try is not made."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.units(90)
    story.advance(hours=2)
    story.run()
    assert len(story.stripe.attempts) == 1
    assert (story.agreement.charge, story.agreement.paused) == (None, "")


def test_a_lost_record_is_not_charged(story: Story) -> None:
    """A restore took the payment's row: no charge without a row."""
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    store: Any = story.books.store
    del store.tables["payments"][user_key(USER), story.payments[0].payment_id]
    story.advance(minutes=5)
    story.run()
    assert not story.stripe.attempts
    assert story.agreement.paused == "record_lost"


@pytest.mark.parametrize("fault", ["", LOST_AFTER])
def test_a_charge_that_a_restore_has_lost_is_credited_instead_of_charging_again(
    story: Story, fault: str
) -> None:
    """All tables are as they were before it was opened, and Stripe has the money."""
    store: Any = story.books.store
    before = copy_of(store.tables)
    story.stripe.faults = [fault]
    story.run()
    store.tables = before
    story.run()
    assert len(story.stripe.succeeded) == 1
    assert (story.credited, story.remaining, story.agreement.charge) == (1, UNITS, None)


def test_a_lost_charge_whose_money_is_under_way_is_waited_for(story: Story) -> None:
    store: Any = story.books.store
    before = copy_of(store.tables)
    story.stripe.script = ["processing"]
    story.run()
    lost = story.payments[0].payment_id
    store.tables = before
    with pytest.raises(NotDoneError):
        story.run()
    assert len(story.stripe.attempts) == 1
    story.stripe.end(lost, "succeeded")
    story.run()
    assert (story.credited, len(story.stripe.succeeded)) == (1, 1)


def test_a_card_is_tried_fifteen_times_in_thirty_days_at_most(story: Story) -> None:
    """However often the customer agrees again, and however often the card is saved again."""
    story.stripe.script = ["insufficient_funds"] * 99
    for number in range(8):
        story.stripe.customers["cus_1"] = [{"id": f"pm_{number}", "card": {}}]
        story.agree(card=replace(CARD, id=f"pm_{number}"))
        for _ in range(35):
            story.run()
            story.advance(hours=1)
    assert len(story.stripe.attempts) == 15
    assert story.agreement.paused == "too_many_attempts"
    story.advance(days=31)
    story.agree()
    story.stripe.customers["cus_1"] = [{"id": "pm_1", "card": {}}]
    story.run()
    assert len(story.stripe.attempts) == 16


def _told(story: Story) -> list[tuple[str, Any]]:
    rows = story.books.store.pages("notices", USER)
    about = [row for row in rows if row["type"].startswith("top_up")]
    return [(row["type"], row["data"]["reason"]) for row in about]


def test_the_customer_hears_of_the_first_decline_and_of_the_end() -> None:
    """Each once, in the transaction that does what it tells."""
    story = begin(MemoryStore(), telling=Telling(is_on=True))
    story.stripe.script = ["insufficient_funds"] * 9
    for _ in range(40):
        story.run()
        story.advance(hours=1)
    assert _told(story) == [("top_up.failed", None), ("top_up.off", "declined_too_often")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("lost_card", "card_declined"), ("authentication_required", "authentication_required")],
)
def test_a_decline_that_ends_it_tells_both_at_once(word: str, reason: str) -> None:
    story = begin(MemoryStore(), telling=Telling(is_on=True))
    story.stripe.script = [word]
    story.run()
    assert _told(story) == [("top_up.failed", reason), ("top_up.off", reason)]


def test_a_dispute_tells_that_it_is_off_and_the_customers_own_word_does_not() -> None:
    story = begin(MemoryStore(), telling=Telling(is_on=True))
    story.run()
    story.settle(_reversal(story, "dispute", 999))
    assert _told(story) == [("top_up.off", "disputed")]
    story.agree()
    story.switch_off()
    story.advance(minutes=5)
    story.run()
    assert _told(story) == [("top_up.off", "disputed")]


def test_what_stripe_refuses_as_such_is_paused_and_reported(story: Story) -> None:
    story.stripe.script = ["canceled"]
    story.run()
    assert story.agreement.paused == "refused"
    assert story.payments[0].status == "failed"
