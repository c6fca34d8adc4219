"""What every write on an account tells and opens, worked out from the rows before and after it.

It knows the contract and nothing of the product's own decision.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from billing.agreements.agreement import Agreement
from billing.agreements.card import Card
from billing.agreements.rows import change, row, watch
from billing.books import Books
from billing.clock import day, epoch
from billing.payments.plans import catalogue
from billing.quota.balance import Balance
from billing.settings import Telling
from billing.spending import memory
from billing.spending.meter import Meter
from billing.storage.writes import creates
from billing.top_up.crossing import AutomaticCharges
from support import builders
from support.fakes.memory_store import MemoryStore, copy_of
from support.schedules import ScheduledStore

USER: Final = "alice"
LOW_AT: Final = 45
WHEN_BELOW: Final = 30
CARD: Final = Card("pm_1", "visa", "4242", 12, 2034, "print")


class Charges(AutomaticCharges):
    """The product's own, with a queue that is a list."""

    def __init__(self) -> None:
        """No charge was hurried."""
        super().__init__("")
        self.hurried: list[str] = []

    def hurry(self, user_id: str) -> None:
        """Note it."""
        self.hurried.append(user_id)


def crossing_books(
    store: Any,
    clock: builders.Clock | None = None,
    *,
    low_at: int = LOW_AT,
    charges: Charges | None = None,
) -> Books:
    """Books of a deployment with events out; with ``charges`` it offers automatic top-ups too."""
    memory._seen.clear()
    books = builders.books_on(store, clock=clock, telling=Telling(is_on=True, low_at=low_at))
    return replace(books, top_ups=charges) if charges else books


def has(books: Books, remaining: int, **members: Any) -> Meter:
    """An account with so many units, of which some were used today."""
    today = day(books.clock())
    whole = {"remaining": remaining, "total": remaining, "use_day": today, **members}
    books.store.commit(creates("quotas", (USER, "quota"), whole))
    return Meter(books, "")


def agree(books: Books, **members: Any) -> None:
    """What PUT /quota/auto-top-up writes. The row is due at once."""
    plan = catalogue()["starter"]
    before = Agreement.from_item(USER, books.store.get(*row(USER)))
    agreed = {
        "on": True,
        "plan": plan.id,
        "quota": plan.quota,
        "amount_minor": plan.amount_minor,
        "currency": plan.currency,
        "when_below": WHEN_BELOW,
        "max_per_month": 3,
        "customer": "cus_1",
        "card": CARD,
        "paused": "",
        "due": before.due if before.charge else epoch(books.clock()),
    }
    after = replace(before, **{**agreed, **members})
    books.store.commit(change(before, after), watch(after))


def balance(store: MemoryStore) -> Balance:
    """As it is stored."""
    return Balance.from_item(store.tables["quotas"].get((USER, "quota")))


def agreement(store: MemoryStore) -> Agreement:
    """As it is stored."""
    return Agreement.from_item(USER, store.tables["quotas"].get((USER, "top_up")))


def events(store: Any) -> list[dict[str, Any]]:
    """The account's events, in their order."""
    found = [item for (who, _), item in store.tables["notices"].items() if who == USER]
    return sorted(found, key=lambda item: (item["sequence"], item["id"]))


def types(store: Any) -> list[str]:
    """The types of the account's events, in their order."""
    return [item["type"] for item in events(store)]


def opened(store: Any) -> list[dict[str, Any]]:
    """The payments of the charges that were opened. They have no session."""
    rows = store.tables["payments"].items()
    named = [row for (_, name), row in rows if name.startswith("pay_")]
    return [row for row in named if not row.get("session_id")]


def _held(store: Any) -> dict[str, int]:
    """The units of the open holds, by row."""
    rows = store.tables["quotas"].items()
    return {name: row["units"] for (_, name), row in rows if name.startswith("hold#")}


def check_charges(store: Any) -> None:
    """No crossing is lost: below ``when_below`` a charge is open, or the sweep will look."""
    found = agreement(store)
    if found.charges and balance(store).remaining < found.when_below:
        assert found.charge or found.due, (found, balance(store))


