"""An account's tally out of every kind of row, to the last figure."""

from dataclasses import asdict
from typing import Any, Final, cast

import pytest
from billing.audit.readings import disagreeing_payments, reference, settled_tally
from billing.audit.tallies import Tallies
from billing.audit.tally import Tally
from billing.errors import Item
from billing.quota.key_use import name_of, weight
from billing.storage.dynamodb import Store
from billing.storage.writes import Table
from support.fakes.memory_store import MemoryStore

LIVE, GONE, LATE = "key_live", "key_gone", "key_late"
NAMES: Final = {key_id: name_of(key_id) for key_id in (LIVE, GONE, LATE)}
OWNER: Final = "user#alice"


def _entry(number: int, kind: str, units: int, about: str = "", **members: Any) -> Item:
    name, _, reference_id = about.partition(" ")
    told = {"reference_type": name, "reference_id": reference_id, "booked_at": f"2026-0{number}"}
    made = {"user_id": "alice", "entry_id": f"{kind}:{number}", "type": kind, "units": units}
    return {**made, **told, **members}


def _payment(name: str, phase: int, quota: int, **members: Any) -> Item:
    made = {"owner": OWNER, "id": name, "payment_id": name, "user_id": "alice", "plan": "starter"}
    price = {"amount_minor": 999, "currency": "usd", "created_at": "2026", "units_clawed_back": 0}
    return {**made, **price, "phase": phase, "quota": quota, **members}


ROWS: Final[dict[Table, list[Item]]] = {
    "ledger": [
        _entry(1, "funded", 100, "payment cs_1"),
        _entry(2, "clawed_back", -30, "payment cs_1"),
        _entry(3, "reinstated", 9, "payment cs_1"),
        _entry(4, "adjusted", -4, "payment cs_1"),
        _entry(5, "adjusted", 7, "grant sorry"),
        _entry(6, "consumed", -20, by_key={LIVE: 11, GONE: 5}),
        _entry(7, "funded", 8, "payment cs_2"),
        _entry(8, "granted", 50, "grant gr_1"),
    ],
    "payments": [
        _payment(
            "pay_1", 5, 100, session_id="cs_1", payment_intent="pi_1",
            units_clawed_back=31, units_expired=10, units_written_off=4,
        ),
        _payment("pay_2", 5, 8, session_id="cs_2"),
        _payment("pay_3", 3, 1000, session_id="cs_3", payment_intent="pi_3"),
        _payment("pay_4", 5, 2, session_id="cs_4", payment_intent="pi_4", units_clawed_back=2),
        {"owner": OWNER, "id": "cs_1", "payment_id": "pay_1"},
        {"owner": "ref#pi_1", "id": "reference", "payment_id": "pay_1", "user_id": "alice"},
        {"owner": "ref#ch_1", "id": "reference", "payment_id": "pay_1", "user_id": "alice"},
        {"owner": "ref#pi_5", "id": "reference", "waiting": frozenset({"evt_1"})},
    ],
    "quotas": [
        {
            "user_id": "alice", "item": "quota", "total": 131, "used": 53, "held": 17,
            "remaining": 62, "debt": 1, "itemised": 20, "holds_placed": 19, "lots_left": 41,
            "lots_held": 6, "lots_used": 23, "lots_exact": 1, f"u{NAMES[LIVE]}": 13,
            f"r{NAMES[LIVE]}": 900, f"x{NAMES[GONE]}": 3,
        },
        {"user_id": "alice", "item": "hold#1", "units": 8, "expires_at": 1},
        {"user_id": "alice", "item": "hold#2", "units": 9, "expires_at": 2},
        {"user_id": "alice", "item": "closed#1", "units": 500, "phase": 5},
        {"user_id": "alice", "item": "lot#1", "free": 20, "held": 4},
        {"user_id": "alice", "item": "lot#2", "free": 15, "held": 2},
        {"user_id": "debit#x", "item": "debit", "answer": {}},
        {"user_id": "alice", "item": "of a later version", "used": 7},
        {
            "user_id": "alice", "item": "uses", "version": 2,
            f"k{NAMES[LIVE]}": {"key_id": LIVE, "day": 12, "more": 5},
            "revoked": {NAMES[GONE]: {"key_id": GONE, "day": 2, "more": 3}},
        },
    ],
    "keys": [
        {"owner": OWNER, "id": f"name#{NAMES[LATE]}", "key_id": LATE, "used": 6},
        {"owner": OWNER, "id": f"name#{NAMES[LIVE]}", "key_id": LIVE},
        {"owner": OWNER, "id": LIVE, "used": 70},
        {"owner": "hash#1", "id": "key", "key_id": LIVE},
    ],
}  # fmt: skip
WHOLE: Final = Tally(
    booked=120, funded=108, funded_count=2, taken_back=21, adjusted_for_payments=-4,
    paid=110, paid_count=3, intents_count=2, referred_count=1, clawed_back=23, written_off=4,
    in_holds=17, in_lots=41, held_of_lots=6,
    balance_count=1, total=131, used=53, held=17, remaining=62, debt=1, itemised=20,
    placed_count=19, lots_left=41, lots_held=6, lots_used=23, lots_exact=1,
    keys_used=16, keys_not_booked=-6, keys_revoked=6,
    keys_booked_weighed=4 * weight(NAMES[LIVE]) + 6 * weight(NAMES[GONE]),
    keys_revoked_weighed=6 * weight(NAMES[LATE]),
)  # fmt: skip


