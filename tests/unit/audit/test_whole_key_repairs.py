"""The rows of a key before and after its repair, to the last figure."""

import copy
from typing import Any, Final

import pytest
from billing.audit.repair_keys import repair_keys
from billing.errors import AwsRefusedError, Item, OutcomeUnknownError
from billing.quota.key_use import name_of
from billing.reconciliation.job import Run
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import Meddled
from support.slow import Slow

KEY: Final = "key_live"
NAME: Final = name_of(KEY)
OTHER: Final = "key_other"
OWNER: Final = "user#alice"


class Books:
    """Alice's rows. Her one key used 10 units in two entries, and 40 were used in all."""

    def __init__(self, store: Any = None) -> None:
        """What the balance and ``uses`` say of the key is the test's."""
        self.store: Any = store or Meddled()
        self.books = builders.books_on(self.store)
        self.tables: dict[str, dict[tuple[str, str], Item]] = self.store.tables
        for number, units in enumerate((6, 4)):
            self.book(number, {KEY: units})

    def book(self, number: int, by_key: dict[str, int]) -> None:
        """One more day of the ledger."""
        name = f"consumed:{number}"
        row = {"user_id": "alice", "entry_id": name, "type": "consumed", "by_key": by_key}
        self.tables["ledger"]["alice", name] = {**row, "units": -sum(by_key.values())}

    def set(self, counters: dict[str, int], uses: Item, itemised: int = 25) -> None:
        """The balance's counters, and the row ``uses``."""
        balance = {"user_id": "alice", "item": "quota", "used": 40, "itemised": itemised}
        self.tables["quotas"]["alice", "quota"] = {**balance, "keys_changed": 3, **counters}
        row = {"user_id": "alice", "item": "uses", "version": 3}
        self.tables["quotas"]["alice", "uses"] = {**row, **uses}

    def revoked(self, key_id: str, used: int) -> None:
        """A revoked key's own row."""
        name = f"name#{name_of(key_id)}"
        row = {"owner": OWNER, "id": name, "key_id": key_id, "used": used}
        self.tables["keys"][OWNER, name] = row

    def repair(self, *, repair: bool = True) -> list[str]:
        """What was done."""
        job = Run(self.books, None, repair, resumes=False)  # type: ignore[arg-type]
        return list(repair_keys(job, "alice"))

    def figures(self) -> dict[str, Any]:
        """Of the balance and of ``uses``, without what names them."""
        rows = (self.tables["quotas"]["alice", name] for name in ("quota", "uses"))
        names = ("user_id", "item", "used", "itemised")
        return {key: value for row in rows for key, value in row.items() if key not in names}


@pytest.fixture
def alice() -> Books:
    """Her rows."""
    return Books()


MARK: Final = {"key_id": KEY, "day": 7, "month": 5, "more": 2}
LIVE: Final = [
    ("month", {"month": 5}, 20, 25, {"u": 20, "r": 100, "day": 12, "month": 5}),
    ("month", {"month": 18}, 20, 40, {"u": 12, "r": 102, "day": 12, "month": 12}),
    ("day", {}, 20, 25, {"u": 20, "r": 105, "day": 12, "month": 5}),
    ("day", {}, 20, 34, {"u": 18, "r": 107, "day": 12, "month": 5}),
    ("total", {}, 20, 34, {"u": 18, "r": 102, "day": 12, "month": 5}),
    ("total", {}, 5, 25, {"u": 12, "r": 93, "day": 12, "month": 5}),
    ("total", {"day": 3}, 12, 25, {"u": 12, "r": 100, "day": 12, "month": 5}),
    (None, {}, 20, 34, {"u": 18, "r": 100, "day": 12, "month": 5}),
]
"""Window, bookmark, counter, what is itemised; and all of it afterwards. 12 units are booked or in
no entry yet; since the last entry the account used 40 less what is itemised."""


@pytest.mark.parametrize("letter", ["u", "x"])
@pytest.mark.parametrize(("per", "mark", "counter", "itemised", "after"), LIVE)
def test_a_live_keys_counter_limit_and_bookmark_follow_the_ledger(  # noqa: PLR0917
    alice: Books,
    letter: str,
    per: str | None,
    mark: dict[str, int],
    counter: int,
    itemised: int,
    after: dict[str, int],
) -> None:
    """Of a key that was revoked today the counter has another letter."""
    kept = {**MARK, **mark, **({"per": per} if per else {})}
    counters = {f"{letter}{NAME}": counter, f"r{NAME}": 100}
    alice.set(counters, {f"k{NAME}": kept}, itemised)
    said = [f"{KEY}: {counter} units were counted, now {after['u']}, by the ledger"]
    before = copy.deepcopy(alice.tables)
    assert alice.repair(repair=False) == said
    assert alice.tables == before
    assert alice.repair() == said
    assert alice.figures() == {
        "keys_changed": 4,
        f"{letter}{NAME}": after["u"],
        f"r{NAME}": after["r"],
        "version": 4,
        f"k{NAME}": {**kept, "day": after["day"], "month": after["month"]},
    }
    assert alice.repair() == []


def test_a_limit_that_the_balance_does_not_have_is_not_made_up(alice: Books) -> None:
    alice.set({f"u{NAME}": 20}, {f"k{NAME}": {**MARK, "per": "month"}})
    assert alice.repair()
    assert f"r{NAME}" not in alice.figures()


def test_a_key_whose_revocation_was_restored_away_counts_what_its_row_has_once(
    alice: Books,
) -> None:
    """4 of the 10 booked units are in its own row."""
    alice.set({f"u{NAME}": 20}, {f"k{NAME}": MARK})
    alice.revoked(KEY, 4)
    assert alice.repair() == [f"{KEY}: 20 units were counted, now 20, by the ledger"]
    assert alice.figures()[f"k{NAME}"]["day"] == 8


