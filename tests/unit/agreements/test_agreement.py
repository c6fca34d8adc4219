"""An agreement by itself: how it begins, whom it counts, and when its month ends."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from billing.agreements.agreement import Agreement
from billing.agreements.card import Card
from billing.agreements.months import month_after, month_of
from billing.charging.charge import Charge
from billing.payments.plans import catalogue
from billing.quota.key_bookmarks import Bookmark, Uses, uses_from

NOW = 1_767_323_045
DAYS_30 = 30 * 24 * 3600


def _unset(whole: Any, *but: str) -> set[Any]:
    return {
        getattr(whole, field.name)
        for field in fields(whole)
        if field.name not in but and getattr(whole, field.name) not in ("", None, {}, Card())
    }


def test_an_account_that_has_agreed_to_nothing_has_nothing() -> None:
    """No card, no charge, no use, and no time at which it is looked at."""
    assert _unset(Agreement(user_id="alice"), "user_id") == {0}
    assert _unset(Card()) == {0}
    assert _unset(Charge(payment_id="pay_1"), "payment_id", "state") == {0}
    assert not Agreement(user_id="alice").charges


def test_a_key_that_was_not_counted_has_used_nothing() -> None:
    """Neither today nor this month nor before."""
    assert _unset(Bookmark("key_1"), "key_id") == {0}
    assert uses_from(None) == Uses({}, {}, 0) == Uses({}, {})
    assert uses_from({"version": 3}).version == 3


@pytest.mark.parametrize(
    ("now", "month", "next_one"),
    [
        (datetime(2026, 1, 31, 23, 59, 59, 9, UTC), "2026-01", datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), "2026-02", datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), "2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, 0, 0, 1, 1, UTC), "2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_month_ends_when_the_next_begins(now: datetime, month: str, next_one: datetime) -> None:
    """To the microsecond, and December too."""
    assert (month_of(now), month_after(now)) == (month, next_one)


def test_a_card_was_tried_in_the_last_thirty_days_and_not_before() -> None:
    """One that was exchanged for another is another."""
    card = Card(id="pm_1")
    agreement = Agreement(
        user_id="alice",
        tries={"pm_1": (NOW - DAYS_30, NOW - DAYS_30 + 1, NOW), "pm_2": (NOW,)},
    )
    assert agreement.tries_of(card, NOW) == (NOW - DAYS_30 + 1, NOW)
    assert agreement.tries_of(Card(id="pm_3"), NOW) == ()


def test_a_months_charges_count_in_that_month_alone() -> None:
    agreement = Agreement(user_id="alice", month="2026-01", used=3)
    assert [agreement.used_in(month) for month in ("2026-01", "2026-02")] == [3, 0]


@pytest.mark.parametrize("name", ["quota", "amount_minor", "currency", "expires_after_days"])
def test_nothing_is_charged_for_a_plan_that_has_changed(name: str) -> None:
    """Neither at another price nor for other units, nor for units that live shorter."""
    plan = catalogue()["starter"]
    agreed: dict[str, Any] = {
        "quota": plan.quota,
        "amount_minor": plan.amount_minor,
        "currency": plan.currency,
    }
    assert not Agreement(user_id="alice", **agreed).differs(plan)
    other = {**agreed, name: "eur" if name == "currency" else 1}
    assert Agreement(user_id="alice", **other).differs(plan) == "price_changed"
    assert Agreement(user_id="alice", **agreed).differs(None) == "plan_removed"


@pytest.mark.parametrize(
    ("on", "paused", "charges"),
    [(True, "", True), (False, "", False), (True, "card_gone", False), (False, "refused", False)],
)
def test_only_an_agreement_that_is_on_and_not_paused_charges(
    *, on: bool, paused: Any, charges: bool
) -> None:
    assert Agreement(user_id="alice", on=on, paused=paused).charges is charges
