"""The laws of the contract, held against everything that a store contains."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from billing.payments.payment import Payment, Phase
from billing.quota.balance import Balance
from support import key_laws


def check(store: Any) -> None:
    """Raise AssertionError naming the law and the account that breaks it.

    ``store`` is a MemoryStore.
    """
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in store.tables["ledger"].values():
        entries[entry["user_id"]].append(entry)
    held: dict[str, int] = defaultdict(int)
    for item in store.tables["quotas"].values():
        if item["item"].startswith("hold#"):
            held[item["user_id"]] += item["units"]
    for (user_id, name), item in store.tables["quotas"].items():
        if name == "quota":
            _account(
                user_id, Balance.from_item(item), entries.pop(user_id, []), held.pop(user_id, 0)
            )
    _lots(store)
    key_laws.check(store)
    assert not entries, f"ledger entries of accounts without a balance: {sorted(entries)}"
    assert not held, f"holds of accounts without a balance: {sorted(held)}"
    _payments(store)


def _lots(store: Any) -> None:
    """The rows of lots and what the balance says of them change together or not at all."""
    left: dict[str, int] = defaultdict(int)
    held: dict[str, int] = defaultdict(int)
    for (user_id, name), item in store.tables["quotas"].items():
        if name.startswith("lot#"):
            assert min(item["free"], item["held"]) >= 0, f"a lot of {user_id} is below zero"
            left[user_id] += item["free"] + item["held"]
            held[user_id] += item["held"]
    for (user_id, name), item in store.tables["quotas"].items():
        if name == "quota":
            found = (item.get("lots_left", 0), item.get("lots_held", 0))
            rows = (left[user_id], held[user_id])
            assert found == rows, f"lots of {user_id}: {found} in the balance, {rows} in rows"


def check_what_was_given_up(store: Any) -> None:
    """Only used units are written off. No law after a restore, which may forget what was used."""
    given_up: dict[str, int] = defaultdict(int)
    for entry in store.tables["ledger"].values():
        given_up[entry["user_id"]] += (
            entry["units"] if entry["entry_id"].startswith("adjusted:") else 0
        )
    for user_id, units in given_up.items():
        used = Balance.from_item(store.tables["quotas"].get((user_id, "quota"))).used
        assert 0 <= units <= used, f"{units} units of {user_id} are written off, {used} were used"


def check_what_was_told(store: Any, payments: Iterable[str]) -> None:
    """With events on: each of these payments was told to be paid once, and no account's sequence
    has a gap or a double.
    """
    rows = list(store.tables["notices"].values())
    told = Counter(row["data"]["payment_id"] for row in rows if row["type"] == "payment.completed")
    assert told == Counter(set(payments)), "an effect without its event, or an event without it"
    numbers = defaultdict(list)
    for row in rows:
        numbers[row["user_id"]].append(row["sequence"])
    for user_id, found in numbers.items():
        last = store.tables["quotas"][user_id, "quota"]["told"]
        assert sorted(found) == list(range(1, last + 1)), f"{user_id} has {sorted(found)}"


def _account(user_id: str, balance: Balance, entries: list[dict[str, Any]], held: int) -> None:
    booked = sum(entry["units"] for entry in entries)
    not_itemised = balance.used - balance.itemised
    assert booked - not_itemised == balance.remaining + balance.held - balance.debt, (
        f"the books of {user_id} do not balance: {balance}, {booked}"
    )
    assert balance.held == held, f"{user_id} holds {held} in rows and {balance.held} in the balance"
    assert balance.remaining >= 0, f"{user_id} is below zero"
    assert balance.used >= 0, f"{user_id} used less than nothing"
    assert balance.debt >= 0, f"{user_id} owes less than nothing"
    assert not (balance.remaining and balance.debt), f"{user_id} has units and debt at once"
    sessions = [entry["reference_id"] for entry in entries if entry["type"] == "funded"]
    assert len(sessions) == len(set(sessions)), f"a session of {user_id} was credited twice"


def _payments(store: Any) -> None:
    """Status, ledger and quota change together or not at all; reversals never take more than was
    credited.
    """
    funded: dict[str, int] = defaultdict(int)
    taken: dict[str, int] = defaultdict(int)
    for entry in store.tables["ledger"].values():
        if entry["type"] == "funded":
            funded[entry["reference_id"]] += entry["units"]
        elif entry["type"] in ("clawed_back", "reinstated"):
            taken[entry["reference_id"]] -= entry["units"]
    for item in store.tables["payments"].values():
        if "phase" not in item:
            continue
        payment = Payment.from_item(item)
        credited = payment.quota if payment.phase is Phase.PAID else 0
        assert funded.get(payment.funding_id, 0) == credited, (
            f"{payment.payment_id} is {payment.status},"
            f" credited {funded.get(payment.funding_id, 0)}"
        )
        moved = payment.units_clawed_back - payment.units_expired
        assert taken.get(payment.funding_id, 0) == moved, (
            f"{payment.payment_id}: clawed back differs from the ledger"
        )
        assert 0 <= payment.units_clawed_back <= payment.quota
        assert item["status"] == payment.status, (
            f"{payment.payment_id}: stored status {item['status']}, now {payment.status}"
        )
