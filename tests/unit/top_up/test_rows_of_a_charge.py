"""Every row that an automatic charge writes, whole, from the agreement to the credit."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from billing.agreements import rows
from billing.payments.plans import catalogue
from billing.storage.keys import user_key
from billing.storage.writes import Table, Write
from billing.top_up.opening import opening
from support.fakes.card_twin import LOST_BEFORE
from support.fakes.memory_store import MemoryStore
from support.top_ups import USER, Story
from support.top_ups import story as begin

START: Final = 1_767_323_045
"""2026-01-02T03:04:05Z."""
HOUR: Final = 3600
AGREED: Final[dict[str, Any]] = {
    "user_id": "alice",
    "item": "top_up",
    "on": True,
    "plan": "starter",
    "quota": 100,
    "amount_minor": 999,
    "currency": "usd",
    "when_below": 50,
    "max_per_month": 3,
    "agreed_at": "2026-01-02T03:04:05.000001Z",
    "customer": "cus_1",
    "card": {
        "id": "pm_1",
        "brand": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2034,
        "print": "print",
    },
}
OPENED: Final[dict[str, Any]] = {
    "owner": "user#alice",
    "user_id": "alice",
    "plan": "starter",
    "quota": 100,
    "amount_minor": 999,
    "currency": "usd",
    "attempt": 0,
    "phase": 0,
    "status": "pending",
    "paid_minor": 0,
    "declined_at": 0,
    "units_clawed_back": 0,
    "units_written_off": 0,
    "units_expired": 0,
    "expires_after_days": 0,
    "lot_expires_at": 0,
    "away_since": 0,
    "movements": 0,
    "reversals": {"failed": {}, "disputes": {}, "refunded_high_minor": 0, "standing": {}},
    "version": 0,
}


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def _row(story: Story, table: Table, name: str) -> dict[str, Any]:
    owner = USER if table == "quotas" else user_key(USER)
    return story.books.store.get(table, (owner, name)) or {}


def _agreement(story: Story) -> dict[str, Any]:
    return _row(story, "quotas", "top_up")


def _due(moment: int) -> dict[str, Any]:
    """In the index of what is due at this second."""
    return {"open": "top_up", "expires_at": moment}


def _charge(payment_id: str, **members: Any) -> dict[str, Any]:
    charge = {
        "payment_id": payment_id,
        "state": "waiting",
        "attempt": 0,
        "asked_at": 0,
        "due": 0,
        "intent": "",
        "card": "",
        "customer": "",
    }
    return {"charge": charge | members, "charge_id": payment_id}


def _opened(story: Story) -> tuple[str, dict[str, Any]]:
    """The only automatic payment: its id, and its row without the members that name it."""
    (payment,) = story.payments
    row = _row(story, "payments", payment.payment_id)
    assert row.pop("id") == row.pop("payment_id") == payment.payment_id
    assert row.pop("created_at")[:20] == "2026-01-02T03:04:05."
    return payment.payment_id, row


def _while_asking(story: Story) -> dict[str, Any]:
    """Run, and return the agreement's row as it is while Stripe is being asked."""
    seen: dict[str, Any] = {}
    charge_card = story.stripe.charge_card

    def asked(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        seen.update(_agreement(story))
        return charge_card(params, key)

    story.stripe.charge_card = asked  # type: ignore[assignment,method-assign]
    story.run()
    return seen


def test_what_was_agreed_to_is_one_row_that_is_due(story: Story) -> None:
    assert _agreement(story) == {**AGREED, **_due(START), "version": 1}


def test_while_stripe_is_asked_the_rows_say_what_for_and_when_to_look_again(story: Story) -> None:
    """A minute later: this container may die."""
    seen = _while_asking(story)
    payment_id, _ = _opened(story)
    asked = {"state": "asked", "asked_at": START, "card": "pm_1", "customer": "cus_1"}
    assert seen == {
        **AGREED,
        **_charge(payment_id, **asked, due=START + 60),
        **_due(START + 60),
        "month": "2026-01",
        "used": 1,
        "tries": {"print": [START]},
        "version": 3,
    }


def test_a_charge_whose_outcome_is_unknown_leaves_its_payment_as_it_was_opened(
    story: Story,
) -> None:
    story.stripe.faults = [LOST_BEFORE]
    story.run()
    assert _opened(story)[1] == OPENED


def test_asked_again_only_the_time_to_look_changes(story: Story) -> None:
    """After ten minutes, ten minutes more."""
    story.stripe.faults = [LOST_BEFORE, LOST_BEFORE]
    story.run()
    before = _agreement(story)
    story.advance(minutes=10)
    story.run()
    charge = {**before["charge"], "due": START + 1200}
    assert _agreement(story) == {**before, **_due(START + 1200), "charge": charge, "version": 4}


def test_a_success_closes_the_charge_and_looks_again_a_minute_later(story: Story) -> None:
    """The month's count and the card's tries stay."""
    story.run()
    assert _agreement(story) == {
        **AGREED,
        **_due(START + 60),
        "month": "2026-01",
        "used": 1,
        "tries": {"print": [START]},
        "version": 4,
    }
    _, payment = _opened(story)
    assert payment.pop("completed_at")[:20] == "2026-01-02T03:04:05."
    assert payment == {
        **OPENED,
        "phase": 5,
        "status": "completed",
        "paid_minor": 999,
        "payment_intent": "pi_1",
        "unseen": "unseen",
        "version": 1,
    }


def test_a_soft_decline_keeps_the_intent_and_waits_for_an_hour(story: Story) -> None:
    story.stripe.script = ["insufficient_funds"]
    story.run()
    payment_id, payment = _opened(story)
    assert _agreement(story) == {
        **AGREED,
        **_charge(payment_id, attempt=1, intent="pi_1", due=START + HOUR),
        **_due(START + HOUR),
        "month": "2026-01",
        "used": 1,
        "tries": {"print": [START]},
        "version": 4,
    }
    assert payment == {
        **OPENED,
        "phase": 1,
        "status": "failed",
        "failure_code": "insufficient_funds",
        "declined_at": START,
        "version": 1,
    }


def test_a_second_try_counts_for_the_card_beside_the_first(story: Story) -> None:
    """And for no other card."""
    other = {"pm_0": (START - HOUR,)}
    story.agree(tries=other)
    story.stripe.script = ["insufficient_funds", "insufficient_funds"]
    story.run()
    story.advance(hours=1)
    story.run()
    payment_id, _ = _opened(story)
    again = START + HOUR
    row = _agreement(story)
    assert row["tries"] == {"pm_0": [START - HOUR], "print": [START, again]}
    due = again + 6 * HOUR
    expected = _charge(payment_id, attempt=2, intent="pi_1", due=due)
    assert {"charge": row["charge"], "charge_id": row["charge_id"]} == expected
    assert (row["expires_at"], row["used"]) == (due, 1)


def test_money_under_way_is_looked_for_an_hour_later(story: Story) -> None:
    story.stripe.script = ["processing"]
    story.run()
    payment_id, payment = _opened(story)
    asked = {"asked_at": START, "card": "pm_1", "customer": "cus_1"}
    under_way = {"state": "processing", "intent": "pi_1", "due": START + HOUR}
    assert _agreement(story) == {
        **AGREED,
        **_charge(payment_id, **asked, **under_way),
        **_due(START + HOUR),
        "month": "2026-01",
        "used": 1,
        "tries": {"print": [START]},
        "version": 4,
    }
    assert payment == {
        **OPENED,
        "phase": 3,
        "status": "processing",
        "payment_intent": "pi_1",
        "version": 1,
    }


def test_a_hard_decline_pauses_gives_the_charge_back_and_leaves_the_index(story: Story) -> None:
    story.stripe.script = ["lost_card"]
    story.run()
    assert _agreement(story) == {
        **AGREED,
        "paused": "card_declined",
        "month": "2026-01",
        "used": 0,
        "tries": {"print": [START]},
        "version": 4,
    }
    assert _opened(story)[1] == {
        **OPENED,
        "phase": 4,
        "status": "failed",
        "failure_code": "lost_card",
        "declined_at": START,
        "version": 2,
    }


def test_a_charge_that_is_called_off_ends_its_payment_and_looks_again_at_once(
    story: Story,
) -> None:
    """Units came in by a checkout: the second try is not needed, and no fault."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.units(50)
    story.advance(hours=1)
    story.run()
    automatic = [row for row in story.payments if row.plan == "starter" and not row.session_id]
    row = _row(story, "payments", automatic[0].payment_id)
    names = ("phase", "status", "failure_code", "payment_intent", "version")
    assert [row.get(name) for name in names] == [4, "failed", "insufficient_funds", "pi_1", 2]
    assert _agreement(story) == {
        **AGREED,
        "month": "2026-01",
        "used": 0,
        "tries": {"print": [START]},
        "version": 6,
    }


def test_a_charge_that_is_not_needed_before_its_first_try_says_so(story: Story) -> None:
    """No card was declined: the reason is ours."""
    story.books.store.commit(*_opening(story))
    story.units(50)
    story.run()
    (payment,) = story.payments
    row = _row(story, "payments", payment.payment_id)
    assert (row["phase"], row["failure_code"], "payment_intent" in row) == (4, "not_needed", False)
    assert (story.agreement.charge, story.agreement.paused) == (None, "")
    assert story.stripe.keys == {}


def _opening(story: Story) -> tuple[Write, ...]:
    return opening(story.agreement, catalogue()["starter"], story.books.clock()).writes


def test_a_run_answers_with_the_agreement_as_it_is_stored(story: Story) -> None:
    """After each kind of step; the version alone is the store's own."""
    story.stripe.script = ["insufficient_funds", "processing"]
    for _ in range(4):
        answered = story.run()
        stored = rows.read(story.books, USER)
        assert answered.to_item() == stored.to_item()
        story.advance(hours=1)
