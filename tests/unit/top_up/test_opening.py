"""The rows that a write below ``when_below`` must carry, and what refuses them."""

from typing import Any

import pytest
from billing.errors import ConditionFailedError
from billing.payments.plans import catalogue
from billing.top_up.opening import Opening, opening
from support.fakes.memory_store import MemoryStore
from support.top_ups import MAX_PER_MONTH, Story
from support.top_ups import story as begin


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


def _opening(story: Story) -> Opening:
    return opening(story.agreement, catalogue()["starter"], story.books.clock())


def test_two_writes_that_cross_at_once_open_one_charge(story: Story) -> None:
    """Both have read the same agreement; the second is refused, and reads again."""
    first, second = _opening(story), _opening(story)
    story.books.store.commit(*first.writes)
    with pytest.raises(ConditionFailedError):
        story.books.store.commit(*second.writes)
    assert len(story.payments) == 1
    assert _opening(story).writes == ()


def test_the_months_count_rises_with_the_charge(story: Story) -> None:
    opened = _opening(story)
    story.books.store.commit(*opened.writes)
    assert story.agreement.used_in(story.month()) == 1
    (payment,) = story.payments
    assert opened.charge is not None
    assert payment.payment_id == opened.charge.payment_id
    assert (payment.amount_minor, payment.quota, payment.status) == (999, 100, "pending")


@pytest.mark.parametrize(
    "members",
    [{"on": False}, {"paused": "card_declined"}, {"month": "2026-01", "used": MAX_PER_MONTH}],
)
def test_no_charge_is_opened_where_none_may_be(story: Story, members: dict[str, Any]) -> None:
    story.agree(**members)
    assert _opening(story).charge is None


def test_at_the_months_limit_the_account_is_looked_at_when_the_next_begins(story: Story) -> None:
    """Nothing remains, so no write crosses the threshold again."""
    story.agree(month="2026-01", used=MAX_PER_MONTH)
    story.run()
    assert story.agreement.due == 1769904000
    story.advance(days=31)
    story.run()
    assert story.credited == 1


def test_december_is_followed_by_january(story: Story) -> None:
    story.advance(days=340)
    story.agree(month="2026-12", used=MAX_PER_MONTH)
    story.run()
    assert story.agreement.due == 1798761600


def test_last_months_charges_do_not_count(story: Story) -> None:
    story.agree(month="2025-12", used=MAX_PER_MONTH)
    assert _opening(story).charge is not None
