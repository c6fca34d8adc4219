"""What refuses the rows that open a charge, beside the agreement's version."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.charging.charge import Charge
from billing.errors import ConditionFailedError
from billing.payments.plans import catalogue
from billing.storage.writes import Write
from billing.top_up.opening import Opening, opening
from support.fakes.memory_store import MemoryStore
from support.top_ups import MAX_PER_MONTH, USER, Story
from support.top_ups import story as begin

START: Final = 1_767_323_045
FEBRUARY: Final = 1_769_904_000
"""2026-02-01T00:00:00Z."""


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def _opening(story: Story, plan: str = "starter") -> Opening:
    return opening(story.agreement, catalogue().get(plan), story.books.clock())


def _by_another_hand(story: Story, **members: Any) -> None:
    """A change that does not raise the version, as an operator makes it in the console."""
    story.books.store.commit(Write("quotas", (USER, "top_up"), set=members))


@pytest.mark.parametrize(("used", "is_opened"), [(MAX_PER_MONTH - 1, True), (MAX_PER_MONTH, False)])
def test_the_months_limit_is_a_condition_of_the_write_itself(
    story: Story, used: int, *, is_opened: bool
) -> None:
    story.agree(month="2026-01", used=1)
    opened = _opening(story)
    _by_another_hand(story, used=used)
    if is_opened:
        story.books.store.commit(*opened.writes)
        return
    with pytest.raises(ConditionFailedError):
        story.books.store.commit(*opened.writes)
    assert story.payments == []


@pytest.mark.parametrize("used", [0, 1])
def test_that_no_charge_is_open_is_a_condition_of_the_write_itself(story: Story, used: int) -> None:
    story.agree(month="2026-01", used=used)
    opened = _opening(story)
    _by_another_hand(story, charge_id="pay_other")
    with pytest.raises(ConditionFailedError):
        story.books.store.commit(*opened.writes)
    assert story.payments == []


@pytest.mark.parametrize(
    ("used", "month", "now_used"),
    [(0, "", 1), (2, "2025-12", 1), (MAX_PER_MONTH, "2025-12", 1), (2, "2026-01", 3)],
)
def test_an_opening_says_how_the_agreement_stands_after_it(
    story: Story, used: int, month: str, now_used: int
) -> None:
    """And it is what is stored."""
    story.agree(month=month, used=used, due=77)
    before = story.agreement
    opened = _opening(story)
    assert opened.charge is not None
    payment_id = opened.charge.payment_id
    assert payment_id.startswith("pay_")
    assert opened.charge == Charge(payment_id=payment_id, due=START)
    members: dict[str, Any] = {"month": "2026-01", "used": now_used, "due": START}
    assert opened.after == replace(before, charge=opened.charge, **members)
    assert [write.table for write in opened.writes] == ["quotas", "payments"]
    story.books.store.commit(*opened.writes)
    assert story.agreement == replace(opened.after, version=before.version + 1)


def test_a_payment_whose_id_is_taken_opens_no_charge(story: Story) -> None:
    opened = _opening(story)
    story.books.store.commit(opened.writes[1])
    with pytest.raises(ConditionFailedError):
        story.books.store.commit(*opened.writes)
    assert story.agreement.charge is None


@pytest.mark.parametrize("plan", ["pro", "gone"])
def test_another_price_switches_off_and_leaves_the_index(story: Story, plan: str) -> None:
    """Nothing is charged, and the row is not made where it is no more."""
    before = story.agreement
    opened = _opening(story, plan)
    reason: Any = {"pro": "price_changed", "gone": "plan_removed"}[plan]
    assert opened.after == replace(before, on=False, paused=reason, due=0)
    assert opened.charge is None
    (write,) = opened.writes
    story.books.store.commit(write)
    assert story.agreement == replace(opened.after, version=before.version + 1)
    store: Any = story.books.store
    del store.tables["quotas"][USER, "top_up"]
    with pytest.raises(ConditionFailedError):
        story.books.store.commit(write)


@pytest.mark.parametrize("used", [MAX_PER_MONTH, MAX_PER_MONTH + 1])
def test_at_the_months_limit_the_row_is_due_when_the_next_month_begins(
    story: Story, used: int
) -> None:
    """Once: a further write below the threshold finds it so."""
    story.agree(month="2026-01", used=used)
    before = story.agreement
    opened = _opening(story)
    assert (opened.after, opened.charge) == (replace(before, due=FEBRUARY), None)
    story.books.store.commit(*opened.writes)
    assert story.agreement == replace(opened.after, version=before.version + 1)
    again = _opening(story)
    assert again == Opening(story.agreement, None, ())


def test_a_paused_row_leaves_the_index_and_then_nothing_is_written(story: Story) -> None:
    story.agree(paused="refused")
    before = story.agreement
    opened = _opening(story)
    assert (opened.after, opened.charge) == (replace(before, due=0), None)
    story.books.store.commit(*opened.writes)
    assert story.agreement == replace(opened.after, version=before.version + 1)
    assert _opening(story) == Opening(story.agreement, None, ())


@pytest.mark.parametrize("is_on", [True, False])
def test_an_open_charge_keeps_its_time(story: Story, *, is_on: bool) -> None:
    charge = Charge(payment_id="pay_1", state="asked", due=START + 5)
    story.agree(charge=charge, on=is_on, due=START + 5)
    assert _opening(story) == Opening(story.agreement, None, ())


def test_a_charge_of_a_faster_clocks_month_counts_there(story: Story) -> None:
    """The row has February already: January does not begin again."""
    story.agree(month="2026-02", used=1)
    opened = _opening(story)
    assert (opened.after.month, opened.after.used) == ("2026-02", 2)