@pytest.mark.parametrize("counters", [{}, {f"u{NAME}": 5}])
@pytest.mark.parametrize(("more", "used"), [(0, 10), (3, 13)])
def test_a_revoked_keys_own_row_follows_the_ledger(
    alice: Books, counters: dict[str, int], more: int, used: int
) -> None:
    """With what is in no entry yet; the other revoked keys keep theirs."""
    kept: Item = {NAME: {"key_id": KEY, "more": more}} if more else {}
    kept["abcd"] = {"key_id": OTHER, "day": 1, "more": 1}
    alice.set(counters, {"revoked": kept})
    alice.revoked(KEY, 9)
    alice.revoked(OTHER, 7)
    alice.book(3, {OTHER: 7})
    said = [f"{KEY}: 9 units were counted, now {used}, by the ledger"]
    assert alice.repair(repair=False) == said
    assert alice.repair() == said
    row = alice.tables["keys"][OWNER, f"name#{NAME}"]
    assert row == {"owner": OWNER, "id": f"name#{NAME}", "key_id": KEY, "used": used}
    assert alice.figures() == {"keys_changed": 4, **counters, "version": 4, "revoked": kept}
    assert alice.repair() == []


def test_a_key_that_only_the_ledger_knows_has_its_row_again(alice: Books) -> None:
    alice.set({}, {})
    assert alice.repair() == [f"{KEY}: 0 units were counted, now 10, by the ledger"]
    row = alice.tables["keys"][OWNER, f"name#{NAME}"]
    assert row == {"owner": OWNER, "id": f"name#{NAME}", "key_id": KEY, "used": 10}


def test_a_key_that_no_entry_names_is_repaired_too(alice: Books) -> None:
    """Three keys: of the ledger, of a row, of a bookmark; one after the other by their ids."""
    alice.tables["ledger"].clear()
    alice.book(0, {"key_c": 1})
    alice.revoked("key_b", 2)
    alice.set({f"u{name_of('key_a')}": 9}, {f"k{name_of('key_a')}": {"key_id": "key_a", "day": 4}})
    assert alice.repair() == [
        "key_a: 9 units were counted, now 9, by the ledger",
        "key_b: 2 units were counted, now 0, by the ledger",
        "key_c: 0 units were counted, now 1, by the ledger",
    ]


def test_a_key_with_a_bookmark_and_no_counter_has_its_use_in_its_own_row(alice: Books) -> None:
    """The balance is older than the key."""
    alice.set({f"u{name_of(OTHER)}": 1}, {f"k{NAME}": MARK})
    assert alice.repair() == [f"{KEY}: 0 units were counted, now 10, by the ledger"]
    assert alice.tables["keys"][OWNER, f"name#{NAME}"]["used"] == 10
    assert alice.figures()[f"k{NAME}"] == MARK


@pytest.mark.parametrize("name", ["u", "keys_changed"])
def test_a_debit_or_a_change_of_keys_in_between_is_not_overwritten(alice: Books, name: str) -> None:
    """The repair looks again."""
    alice.set({f"u{NAME}": 20}, {f"k{NAME}": MARK})
    place = f"u{NAME}" if name == "u" else name

    def meddle() -> None:
        alice.tables["quotas"]["alice", "quota"][place] += 1

    alice.store.first = meddle
    (said,) = alice.repair()
    figures = alice.figures()
    assert figures[f"u{NAME}"] == (21 if name == "u" else 20)
    assert figures["keys_changed"] == (4 if name == "u" else 5)
    assert said.startswith(f"{KEY}: {figures[f'u{NAME}']} units were counted")


def test_a_revocation_in_between_is_not_overwritten(alice: Books) -> None:
    """Another key's bookmark moves to the revoked ones while this key's row is written."""
    alice.set({}, {"revoked": {}})
    alice.revoked(KEY, 9)
    kept = {"abcd": {"key_id": OTHER, "more": 1}}

    def meddle() -> None:
        alice.tables["quotas"]["alice", "quota"]["keys_changed"] = 4
        alice.tables["quotas"]["alice", "uses"].update(version=4, revoked=kept)

    alice.store.first = meddle
    assert alice.repair() == [f"{KEY}: 9 units were counted, now 10, by the ledger"]
    assert alice.figures() == {"keys_changed": 5, "version": 5, "revoked": kept}


class Restless(Meddled):
    """The keys change before every transaction."""

    def commit(self, *writes: Write) -> None:
        """See the store."""
        self.tables["quotas"]["alice", "quota"]["keys_changed"] += 1
        super().commit(*writes)


class Refusing(Meddled):
    """AWS refuses every write."""

    def commit(self, *writes: Write) -> None:
        """See the store."""
        raise AwsRefusedError(f"no grant for {len(writes)} writes")


def test_an_account_that_never_holds_still_is_told_as_unknown() -> None:
    alice = Books(Restless())
    alice.set({f"u{NAME}": 20}, {f"k{NAME}": MARK})
    with pytest.raises(OutcomeUnknownError) as unknown:
        alice.repair()
    assert str(unknown.value) == "the account alice kept changing until the deadline"


def test_another_fault_comes_out_as_itself() -> None:
    alice = Books(Refusing())
    alice.set({f"u{NAME}": 20}, {f"k{NAME}": MARK})
    with pytest.raises(AwsRefusedError):
        alice.repair()


def test_each_key_has_time_of_its_own() -> None:
    """However many there are."""
    alice = Books(Slow())
    names = ["key_a", "key_b", "key_c"]
    alice.book(9, dict.fromkeys(names, 1))
    alice.set({}, {})
    alice.store.deadline.begin()
    alice.store.seconds = 2.5
    assert len(alice.repair()) == 4