def _store(rows: dict[Table, list[Item]] = ROWS) -> MemoryStore:
    """With these rows in its tables."""
    store = MemoryStore()
    for table, items in rows.items():
        for item in items:
            names = {"ledger": ("user_id", "entry_id"), "quotas": ("user_id", "item")}
            owner, name = names.get(table, ("owner", "id"))
            store.tables[table][item[owner], item[name]] = dict(item)
    return store


def _settled(store: MemoryStore, user_id: str = "alice") -> Tally | None:
    return settled_tally(cast("Store", store), user_id)


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_every_row_is_counted_once_for_its_own_account(name: str) -> None:
    """Also where another account has the same rows. Rows that move no units are of no account."""
    tallies = Tallies()
    for table, items in ROWS.items():
        for item in items:
            tallies.add(table, item)
            tallies.add(table, _as_bobs(item))
    assert set(tallies) == {"alice", "bob"}
    assert asdict(tallies[name]) == asdict(WHOLE)


def _as_bobs(item: Item) -> Item:
    names = {"alice": "bob", OWNER: "user#bob"}
    return {
        name: names.get(value, value) if isinstance(value, str) else value
        for name, value in item.items()
    }


def test_an_account_is_read_from_its_own_rows_as_a_scan_counts_them() -> None:
    """By its own keys alone."""
    tally = _settled(_store())
    assert tally is not None
    assert asdict(tally) == asdict(WHOLE)


def test_an_account_of_which_there_is_nothing_breaks_no_rule() -> None:
    tally = _settled(_store(), "nobody")
    assert tally == Tally(balance_count=1)
    assert list(tally.differences("nobody")) == []


def test_all_pages_of_holds_and_lots_are_read_and_no_closed_hold() -> None:
    """Those stay for a month, and there may be thousands."""
    many: dict[Table, list[Item]] = {
        "quotas": [
            *({"user_id": "alice", "item": f"hold#{n:03}", "units": 1} for n in range(101)),
            *(
                {"user_id": "alice", "item": f"lot#{n:03}", "free": 2, "held": 1}
                for n in range(101)
            ),
        ]
    }
    store = _store(many)
    tally = _settled(store)
    assert tally is not None
    assert (tally.in_holds, tally.in_lots, tally.held_of_lots) == (101, 303, 101)
    calls = store.calls
    closed = {"user_id": "alice", "units": 1}
    for number in range(500):
        name = f"closed#{number}"
        store.tables["quotas"]["alice", name] = {**closed, "item": name}
    assert _settled(store) == tally
    assert store.calls == 2 * calls


