"""Two containers act on an account with lots at the same moment, and holds end with a lot."""

import pytest
from billing.errors import ConditionFailedError
from billing.expiry import upkeep
from billing.expiry.lot_expiry import ExpiredLots
from billing.spending import memory
from support import laws
from support.lot_account import USER, LotAccount

DAY = 86_400


@pytest.fixture
def alice() -> LotAccount:
    """Nothing is bought yet."""
    return LotAccount()


def _expired(account: LotAccount) -> int:
    laws.check(account.store)
    entries = account.store.tables["ledger"].values()
    return -sum(int(row["units"]) for row in entries if row["type"] == "expired")


def test_two_containers_let_go_of_a_lot_once(alice: LotAccount) -> None:
    """Both saw it, with other lots beside it."""
    alice.grants(5, DAY)
    alice.grants(7, DAY)
    alice.buys(4)
    alice.clock.advance(seconds=DAY)
    seen = [ExpiredLots.read(alice.books, USER, alice.stored()) for _ in range(2)]
    for number, expired in enumerate(seen):
        entries = [write for write in expired.closing if write.table != "ledger" or not number]
        if not number:
            alice.store.commit(expired.account, *entries)
            continue
        with pytest.raises(ConditionFailedError):
            alice.store.commit(expired.account, *entries)
    assert (_expired(alice), alice.balance().remaining) == (12, 4)


def test_a_capture_takes_the_soonest_expiring_units_first(alice: LotAccount) -> None:
    late, soon = alice.grants(4, 2 * DAY), alice.grants(3, DAY)
    hold = alice.holds_back(7, DAY // 2)
    assert alice.ends_hold(hold, 3)
    assert alice.left() == {f"grant:{late}": 4}
    alice.clock.advance(seconds=DAY)
    upkeep.bring_up_to_date(alice.books, USER)
    assert _expired(alice) == 0, f"{soon} was captured whole"


def test_units_in_a_hold_that_expires_after_them_are_gone_with_it(alice: LotAccount) -> None:
    """Units in an open hold stay with it: they are captured after their time, or expire then."""
    alice.grants(5, DAY)
    hold = alice.holds_back(3, DAY - 1)
    alice.clock.advance(seconds=DAY - 5)
    other = alice.holds_back(2, 60)
    alice.clock.advance(seconds=5)
    assert (alice.balance().remaining, alice.balance().held) == (0, 2)
    assert not alice.ends_hold(hold, 3), "its own time is over"
    assert alice.ends_hold(other, 1)
    assert (_expired(alice), alice.balance().used) == (4, 1)


def test_a_hold_placed_when_a_lot_expires_takes_none_of_it(alice: LotAccount) -> None:
    """Also in a container that remembers the account as it was."""
    alice.buys(4)
    alice.grants(5, DAY)
    alice.spends(1)
    alice.clock.advance(seconds=DAY)
    assert not alice.holds_back(5, 60)
    assert alice.holds_back(4, 60)
    assert (_expired(alice), alice.balance().remaining) == (4, 0)


def test_a_hold_is_refused_a_lot_that_came_in_meanwhile(alice: LotAccount) -> None:
    """A container that saw no unit expire writes a hold that names no lots: it is refused, and
    looks again.
    """
    alice.buys(4)
    alice.spends(1)
    seen = dict(memory._seen)
    alice.grants(5, DAY)
    memory._seen.clear()
    memory._seen.update(seen)
    assert alice.holds_back(4, 60)
    held = [lot.held for lot in alice.lots() if lot.source == "grant"]
    assert held == [4]
    laws.check(alice.store)


def test_a_hold_of_many_lots_names_the_first_and_the_rest_never_expires(
    alice: LotAccount,
) -> None:
    """A favour: a hold's row has room for so many."""
    for day in range(40):
        alice.grants(1, DAY + day)
    hold = alice.holds_back(40, DAY // 2)
    alice.clock.advance(seconds=DAY // 4)
    assert alice.ends_hold(hold, 0)
    alice.clock.advance(seconds=DAY)
    assert alice.balance().remaining == 24
    upkeep.bring_up_to_date(alice.books, USER)
    assert (_expired(alice), alice.balance().remaining) == (16, 24)


def test_holds_of_many_lots_expire_in_parts(alice: LotAccount) -> None:
    for day in range(30):
        alice.grants(2, DAY + day)
    for second in range(12):
        assert alice.holds_back(5, 60 + second)
    alice.clock.advance(seconds=600)
    assert (alice.balance().remaining, alice.balance().held) == (60, 0)
    assert alice.spends(60)
    laws.check(alice.store)
