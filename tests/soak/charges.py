"""Histories of automatic charges with faults at DynamoDB and at Stripe, each from its number alone.

``python -m soak.charges 1000000`` plays so many, and stops at the first that breaks a law.
With ``--minutes`` it ends after them, and publishes the number that it has played.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from billing.errors import BillingError, ConditionFailedError, Item, OutcomeUnknownError
from billing.storage.writes import Table, Write
from support import builders
from support.fakes.card_twin import DECLINES, FAULTS, UNDER_WAY
from support.fakes.memory_store import MemoryStore
from support.top_ups import Story, story

from infra.local.paths import ROOT

ACTS_MAX: Final = 14
SHARE: Final = 400
"""How many the suite plays."""
LOST_IN: Final = 12
"""One call in so many meets a fault, while faults are on."""
TOLD_EVERY: Final = 20_000
FIGURES: Final = ROOT / ".local" / "figures" / "charges.json"
AT_DYNAMODB: Final = ("a read", "before a write", "after a write")
PASSING: Final = (OutcomeUnknownError, BillingError)


class Store(MemoryStore):
    """Loses calls before they are carried out, and answers after."""

    def __init__(self, chance: random.Random) -> None:
        """Faults are off."""
        super().__init__()
        self.chance = chance
        self.is_faulty = False
        self.struck: Counter[str] = Counter()

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """See MemoryStore."""
        self._lose("a read")
        return super().get(table, key)

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        self._lose("before a write")
        super().commit(*writes)
        self._lose("after a write")

    def _lose(self, place: str) -> None:
        if self.is_faulty and not self.chance.randrange(LOST_IN):
            self.struck[place] += 1
            raise OutcomeUnknownError(place)


def history(number: int) -> Counter[str]:
    """Play one history, and what follows from it when all faults are over. Returns what struck."""
    chance = random.Random(number)
    store = Store(chance)
    builders.renumber()
    played = story(store)
    seen: Counter[str] = Counter()
    for _ in range(chance.randrange(2, ACTS_MAX)):
        name, act = chance.choice(ACTS)
        seen[name] += 1
        seen += _play(played, store, act, chance)
    _end(played, store)
    seen["attempts"] = len(played.stripe.attempts)
    seen["charges"] = len(played.stripe.succeeded)
    return seen + store.struck


def _play(
    played: Story,
    store: Store,
    act: Callable[[Story, random.Random], object],
    chance: random.Random,
) -> Counter[str]:
    played.stripe.script = chance.choices(WORDS, WEIGHTS, k=3)
    faults = chance.choices(("", *FAULTS), (6, 1, 1, 1, 1), k=4)
    played.stripe.faults = [*faults]
    store.is_faulty = chance.random() < 0.5
    try:
        act(played, chance)
    except (*PASSING, ConditionFailedError):
        pass
    finally:
        store.is_faulty = False
    played.check()
    struck = faults[: len(faults) - len(played.stripe.faults)]
    return Counter(fault for fault in struck if fault)


def _end(played: Story, store: Store) -> None:
    """Everything heals: what Stripe charged is credited, and nothing stays open."""
    played.stripe.script, played.stripe.faults = [], []
    for hours in (1, 2, 25, 25, 25, 25, 25):
        for payment in played.payments:
            played.stripe.end(payment.payment_id, "succeeded")
        played.advance(hours=hours)
        played.run()
    played.deliver()
    played.reconcile()
    played.check()
    assert played.credited == len(played.stripe.succeeded), "charged, and not credited"
    played.run()
    assert played.agreement.charge is None, "a charge stays open"
    assert not store.is_faulty


def _run(played: Story, _: random.Random) -> None:
    """A run. While it is switched off, or paused, no card is tried."""
    store: Any = played.books.store
    is_faulty, store.is_faulty = store.is_faulty, False
    is_off, tried = not played.agreement.charges, len(played.stripe.attempts)
    store.is_faulty = is_faulty
    try:
        played.run_only()
    finally:
        assert not is_off or len(played.stripe.attempts) == tried, "tried a card while it is off"


def _spend(played: Story, chance: random.Random) -> None:
    if units := played.remaining:
        played.spend(chance.choice((units, max(1, units // 2))))


def _deliver_twice(played: Story, _: random.Random) -> None:
    for event in [*played.stripe.events]:
        played.settle(event)


def _refund(played: Story, chance: random.Random) -> None:
    paid = [row for row in played.payments if row.payment_intent and row.completed_at]
    if paid:
        payment = chance.choice(paid)
        event: dict[str, Any] = builders.refunded(payment, payment.amount_minor)
        event["data"]["object"]["payment_intent"] = payment.payment_intent
        played.settle(event)


def _advance(played: Story, chance: random.Random) -> None:
    played.advance(seconds=chance.choice((61, 3600, 7 * 3600, 23 * 3600, 40 * 3600, 15 * 86400)))


ACTS: Final[tuple[tuple[str, Callable[[Story, random.Random], object]], ...]] = (
    ("run", _run),
    ("run", _run),
    ("run", _run),
    ("spend", _spend),
    ("spend", _spend),
    ("advance", _advance),
    ("advance", _advance),
    ("deliver", lambda played, _: played.deliver()),
    ("deliver twice", _deliver_twice),
    ("reconcile", lambda played, _: played.reconcile()),
    ("switch off", lambda played, _: played.switch_off()),
    ("agree", lambda played, _: played.agree()),
    ("refund", _refund),
)
WORDS: Final = ("succeeded", *DECLINES, *UNDER_WAY)
WEIGHTS: Final = (8, *[1] * (len(WORDS) - 1))


def histories(first: int, count: int) -> Iterator[Counter[str]]:
    """Play many. Raises AssertionError that names the one which breaks a law."""
    for number in range(first, first + count):
        try:
            yield history(number)
        except AssertionError as error:
            message = f"history {number}: {error}"
            raise AssertionError(message) from error


def figures(seen: Counter[str], count: int, seconds: float) -> dict[str, Any]:
    """Return what docs/guarantees.md shows. A history that broke a law does not come here."""
    acts = sorted({name for name, _ in ACTS})
    return {
        "histories": count,
        "steps": sum(seen[name] for name in acts),
        "attempts on a card": seen["attempts"],
        "charges": seen["charges"],
        "charged twice": 0,
        "charged above the month's limit": 0,
        "charged without a row": 0,
        "tried a card while it is off": 0,
        "credited without a charge": 0,
        "charged and not credited": 0,
        "faults at DynamoDB": {name: seen[name] for name in AT_DYNAMODB},
        "faults at Stripe": {name: seen[name] for name in FAULTS},
        "seconds": round(seconds),
    }


def main() -> None:
    """Play so many, or as many as the time allows, and leave the figures of the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("histories", type=int)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    seen: Counter[str] = Counter()
    begun, number = time.monotonic(), 0
    for number, found in enumerate(histories(0, asked.histories), 1):
        seen += found
        if not number % TOLD_EVERY:
            sys.stdout.write(f"{number} histories: {dict(seen)}\n")
            sys.stdout.flush()
        if time.monotonic() - begun > 60 * asked.minutes:
            break
    told = figures(seen, number, time.monotonic() - begun)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(told, indent=2))
    sys.stdout.write(f"{told}\nthe figures are in {FIGURES}, for make docs\n")


if __name__ == "__main__":
    main()
