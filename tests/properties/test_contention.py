import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from billing import deadline
from billing.books import Books
from billing.errors import BillingError, RetryableError
from billing.holds import closing, placing
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import fact, pending
from support.contention import ContendedStore, PerProcess

CLIENTS = 64
EACH = 6
ASKED = CLIENTS * EACH
PURCHASES = 2
CONFLICTS_MAX = {"plain": 4, "keyed": 8, "hold": 16, "mixed": 8}
"""For each debit, on an account that all spend from. A conflict is paid for like a write."""


class Crowd:
    """Clients that spend from one account, each the next unit as soon as it has the last, while
    purchases settle on it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One purchase has settled, and the day has begun.

        Chance is always the same: the figures are.
        """
        monkeypatch.setattr(deadline, "JITTER", random.Random(20261124))
        monkeypatch.setattr(memory, "_seen", PerProcess())
        self.store = ContendedStore()
        self.books: Books = builders.books_on(self.store)
        self.meter = Meter(self.books, "")
        self.said: Counter[str] = Counter()
        self.store.deadline.begin()
        first, *self.late = [pending(self.books, plan="pro") for _ in range(1 + PURCHASES)]
        settlement.apply(self.books, fact(builders.completed(first)))
        debits.debit(self.meter, "alice", 1)
        self.store.calls.clear()

    def plain(self, number: int, turn: int) -> None:
        """Without a key."""
        del number, turn
        debits.debit(self.meter, "alice", 1)

    def keyed(self, number: int, turn: int) -> None:
        """With one of its own."""
        debits.debit_once(self.meter, "alice", 1, "backend", f"{number}-{turn}")

    def mixed(self, number: int, turn: int) -> None:
        """Every other one of them with a key."""
        (self.keyed if number % 2 else self.plain)(number, turn)

    def hold(self, number: int, turn: int) -> None:
        """Two requests, each with its own time."""
        del number, turn
        held = placing.place(self.meter, "alice", 1, 600).hold_id
        self.store.deadline.begin()
        closing.capture(self.meter, held, 1)

    def spend(self, kind: str) -> None:
        """All threads run concurrently until all are done."""
        way: Callable[[int, int], None] = getattr(self, kind)
        self.store.time.run(
            [
                *(self._client(way, number) for number in range(CLIENTS)),
                *map(self._settling, self.late),
            ]
        )

    def _client(self, way: Callable[[int, int], None], number: int) -> Callable[[], None]:
        def client() -> None:
            for turn in range(EACH):
                self.store.deadline.begin()
                try:
                    way(number, turn)
                except BillingError as refused:
                    self.said[refused.code] += 1
                except RetryableError as trouble:
                    self.said[type(trouble).__name__] += 1
                else:
                    self.said["done"] += 1

        return client

    def _settling(self, payment: Any) -> Callable[[], None]:
        def settle() -> None:
            self.store.deadline.begin()
            self.said[settlement.apply(self.books, fact(builders.completed(payment))).status] += 1

        return settle


@pytest.mark.parametrize("kind", ["plain", "keyed", "hold", "mixed"])
def test_sixty_four_who_spend_from_one_account_are_all_served_while_purchases_settle_on_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With conflicts as DynamoDB has them, 10 ms a call and the product's own 8 s: none is busy,
    none unknown, none refused.
    """
    crowd = Crowd(monkeypatch)
    crowd.spend(kind)
    assert crowd.said == {"done": ASKED, "settled": PURCHASES}
    laws.check(crowd.store.memory)
    account = crowd.store.memory.tables["quotas"]["alice", "quota"]
    assert (account["used"], account["total"]) == (1 + ASKED, (1 + PURCHASES) * 1000)


@pytest.mark.parametrize("kind", ["plain", "keyed"])
def test_a_crowd_that_finds_two_hundred_holds_expired_is_served_as_well(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them see it at the same moment: the holds come back once."""
    crowd = Crowd(monkeypatch)
    for _ in range(200):
        crowd.store.deadline.begin()
        placing.place(crowd.meter, "alice", 1, 60)
    crowd.books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    crowd.spend(kind)
    assert crowd.said == {"done": ASKED, "settled": PURCHASES}
    laws.check(crowd.store.memory)
    assert crowd.store.memory.tables["quotas"]["alice", "quota"]["held"] == 0


@pytest.mark.parametrize("kind", ["plain", "keyed", "hold", "mixed"])
def test_what_a_crowd_costs_is_bounded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few conflicts for each debit, and next to no transaction that insists in vain: it would keep
    the others off meanwhile.
    """
    crowd = Crowd(monkeypatch)
    crowd.spend(kind)
    assert crowd.store.calls["conflicts"] <= CONFLICTS_MAX[kind] * ASKED
    assert crowd.store.calls["refusals"] <= CLIENTS + EACH


def test_a_debit_without_concurrent_requests_insists_on_the_exact_balance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is no conflict the answer is exact: another container's debit between two of ours
    costs one more try.
    """
    crowd = Crowd(monkeypatch)
    answers = []

    def ours() -> None:
        crowd.store.deadline.begin()
        answers.append(debits.debit_once(crowd.meter, "alice", 1, "backend", "one").remaining)
        crowd.store.time.sleep(60)
        crowd.store.deadline.begin()
        answers.append(debits.debit_once(crowd.meter, "alice", 1, "backend", "two").remaining)

    def theirs() -> None:
        crowd.store.time.sleep(30)
        crowd.store.deadline.begin()
        debits.debit(crowd.meter, "alice", 5)

    crowd.store.time.run([ours, theirs])
    assert answers == [998, 992]
    assert (crowd.store.calls["conflicts"], crowd.store.calls["refusals"]) == (0, 1)
