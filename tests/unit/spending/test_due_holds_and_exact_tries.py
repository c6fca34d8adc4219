"""When the next hold expires, and how often a transaction insists on what was seen."""

import pytest
from billing.spending import debits
from billing.spending.tries import EXACT_TRIES
from support.contended_shop import Shop


@pytest.fixture
def shop() -> Shop:
    """Open."""
    return Shop()


def test_a_transaction_insists_twice_on_what_remains(shop: Shop) -> None:
    """The third only demands that the units are there, though others spend all the time."""
    assert EXACT_TRIES == 2
    assert shop.tries_amid(*[shop.store.spend_one] * 10) == 3
    assert shop.remaining() == 95


def test_a_transaction_that_collided_insists_on_nothing(shop: Shop) -> None:
    """What was seen is stale by then: the second asks for enough alone."""
    assert shop.tries_amid(shop.store.collide, *[shop.store.spend_one] * 10) == 2
    assert shop.remaining() == 96


def test_an_account_is_read_again_after_the_first_collision_only(shop: Shop) -> None:
    """Further transactions need no figure that could be stale."""
    shop.hold(1)
    before = shop.store.calls
    assert shop.tries_amid(*[shop.store.collide] * 3) == 4
    assert shop.store.calls - before == 2, "one read, and the transaction that was carried out"


def test_spending_is_one_call_while_a_later_hold_is_open(shop: Shop) -> None:
    """The release of the first hold notes when the second is due."""
    shop.hold(10, seconds=60)
    shop.hold(20, seconds=600)
    due = shop.account["holds_due"]
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 1)
    assert shop.account["holds_due"] == due + 540
    before = shop.store.calls
    debits.debit(shop.meter, "alice", 1)
    assert shop.store.calls - before == 1
    assert shop.remaining() == 77


def test_an_account_without_open_holds_has_nothing_due(shop: Shop) -> None:
    """The release of the last hold leaves no time at which to look."""
    shop.hold(10, seconds=60)
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 1)
    assert "holds_due" not in shop.account
    assert shop.remaining() == 98


def test_a_hold_that_releases_the_last_one_is_due_itself(shop: Shop) -> None:
    """Both are one transaction, which names ``holds_due`` once."""
    shop.hold(10, seconds=60)
    first_due = shop.account["holds_due"]
    shop.clock.advance(seconds=61)
    shop.hold(20, seconds=60)
    assert shop.account["holds_due"] == first_due + 61
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 99)
    assert shop.remaining() == 0
