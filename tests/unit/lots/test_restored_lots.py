"""Restores that kept half of an account: what verify finds, what repair mends, and what is lost."""

import pytest
from billing.audit.readings import settled_tally
from billing.audit.repair import repair_account
from billing.expiry import upkeep
from billing.reconciliation.job import Run
from support import laws
from support.fakes.stripe_twin import Stripe
from support.lot_account import USER, LotAccount

DAY = 86_400


@pytest.fixture
def alice() -> LotAccount:
    """Three lots, of which one was spent from, and a hold that names two."""
    account = LotAccount()
    account.grants(5, DAY)
    account.grants(6, 2 * DAY)
    account.buys(7, 3)
    account.spends(2)
    assert account.holds_back(5, 3600)
    return account


def _differences(account: LotAccount) -> list[str]:
    tally = settled_tally(account.books.store, USER)
    assert tally
    return [str(row) for row in tally.differences(USER)]


def _repair(account: LotAccount) -> None:
    job = Run(
        account.books,
        Stripe(),  # type: ignore[arg-type]
        repair=True,
        go_on=lambda: True,
        resumes=False,
    )
    assert repair_account(job, USER).acts
    assert repair_account(job, USER).acts == ()


def _lots(account: LotAccount) -> list[tuple[str, str]]:
    return sorted(key for key in account.store.tables["quotas"] if key[1].startswith("lot#"))


@pytest.mark.parametrize("lost", [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]])
def test_a_restore_that_kept_some_lots_is_found_and_mended(
    alice: LotAccount, lost: list[int]
) -> None:
    """No unit is lost: those without a row never expire. The rest burns and expires as before."""
    keys = _lots(alice)
    for number in lost:
        del alice.store.tables["quotas"][keys[number]]
    assert _differences(alice)
    _repair(alice)
    assert not _differences(alice)
    laws.check(alice.store)
    before = alice.balance()
    assert (before.remaining, before.held) == (11, 5)
    assert sum(alice.left().values()) == 16
    alice.clock.advance(hours=2)
    assert alice.balance().remaining == 16
    assert alice.spends(3)
    alice.clock.advance(days=9)
    upkeep.bring_up_to_date(alice.books, USER)
    laws.check(alice.store)
    assert not _differences(alice)
    assert alice.balance().remaining == sum(alice.left().values())


def test_a_restore_that_lost_the_balance_is_found_and_mended(alice: LotAccount) -> None:
    """Units that could expire still can, and holds name their lots again. The two that were used
    are in no row and no entry yet: they come back, and never expire.
    """
    del alice.store.tables["quotas"][USER, "quota"]
    assert _differences(alice)
    _repair(alice)
    assert not _differences(alice)
    alice.clock.advance(days=9)
    assert alice.balance().remaining == 2 == sum(alice.left().values())