class Judge:
    """Looks at every write that is carried out: it tells and opens what it crosses, and no more."""

    def __init__(self, memory: Callable[[], MemoryStore], low_at: int = LOW_AT) -> None:
        """``low_at``: the template's."""
        self._memory = memory
        self._low_at = low_at
        self.is_low = False
        """``quota.low`` was the last of low and recovered."""
        self.inexact = 0
        """Events whose figures were a moment old."""

    def watch(self, act: Callable[[], Any]) -> Any:
        """Carry out one write, and judge it."""
        store = self._memory()
        before, agreed = balance(store), agreement(store)
        told, payments, held = len(events(store)), len(opened(store)), _held(store)
        answer = act()
        after = balance(store)
        before = self._with_returned(before, held)
        new = [event for event in events(store)[told:] if event["type"].startswith("quota.")]
        kinds = [event["type"] for event in new]
        assert kinds == list(self._expected(before, after)), (before, after, kinds)
        for event in new:
            self._look_at(event, after)
        if after.remaining != before.remaining:
            crosses = before.remaining >= agreed.when_below > after.remaining
            opens = crosses and agreed.charges and agreed.charge is None
            assert len(opened(store)) - payments == opens, (before, after, agreed)
            assert bool(agreement(store).charge) == (opens or bool(agreed.charge))
        sequence = [event["sequence"] for event in events(store)]
        assert sequence == list(range(1, len(sequence) + 1)), sequence
        assert after.told == len(sequence)
        return answer

    def _with_returned(self, before: Balance, held: dict[str, int]) -> Balance:
        """What expired holds give back in a write counts as given back before it."""
        closed = self._memory().tables["quotas"]
        back = 0
        for name in held.keys() - _held(self._memory()).keys():
            if closed[USER, name.replace("hold#", "closed#")]["state"] == "expired":
                back += held[name]
        paid = min(before.debt, back)
        return replace(before, remaining=before.remaining + back - paid, debt=before.debt - paid)

    def _expected(self, before: Balance, after: Balance) -> Iterator[str]:
        low_at = self._low_at if before.low_at is None else before.low_at
        if after.remaining < low_at <= before.remaining:
            self.is_low = True
            yield "quota.low"
        if after.remaining == 0 < before.remaining:
            yield "quota.depleted"
        came_in = after.total > before.total
        if came_in and self.is_low and before.remaining < low_at <= after.remaining:
            self.is_low = False
            yield "quota.recovered"

    def _look_at(self, event: dict[str, Any], after: Balance) -> None:
        """It shows the quota, as it is or a moment old; never one of before the crossing."""
        shown = event["data"]
        assert shown["user_id"] == USER
        assert (shown["remaining"] == 0) == (
            event["type"] == "quota.depleted" or not after.remaining
        )
        if shown != after.shown(USER):
            self.inexact += 1


class JudgedStore(ScheduledStore):
    """A scheduled store whose every write is judged."""

    def __init__(self, kept: list[Any] | None = None) -> None:
        """Nothing is written yet."""
        super().__init__(kept)
        self.judge = Judge(lambda: self.memory)

    def _do(self, operation: str, act: Callable[[], Any], *retry: Any) -> Any:
        if operation not in ("TransactWriteItems", "UpdateItem"):
            return super()._do(operation, act, *retry)
        return super()._do(operation, lambda: self.judge.watch(act), *retry)


class JudgedMemory(MemoryStore):
    """A store in memory whose every write is judged."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        super().__init__()
        self.judge = Judge(lambda: self)
        self.requests: list[tuple[str, int]] = []
        """Every write's operation, and how many rows it has."""

    def commit(self, *writes: Any) -> None:
        """See MemoryStore."""
        self.requests.append(("TransactWriteItems", len(writes)))
        self.judge.watch(lambda: MemoryStore.commit(self, *writes))

    def update(self, write: Any) -> Any:
        """See MemoryStore."""
        self.requests.append(("UpdateItem", 1))

        def act() -> Any:
            MemoryStore.commit(self, write)
            return copy_of(self.tables[write.table][write.key])

        return self.judge.watch(act)
