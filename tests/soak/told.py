"""Effects and deliveries with faults: every effect is told once, and every event arrives.

``make soak`` plays 100 000 faulted tries beside its deliveries. The suite plays a share of them.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from billing.books import Books
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.notices import delivery, outbox
from billing.notices.delivery import Answer, Failed, Sent
from billing.notices.rows import Row
from billing.settings import Telling
from billing.settlement import settlement
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore

from infra.local.paths import ROOT

WHOLE: Final = 100_000
"""Faulted tries of a run whose figures may be published."""
FIGURES: Final = ROOT / ".local" / "figures" / "told.json"
ACCOUNTS: Final = 8
PURCHASES: Final = 60
HOUR: Final = 3600
DOWN_SECONDS: Final = 72 * HOUR
ROUNDS_MAX: Final = 20_000


class Faulty(MemoryStore):
    """Loses answers: of writes that were carried out, and of writes that were not."""

    def __init__(self, chance: random.Random, share: float) -> None:
        """``share`` of all writes lose their answer."""
        super().__init__()
        self.marked_a_page = 100
        self.lost = 0
        self._chance, self._share = chance, share

    def commit(self, *writes: Write) -> None:
        """Carry out, or not, and lose the answer."""
        if self._chance.random() >= self._share:
            super().commit(*writes)
            return
        self.lost += 1
        if self._chance.random() < 0.5:
            super().commit(*writes)
        raise OutcomeUnknownError("injected")


class Receiver:
    """Takes events, loses answers, answers 500, and is down for three days in half of the waves."""

    def __init__(self, chance: random.Random, clock: Clock, *, is_down: bool) -> None:
        """``is_down``: from now on, for 72 hours."""
        self._chance, self._clock = chance, clock
        until = clock.now.timestamp() + (DOWN_SECONDS if is_down else 0)
        self._down_until = until if is_down else 0.0
        self._was_down = is_down
        self.tries = self.faulted = 0
        self.got: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {}

    def __call__(self, row: Row) -> Answer:
        """Take one event, or not."""
        self.tries += 1
        if self._clock.now.timestamp() < self._down_until:
            self.faulted += 1
            return Failed("no answer in 5 s")
        luck = self._chance.random()
        if not self._was_down and luck < 0.3:
            self.faulted += 1
            return Failed("HTTP 500")
        self.got[row.id] += 1
        same = self.bodies.setdefault(row.id, row.body())
        assert same == row.body(), "an event changed between two deliveries"
        if not self._was_down and luck < 0.6:
            self.faulted += 1
            return Failed("the answer was lost")
        return Sent()


@dataclass
class Result:
    """What a run has come to."""

    effects: int = 0
    rows: int = 0
    tries: int = 0
    faulted: int = 0
    lost_answers: int = 0
    repeated: int = 0
    """Deliveries of an event that had arrived already."""
    wrong: list[str] = field(default_factory=list)

    def figures(self, seed: str) -> dict[str, int | str]:
        """For docs/guarantees.md. A run that found anything wrong does not come here."""
        return {
            "effects": self.effects,
            "events": self.rows,
            "tries": self.tries,
            "tries with a fault": self.faulted,
            "writes whose answer was lost": self.lost_answers,
            "deliveries of an event that had arrived": self.repeated,
            "effects without an event, or with two": 0,
            "events lost, changed or out of sequence": 0,
            "seed": seed,
        }


def wave(seed: str, number: int, result: Result) -> None:
    """Play one wave: purchases, then deliveries until nothing is due."""
    chance, clock = random.Random(f"{seed} {number}"), Clock()
    store = Faulty(chance, 0.1)
    books = builders.books_on(store, clock=clock, telling=Telling(is_on=True, low_at=50))
    receiver = Receiver(chance, clock, is_down=number % 2 == 0)
    expected = list(_effects(books, chance))
    for item in list(store.tables["notices"].values()):
        _stream(books, receiver, chance, dict(item))
    _sweep_all(books, receiver, clock, store)
    _judge(store, receiver, expected, result)


def _effects(books: Books, chance: random.Random) -> Iterator[str]:
    """Purchases of some accounts, each delivered until it is settled, and again."""
    for number in range(PURCHASES):
        payment = pending(_well(books), f"user{number % ACCOUNTS}")
        event = builders.completed(payment)
        for _ in range(chance.randint(1, 3)):
            _until_settled(books, event)
        yield payment.payment_id


def _well(books: Books) -> Books:
    """Books on the same tables, without faults: for what the buyer does before."""
    store = MemoryStore()
    store.tables = books.store.tables  # type: ignore[attr-defined]
    return builders.books_on(store)


def _until_settled(books: Books, event: dict[str, Any]) -> None:
    while True:
        books.store.deadline.begin()
        try:
            settlement.apply(books, fact(event))
        except OutcomeUnknownError:
            continue  # Stripe delivers again
        return


def _stream(books: Books, receiver: Receiver, chance: random.Random, item: Item) -> None:
    """The stream's run: it may be lost, and it may come twice."""
    for _ in range(chance.choice((0, 1, 1, 2))):
        _deliver(books, receiver, Row.from_item(item))


