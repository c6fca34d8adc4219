"""How many calls of DynamoDB each way of a settlement costs."""

from dataclasses import replace
from typing import Any

import pytest
from billing.payments.ownership import why_ignored
from billing.payments.plan import Plan
from billing.settings import Telling
from billing.settlement import settlement
from billing.storage.writes import Write
from support import builders
from support.builders import books_on, fact
from support.fakes.recording_store import Recorder
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
    second = builders.pending(story.books, payment_id="pay_2", session_id="cs_2")
    assert _calls(story, builders.completed(second)) == 4, "its lots are not read"


def test_an_event_that_only_a_record_could_show_is_ours_costs_one_look(story: Story) -> None:
    """A session's record was looked for by its own transaction; a refund may name none."""
    story.store.tables["payments"].clear()
    old = builders.completed(story.payment, metadata=builders.old_metadata(story.payment))
    assert _calls(story, old) == 1
    refund: Any = fact(builders.refund_created(story.payment, "re_1", 5))
    calls = story.store.calls
    assert why_ignored(story.books, replace(refund, needs_record=True)) != ""
    assert story.store.calls == calls, "DynamoDB refuses an empty key"


def test_units_that_expire_come_in_as_a_lot_also_where_events_go_out() -> None:
    """The rows are read first, and the lots with them."""
    story = Story(DATED)
    story.books = books_on(story.store, clock=story.clock, telling=Telling(is_on=True))
    assert _calls(story, builders.completed_unpaid(story.payment)) == 6
    assert _calls(story, builders.completed(story.payment)) == 7
    balance = story.store.tables["quotas"]["alice", "quota"]
    assert (balance["lots_due"], balance["lots_exact"]) == (1769915045, 1)


def test_a_refund_that_meets_another_change_of_its_payment_reads_once_more(story: Story) -> None:
    """The ledger is not searched: the payment's own row says what has changed."""
    settlement.apply(story.books, fact(builders.completed(story.payment)))

    class Overtaken(Recorder):
        is_first = True

        def commit(self, *writes: Write) -> None:
            """After a change of the payment."""
            if self.is_first:
                self.is_first = False
                self.tables["payments"]["user#alice", "pay_1"]["version"] += 1
            super().commit(*writes)

    store = Overtaken()
    store.tables = story.store.tables
    books = books_on(store, clock=story.clock)
    assert settlement.apply(books, fact(builders.refunded(story.payment, 500))).units == -50
    assert store.calls == 12
