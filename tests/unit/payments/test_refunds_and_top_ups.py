"""Whether money that goes back opens an automatic charge."""

from dataclasses import replace

import pytest
from billing.books import NOTHING_OPENED, Opened
from support import builders
from support.transcripts import Story


class Charges:
    """Automatic top-ups that note for whom a charge may be opened."""

    is_on = True

    def __init__(self) -> None:
        """For no customer."""
        self.opened: list[str] = []

    def open(self, store: object, user_id: str, now: object) -> Opened:
        """Nothing, in the end."""
        del store, now
        self.opened.append(user_id)
        return NOTHING_OPENED

    def hurry(self, user_id: str) -> None:
        """Nothing."""


@pytest.mark.parametrize("is_automatic", [True, False])
def test_money_taken_back_from_an_automatic_charge_opens_no_other(*, is_automatic: bool) -> None:
    """A refund of any other purchase that leaves too little may."""
    story = Story()
    payment = builders.automatic(story.books) if is_automatic else story.payment
    make = builders.intent_event if is_automatic else builders.completed
    story.settle(make(payment))
    story.store.tables["quotas"]["alice", "quota"]["top_up_at"] = 50
    charges = Charges()
    story.books = replace(story.books, top_ups=charges)
    story.settle(builders.refunded(payment, 999))
    assert charges.opened == ([] if is_automatic else ["alice"])