class Moving(MemoryStore):
    """The balance changes at each of its first readings."""

    def __init__(self, changes: int, name: str = "total") -> None:
        """``changes``: how often; ``name``: in which figure."""
        super().__init__()
        self.changes, self.name, self.readings = changes, name, 0

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """After a concurrent act."""
        if key == ("alice", "quota"):
            self.readings += 1
            row = self.tables["quotas"].setdefault(key, {"user_id": "alice", "item": "quota"})
            if self.readings <= self.changes:
                row[self.name] = row.get(self.name, 0) + 1
        return super().get(table, key)


@pytest.mark.parametrize(
    ("changes", "readings"), [(0, 2), (1, 2), (2, 3), (19, 20), (20, None), (21, None)]
)
def test_an_account_is_judged_once_two_readings_agree_of_at_most_twenty(
    changes: int, readings: int | None
) -> None:
    store = Moving(changes)
    tally = _settled(store)
    assert (tally is None) is (readings is None)
    assert store.readings == (readings or 20)
    if tally:
        assert tally.total == changes


@pytest.mark.parametrize("name", ["used", "remaining"])
def test_debits_between_two_readings_do_not_hinder_a_judgement(name: str) -> None:
    store = Moving(100, name)
    assert _settled(store) is not None
    assert store.readings == 2


def _paid(number: int, funded: int | None, *, phase: int = 5, **members: Any) -> list[Item]:
    payment = _payment(f"pay_{number}", phase, 100, session_id=f"cs_{number}", **members)
    if funded is None:
        return [payment]
    return [payment, _entry(number, "funded", funded, f"payment cs_{number}")]


def test_payments_and_entries_that_disagree_are_named() -> None:
    """By the payment; where there is none, by what was paid."""
    found = [
        _paid(1, 100),
        _paid(2, 99),
        _paid(3, None),
        _paid(4, 60, units_clawed_back=50, units_expired=10),
        _paid(5, 50, units_clawed_back=50, units_expired=10),
        _paid(6, None, phase=0),
        _paid(7, 100, phase=4),
        _paid(8, 1, units_clawed_back=100),
    ]
    rows = [row for part in found for row in part]
    others = [
        _entry(1, "adjusted", -5, "payment cs_1"),
        _entry(1, "clawed_back", -40, "payment cs_9"),
        _entry(1, "reinstated", 40, "payment cs_8"),
        _entry(2, "clawed_back", -40, "payment cs_8"),
        _entry(2, "granted", 10, "grant gr_1"),
    ]
    ledger = [*(row for row in rows if "entry_id" in row), *others]
    store = _store({"payments": [row for row in rows if "id" in row], "ledger": ledger})
    named = list(disagreeing_payments(cast("Store", store), "alice"))
    assert named == ["pay_2", "pay_3", "pay_5", "pay_7", "pay_8", "cs_9"]


def test_entries_without_a_payment_that_come_to_nothing_are_no_disagreement() -> None:
    entries = [
        _entry(1, "funded", 100, "payment cs_9"),
        _entry(2, "clawed_back", -100, "payment cs_9"),
    ]
    store = cast("Store", _store({"ledger": entries}))
    assert list(disagreeing_payments(store, "alice")) == []


@pytest.mark.parametrize(
    ("payment", "is_found"),
    [
        (_payment("pay_1", 5, 1, payment_intent="pi_1"), True),
        (_payment("pay_2", 5, 1, payment_intent="pi_1"), False),
        (_payment("pay_1", 5, 1, payment_intent="pi_5"), False),
        (_payment("pay_1", 5, 1, payment_intent="pi_9"), False),
        (_payment("pay_1", 3, 1, payment_intent="pi_1"), False),
        (_payment("pay_1", 5, 1), False),
    ],
)
def test_a_payment_has_the_reference_that_leads_to_it_and_no_other(
    payment: Item, *, is_found: bool
) -> None:
    found = reference(cast("Store", _store()), payment)
    assert (found is not None) is is_found
    if found:
        assert found["owner"] == "ref#pi_1"