def _deliver(books: Books, receiver: Receiver, row: Row) -> None:
    books.store.deadline.begin()
    try:
        delivery.deliver(books, {"url": receiver}, row)
    except (OutcomeUnknownError, ConditionFailedError):
        return  # it is due again later


def _sweep_all(books: Books, receiver: Receiver, clock: Clock, store: Faulty) -> None:
    """The schedule, minute by minute; minutes in which nothing is due are left out."""
    for _ in range(ROUNDS_MAX):
        due = [item["due_at"] for item in store.tables["notices"].values() if "due" in item]
        if not due:
            return
        wait = max(60, min(due) - int(clock.now.timestamp()))
        clock.advance(seconds=wait + (-wait) % 60)
        for row in list(outbox.find_due(books)):
            _deliver(books, receiver, row)
    raise AssertionError("events stay due for ever")


def _judge(store: Faulty, receiver: Receiver, expected: list[str], result: Result) -> None:
    laws.check(store)
    rows = [Row.from_item(item) for item in store.tables["notices"].values()]
    told = Counter(row.data["payment_id"] for row in rows if row.type == "payment.completed")
    sequences: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: row.sequence):
        sequences.setdefault(row.user_id, []).append(row.sequence)
    wrong = [f"{name} was told {told[name]} times" for name in expected if told[name] != 1]
    wrong += [f"{row.id} is {row.state}" for row in rows if row.state != "delivered"]
    wrong += [f"{row.id} never arrived" for row in rows if not receiver.got[row.id]]
    wrong += [f"{name} has {found}" for name, found in sequences.items() if _has_gap(found)]
    wrong += [f"{name} is nobody's" for name in set(receiver.got) - {row.id for row in rows}]
    result.wrong += wrong
    result.effects += len(expected)
    result.rows += len(rows)
    result.tries += receiver.tries
    result.faulted += receiver.faulted
    result.lost_answers += store.lost
    result.repeated += sum(count - 1 for count in receiver.got.values())


def _has_gap(found: list[int]) -> bool:
    return found != list(range(1, len(found) + 1))


def play(faulted: int, seed: str = "1") -> Result:
    """Play waves until that many tries were faulted."""
    result, number = Result(), 0
    while result.faulted < faulted and not result.wrong:
        number += 1
        wave(seed, number, result)
    return result


def main() -> int:
    """Play the whole, print what came of it, and leave its figures for ``make docs``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faulted", type=int, default=WHOLE)
    parser.add_argument("--seed", default="1")
    asked = parser.parse_args()
    result = play(asked.faulted, asked.seed)
    sys.stdout.write(f"events out: {result}\n")
    if result.wrong:
        return 1
    if result.faulted >= WHOLE:
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(result.figures(asked.seed), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
