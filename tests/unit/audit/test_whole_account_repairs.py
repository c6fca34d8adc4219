"""The rows of an account before and after its repair, to the last figure."""

import copy
from typing import Final

import pytest
from billing.audit.repair import Repaired, repair_account
from billing.errors import AwsRefusedError, Item, OutcomeUnknownError
from billing.lots.lot import Lot
from billing.reconciliation.job import Run
from billing.storage.writes import Write
from support.compared import World
from support.fakes.memory_store import Meddled

QUOTA: Final = ("alice", "quota")
NOW: Final = "2026-01-02T03:04:05"
FIGURES: Final = {
    "total": 130, "used": 50, "held": 17, "remaining": 63, "debt": 0, "itemised": 20,
    "holds_placed": 6, "holds_due": 1767323100, "lots_left": 21, "lots_held": 6, "lots_used": 40,
    "lots_due": 6_000_000_000, "lots_exact": 1,
}  # fmt: skip
"""What is right: 100 bought, 30 given, 20 of the 50 that were used are itemised, 17 are held."""


def _entry(kind: str, units: int) -> Item:
    about = {"reference_type": "grant", "reference_id": "gr_1", "booked_at": "2026"}
    return {"user_id": "alice", "entry_id": kind, "type": kind, "units": units, **about}


class Account(World):
    """Alice's rows, all of them right."""

    def __post_init__(self) -> None:
        """Two holds, and two lots, of which the first is empty but for what a hold has of it."""
        super().__post_init__()
        ledger, quotas = self.store.tables["ledger"], self.store.tables["quotas"]
        for row in (_entry("granted", 30), _entry("adjusted", 100), _entry("consumed", -20)):
            ledger["alice", row["entry_id"]] = row
        for name, units, due in (("hold#1", 8, 1767323200), ("hold#2", 9, 1767323100)):
            row = {"user_id": "alice", "item": name, "units": units, "expires_at": due}
            quotas["alice", name] = row
        self.lot(Lot("lot_1", "grant", 9, 0, 4, 5_000_000_000, 1))
        self.lot(Lot("lot_2", "purchase", 30, 15, 2, 6_000_000_000, 2))
        quotas[QUOTA] = {"user_id": "alice", "item": "quota", "lots_version": 4, **FIGURES}

    def lot(self, lot: Lot) -> None:
        """One more row."""
        row = {"user_id": "alice", "item": lot.key, **lot.to_item()}
        self.store.tables["quotas"]["alice", lot.key] = row

    @property
    def balance(self) -> Item:
        """Its row."""
        return self.store.tables["quotas"][QUOTA]

    def repaired(self, *, repair: bool = True) -> list[str]:
        """What was done."""
        job = Run(self.books, self.stripe, repair, resumes=False)  # type: ignore[arg-type]
        found = repair_account(job, "alice")
        assert found == Repaired("alice", found.acts)
        return list(found.acts)


@pytest.fixture
def account() -> Account:
    """All is right."""
    return Account()


def _figures(row: Item) -> Item:
    assert row["updated_at"] == row["booked_at"]
    assert row["updated_at"].startswith(NOW)
    return {name: value for name, value in row.items() if name not in ("updated_at", "booked_at")}


WHOLE: Final = {"user_id": "alice", "item": "quota", "lots_version": 5, **FIGURES}


def test_an_account_that_is_right_is_left_as_it_is(account: Account) -> None:
    before = copy.deepcopy(account.store.tables)
    assert account.repaired() == []
    assert account.store.tables == before


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"used", "holds_placed", "lots_used"}))
@pytest.mark.parametrize("off", [1, -1])
def test_a_figure_that_is_off_by_one_is_recomputed_alone(
    account: Account, name: str, off: int
) -> None:
    """From the rows that it sums up."""
    account.balance[name] += off
    wrong, right = account.balance[name], FIGURES[name]
    if name == "lots_exact" and off == 1:
        return  # once it is set it stays
    said = [f"balance: {name} was {wrong}, is {right}"]
    assert account.repaired(repair=False) == said
    assert account.balance[name] == wrong
    assert account.repaired() == said
    assert _figures(account.balance) == WHOLE
    assert account.repaired() == []


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_that_is_missing_is_nothing(account: Account, name: str) -> None:
    """As an older version wrote it. What no other row shows stays nothing."""
    del account.balance[name]
    said = account.repaired()
    if name in {"debt", "holds_placed", "lots_used"}:
        assert said == []
    else:
        right = 20 if name == "used" else FIGURES[name]
        assert account.balance[name] == right
        assert f"balance: {name} was 0, is {right}" in said
    assert account.repaired() == []


