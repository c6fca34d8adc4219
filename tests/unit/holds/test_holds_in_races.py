"""Two containers place holds, or release them, at the same moment."""

import pytest
from billing.errors import ConditionFailedError
from billing.expiry.hold_expiry import ExpiredHolds
from billing.quota.balance import read_account
from billing.spending import debits, memory
from billing.spending.tries import EXACT_TRIES
from support import laws
from support.contended_shop import Shop


@pytest.fixture
def shop() -> Shop:
    """Open: 99 units remain."""
    return Shop()


def _elsewhere(shop: Shop, seconds: int) -> None:
    """Another container, which remembers nothing of ours, places a hold of ten units."""
    seen = dict(memory._seen)
    memory._seen.clear()
    shop.hold(10, seconds)
    memory._seen.clear()
    memory._seen.update(seen)


@pytest.mark.parametrize("tries", [0, EXACT_TRIES])
@pytest.mark.parametrize("first", [60, 600])
@pytest.mark.parametrize("second", [60, 600])
def test_of_two_holds_at_the_same_moment_the_sooner_is_due(
    shop: Shop, first: int, second: int, tries: int
) -> None:
    """Whichever is written last: its units come back when its own time is over. So it is also when
    the transaction insists on nothing else any more.
    """
    debits_between = [shop.store.spend_one] * tries
    shop.store.meanwhile = iter([*debits_between, lambda: _elsewhere(shop, second)])
    shop.hold(20, first)
    rows = [row for (_, name), row in shop.store.tables["quotas"].items() if "hold#" in name]
    assert shop.account["holds_due"] == min(row["expires_at"] for row in rows)
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 1)
    assert shop.account["held"] == (20 if first == 600 else 0) + (10 if second == 600 else 0)
    laws.check(shop.store)


@pytest.mark.parametrize("already", [60, 300, 600])
@pytest.mark.parametrize("first", [60, 600])
def test_a_hold_beside_an_earlier_one_leaves_the_sooner_due(
    shop: Shop, already: int, first: int
) -> None:
    """Another container's hold came between: the least of three counts."""
    shop.hold(5, already)
    debits_between = [shop.store.spend_one] * EXACT_TRIES
    shop.store.meanwhile = iter([*debits_between, lambda: _elsewhere(shop, 120)])
    shop.hold(20, first)
    assert shop.account["holds_due"] == min(
        row["expires_at"]
        for (_, name), row in shop.store.tables["quotas"].items()
        if name.startswith("hold#")
    )


def test_a_hold_that_is_placed_while_others_are_released_is_given_back_too(shop: Shop) -> None:
    """Its container's clock is a minute behind, and whoever releases has not seen it: that release
    is refused, or nothing would tell when the new hold is due.
    """
    shop.hold(10, 60)
    shop.clock.advance(seconds=61)
    expired = ExpiredHolds.read(shop.books, "alice", read_account(shop.books.store, "alice"))
    shop.clock.advance(seconds=-61)
    shop.hold(20, 600)
    shop.clock.advance(seconds=61)
    with pytest.raises(ConditionFailedError):
        shop.store.commit(expired.account, *expired.closing)
    shop.clock.advance(seconds=600)
    debits.debit(shop.meter, "alice", 1)
    assert (shop.account["held"], shop.remaining()) == (0, 98)
