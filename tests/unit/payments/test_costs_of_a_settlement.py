"""How many calls of DynamoDB each way of a settlement costs."""

from typing import Any

import pytest
from billing.payments import settlement
from billing.payments.plans import Plan
from billing.settings import Telling
from support import builders
from support.builders import books_on, fact
from support.transcripts import Story

DATED = Plan("dated", "Dated", "Units that expire.", 999, "usd", 100, expires_after_days=30)


@pytest.fixture
def story() -> Story:
    """A purchase."""
    return Story()


def _calls(story: Story, event: dict[str, Any]) -> int:
    before = story.store.calls
    settlement.apply(story.books, fact(event))
    return story.store.calls - before


def test_what_each_way_costs(story: Story) -> None:
    """One call where the event alone is enough; a refund reads what it refers to, and the lots."""
    assert _calls(story, builders.completed_unpaid(story.payment)) == 1
    assert _calls(story, builders.completed(story.payment)) == 1
    assert _calls(story, builders.completed(story.payment)) == 1
    assert _calls(story, builders.expired(story.payment)) == 1
    assert _calls(story, builders.refunded(story.payment, 500)) == 6


def test_units_that_expire_cost_the_reads_of_the_account_and_its_lots() -> None:
    """At their purchase alone, and at their refund the entries of what expired."""
    story = Story(DATED)
    assert _calls(story, builders.completed_unpaid(story.payment)) == 1
    assert _calls(story, builders.completed(story.payment)) == 3
    assert _calls(story, builders.refunded(story.payment, 500)) == 7


def test_an_account_from_before_lots_has_none_to_read(story: Story) -> None:
    assert _calls(story, builders.completed(story.payment)) == 1
    rows = story.store.tables["quotas"]
    for key in [key for key in rows if key[1].startswith("lot#")]:
        del rows[key]
    for name in ("lots_left", "lots_version"):
        del rows["alice", "quota"][name]
    assert _calls(story, builders.refunded(story.payment, 500)) == 4
    assert rows["alice", "quota"]["remaining"] == 50
    assert not [key for key in rows if key[1].startswith("lot#")]


def test_where_events_go_out_the_payment_and_the_balance_are_read_first(story: Story) -> None:
    """And the row of the intent, where money came in."""
    story.books = books_on(story.store, clock=story.clock, telling=Telling(is_on=True))
    assert _calls(story, builders.declined(story.payment)) == 3
    assert _calls(story, builders.completed_unpaid(story.payment)) == 3
    assert _calls(story, builders.completed(story.payment)) == 4