def test_a_balance_that_was_lost_is_written_whole(account: Account) -> None:
    """What was used beside the ledger is lost, and the customer keeps it."""
    del account.store.tables["quotas"][QUOTA]
    assert account.repaired()
    lost = {"used": 20, "remaining": 93, "holds_placed": 0, "lots_used": 0, "lots_version": 1}
    assert _figures(account.balance) == WHOLE | lost


@pytest.mark.parametrize(
    ("used", "figures"),
    [
        (112, {"remaining": 1, "debt": 0, "lots_used": 109}),
        (113, {"remaining": 0, "debt": 0, "lots_used": 109}),
        (114, {"remaining": 0, "debt": 1, "lots_used": 110}),
        (120, {"remaining": 0, "debt": 7, "lots_used": 116}),
    ],
)
def test_what_was_used_beyond_all_units_is_debt(
    account: Account, used: int, figures: dict[str, int]
) -> None:
    """The lots' rows have 21 units, holds included: what remains and is held has no more."""
    account.balance.update(used=used, lots_used=used)
    account.repaired()
    assert {name: account.balance[name] for name in figures} == figures


@pytest.mark.parametrize(
    ("lots", "exact"),
    [
        ([], 0),
        ([Lot("lot_1", "purchase", 5, 5)], 0),
        ([Lot("lot_1", "purchase", 5, 5, 0, 5_000_000_000)], 1),
        ([Lot("lot_1", "grant", 5, 5)], 1),
        ([Lot("lot_1", "welcome", 5, 5)], 1),
        ([Lot("lot_1", "purchase", 5, 5), Lot("lot_2", "grant", 5, 5, created_us=1)], 1),
    ],
)
def test_holds_name_their_lots_from_the_first_lot_that_can_leave(
    account: Account, lots: list[Lot], exact: int
) -> None:
    """One that expires, or can be voided."""
    quotas = account.store.tables["quotas"]
    for key in [key for key in quotas if key[1].startswith("lot#")]:
        del quotas[key]
    for lot in lots:
        account.lot(lot)
    account.balance["lots_exact"] = 0
    account.repaired()
    assert account.balance["lots_exact"] == exact
    assert account.balance["lots_due"] == next((lot.expires_at for lot in lots), 0)


def test_an_account_without_holds_and_lots_has_none_due(account: Account) -> None:
    quotas = account.store.tables["quotas"]
    for key in [key for key in quotas if key != QUOTA]:
        del quotas[key]
    account.repaired()
    none = {"held": 0, "holds_due": 0, "lots_left": 0, "lots_held": 0, "lots_due": 0}
    assert {name: account.balance[name] for name in none} == none
    assert account.balance["remaining"] == 80


@pytest.mark.parametrize("name", sorted(FIGURES))
@pytest.mark.parametrize("missing", [True, False])
def test_a_figure_that_changes_in_between_is_not_overwritten(
    account: Account, name: str, *, missing: bool
) -> None:
    """The repair looks again."""
    if missing:
        del account.balance[name]
    account.balance["total" if name != "total" else "debt"] += 7
    tries: list[int] = []

    def meddle() -> None:
        account.balance[name] = 1 if missing else account.balance[name] + 1
        account.store.first = lambda: tries.append(1)

    account.store.first = meddle
    account.repaired()
    assert tries == [1], "the first was refused"
    if name == "holds_placed":
        assert account.balance[name] == (1 if missing else 7)


class Restless(Meddled):
    """A debit before every transaction."""

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if QUOTA in self.tables["quotas"]:
            self.tables["quotas"][QUOTA]["used"] += 1
        super().commit(*writes)


def test_an_account_that_never_holds_still_is_told_as_unknown() -> None:
    account = Account(store=Restless())
    account.balance["held"] = 99
    with pytest.raises(OutcomeUnknownError) as unknown:
        account.repaired()
    assert str(unknown.value) == "the account alice kept changing until the deadline"


def test_another_fault_comes_out_as_itself(account: Account) -> None:
    account.balance["held"] = 99

    def fails() -> None:
        raise AwsRefusedError("no grant")

    account.store.first = fails
    with pytest.raises(AwsRefusedError):
        account.repaired()
