"""Faults on the wire: requests that never leave, answers that never come, throttles, conflicts,
processes and databases killed.

A few seconds in ``make test``; ``make chaos`` sets TOPUP_CHAOS_SECONDS and goes on for ten minutes.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from billing.books import Books
from billing.errors import BillingError, RetryableError
from billing.holds import closing, placing
from billing.parked import records
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.reconciliation import hold_sweep
from billing.settings import Telling
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from properties.crowd import PerThread
from support import builders, dynamo, laws, model
from support.builders import fact, pending
from support.dynamo import Dynamo
from support.rough_wire import Killed, rough

from infra.local.paths import ROOT

SECONDS: Final = float(os.environ.get("TOPUP_CHAOS_SECONDS", "6"))
THREADS: Final = 16
PURCHASES: Final = 12
SEED: Final = int(os.environ.get("TOPUP_CHAOS_SEED", "1"))
FIGURES: Final = ROOT / ".local" / "figures" / "wire.json"
UNITS: Final = 5
CAPTURED: Final = 3
HOLD_SECONDS: Final = 86_400
"""No hold expires by itself: the clock of these books stands nearly still."""
figures: Counter[str] = Counter()


@dataclass(slots=True)
class Spent:
    """Debits as their caller saw them, in units by user."""

    taken: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    by_key: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """The debits that were answered under each user's key."""
    captured: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The holds whose capture was answered."""

    def least(self, user_id: str) -> int:
        """What must be gone."""
        by_key = UNITS * sum(bool(ids) for (who, _), ids in self.by_key.items() if who == user_id)
        return self.taken[user_id] + by_key + CAPTURED * len(self.captured[user_id])


@dataclass(slots=True)
class Storm:
    """One round: purchases told in several copies, debits beside them, and what
    was acknowledged.
    """

    books: Books
    payments: list[Payment]
    events: dict[str, list[dict[str, Any]]]
    settled: set[tuple[str, str]] = field(default_factory=set)
    """Payment and event of every delivery that was answered ``settled``: its mark was written with
    the effect."""
    paid: set[str] = field(default_factory=set)
    spent: Spent = field(default_factory=Spent)
    ends: list[tuple[str, str, str]] = field(default_factory=list)
    """User, hold, and how it was to end."""
    finished: list[object] = field(default_factory=list)

    def acts(self, chance: random.Random) -> list[Callable[[], None]]:
        """Each event twice under its own id, some under another; debits with and without a key."""
        told = [
            (payment.payment_id, event)
            for payment in self.payments
            for event in self.events[payment.payment_id]
        ] * 2
        told += [(name, {**event, "id": f"{event['id']}again"}) for name, event in told[::5]]
        acts = [partial(self._delivers, name, event) for name, event in told]
        acts += [partial(self._debits, f"user{number % 3}") for number in range(24)]
        acts += [
            partial(self.debits_under_a_key, f"user{number % 3}", f"key{number // 9}")
            for number in range(36)
        ]
        ends = ("captured", "captured", "released", "forgotten")
        acts += [
            partial(self._holds, f"user{number % 3}", ends[number % 4]) for number in range(24)
        ]
        chance.shuffle(acts)
        return [partial(self._counted, act) for act in acts]

    def _counted(self, act: Callable[[], None]) -> None:
        self.books.store.deadline.begin()
        try:
            act()
        except BillingError as refused:
            if refused.code != "quota_exhausted":
                raise
        finally:
            self.finished.append(act)

    def _delivers(self, name: str, event: dict[str, Any]) -> None:
        figures["deliveries"] += 1
        try:
            outcome = settlement.apply(self.books, fact(event))
        except (RetryableError, Killed):
            figures["deliveries answered 5xx, or not at all"] += 1
            return
        if outcome.status == "settled":
            self.settled.add((name, event["id"]))
        if (
            outcome.status in ("settled", "duplicate")
            and event["type"] == "checkout.session.completed"
        ):
            self.paid.add(name)

    def _debits(self, user_id: str) -> None:
        figures["debits"] += 1
        try:
            debits.debit(Meter(self.books, ""), user_id, UNITS)
        except (RetryableError, Killed):
            figures["debits with an unknown outcome"] += 1
            self.spent.unsure[user_id] += UNITS
        else:
            self.spent.taken[user_id] += UNITS

    def _holds(self, user_id: str, end: str) -> None:
        """Set aside, then captured in part, released, or forgotten.

        One that nobody knows of is found by nobody, and expires.
        """
        figures["holds"] += 1
        meter = Meter(self.books, "")
        try:
            hold_id = placing.place(meter, user_id, UNITS, HOLD_SECONDS).hold_id
        except (RetryableError, Killed):
            figures["holds with an unknown outcome"] += 1
            return
        if end != "forgotten":
            self.ends.append((user_id, hold_id, end))
            self.closes(user_id, hold_id, end)

    def closes(self, user_id: str, hold_id: str, end: str) -> None:
        """Again is the same: it is done once."""
        self.books.store.deadline.begin()
        meter = Meter(self.books, "")
        with suppress(RetryableError, Killed):
            if end == "released":
                closing.release(meter, hold_id)
            else:
                closing.capture(meter, hold_id, CAPTURED)
                self.spent.captured[user_id].add(hold_id)

    def debits_under_a_key(self, user_id: str, key: str) -> None:
        """Again under the same key is one debit."""
        figures["debits under a key"] += 1
        answered = self.spent.by_key.setdefault((user_id, key), set())
        try:
            answered.add(
                debits.debit_once(
                    Meter(self.books, ""), user_id, UNITS, "backend", f"{user_id}{key}"
                ).debit_id
            )
        except (RetryableError, Killed):
            return


def _round(
    database: Dynamo, seed: int, disturb: Callable[[Storm, int], None] | None = None
) -> None:
    chance = random.Random(seed)
    telling = Telling(is_on=bool(seed % 2))
    books = builders.books_on(database.store(), telling=telling)
    payments = [pending(books, user_id=f"user{number % 3}") for number in range(PURCHASES)]
    storm = Storm(
        books, payments, {payment.payment_id: _story(payment, chance) for payment in payments}
    )
    acts = storm.acts(chance)
    wire = rough(books.store, seed, figures)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(THREADS) as pool:
        patch.setattr(memory, "_seen", PerThread())
        work = [pool.submit(act) for act in acts]
        if disturb:
            disturb(storm, len(acts))
        for done in work:
            done.result()
    wire.is_rough = False
    _nothing_acknowledged_is_lost(storm)
    _ends_as_the_model_says(storm)
    if telling.is_on:
        found = dynamo.contents(books.store)
        laws.check_what_was_told(found, (payment.payment_id for payment in payments))
        figures["events out, each with its effect"] += len(found.tables["notices"])


def _expired_are_back(books: Books) -> None:
    """What was forgotten, and what nobody knew of: once, when its time is over."""
    later = replace(books, clock=lambda: builders.START + timedelta(days=2))
    books.store.deadline.begin()
    hold_sweep.sweep_holds(later)


def _story(payment: Payment, chance: random.Random) -> list[dict[str, Any]]:
    out = [builders.completed(payment)]
    if chance.random() < 0.5:
        amount = chance.choice([333, 999])
        refund_id = f"re_{payment.payment_id}"
        out += builders.refund_made(payment, refund_id, amount, amount)
    if chance.random() < 0.3:
        out.append(
            builders.dispute(
                payment,
                "funds_withdrawn",
                "needs_response",
                -600,
                dispute_id=f"du_{payment.payment_id}",
            )
        )
    return out


def _stored(books: Books, payment: Payment) -> Payment:
    books.store.deadline.begin()
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return Payment.from_item(item)


def _used(books: Books, user_id: str) -> int:
    books.store.deadline.begin()
    return Balance.from_item(books.store.get("quotas", (user_id, "quota"))).used


def _nothing_acknowledged_is_lost(storm: Storm) -> None:
    """Before anything is told again."""
    found = dynamo.contents(storm.books.store)
    laws.check(found)
    assert storm.settled <= set(found.tables["events"]), (
        "a delivery was answered `settled`, and its mark is gone"
    )
    for payment in storm.payments:
        if payment.payment_id in storm.paid:
            assert _stored(storm.books, payment).paid_minor == 999, (
                f"{payment.payment_id} was acknowledged and is gone"
            )
    for user_id in {payment.user_id for payment in storm.payments}:
        assert _used(storm.books, user_id) >= storm.spent.least(user_id), (
            f"a debit of {user_id} was answered and is gone"
        )


def _ends_as_the_model_says(storm: Storm) -> None:
    """Faults stop, and everything is delivered once more."""
    books, spent = storm.books, storm.spent
    for payment in storm.payments:
        for event in storm.events[payment.payment_id]:
            books.store.deadline.begin()
            settlement.apply(books, fact(event))
    for record in list(records.all_parked(books)):
        books.store.deadline.begin()
        settlement.retry(books, record)
    for user_id, key in sorted(spent.by_key):
        books.store.deadline.begin()
        with suppress(BillingError):  # no units are left: then nothing was taken under this key
            storm.debits_under_a_key(user_id, key)
        assert len(spent.by_key[user_id, key]) <= 1, f"{key} of {user_id} was debited twice"
    for end in storm.ends:
        storm.closes(*end)
    _expired_are_back(books)
    laws.check(dynamo.contents(books.store))
    expected: Counter[str] = Counter()
    for payment in storm.payments:
        status, credited, taken = model.purchase(
            storm.events[payment.payment_id], payment.quota, payment.amount_minor
        )
        stored = _stored(books, payment)
        assert (stored.status, stored.units_clawed_back) == (status, taken)
        expected[payment.user_id] += credited - taken
    for user_id, units in expected.items():
        balance = debits.read(books, user_id)
        assert balance.held == 0
        assert balance.remaining - balance.debt == units - balance.used
        assert spent.least(user_id) <= balance.used <= spent.least(user_id) + spent.unsure[user_id]


@pytest.fixture(scope="module", autouse=True)
def _written() -> Any:
    yield
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(
        json.dumps({"seconds asked for": int(SECONDS), "first seed": SEED, **figures}, indent=2)
    )


def _rounds(
    database: Dynamo, seconds: float, disturb: Callable[[Storm, int], None] | None = None
) -> None:
    """One round after the other; a failing one names its seed."""
    ends = time.monotonic() + seconds
    seed = SEED
    while True:
        try:
            _round(database, seed, disturb)
        except AssertionError as error:
            raise AssertionError(f"TOPUP_CHAOS_SEED={seed}: {error}") from error
        figures[f"rounds on {database.name}"] += 1
        if time.monotonic() > ends:
            return
        if seed % 20 == 0:
            sys.stderr.write(f"{database.name}: {dict(figures)}\n")
        seed += 1


@pytest.mark.parametrize("name", ["ministack", "dynoxide"])
def test_sixteen_threads_on_a_rough_wire_end_as_the_model_says(name: str) -> None:
    """Duplicates under the same event id and under another, and debits; the seed of a failing round
    is in its message.
    """
    with getattr(dynamo, name)() as database:
        _rounds(database, SECONDS / 3)


def test_what_was_acknowledged_survives_the_database_being_killed() -> None:
    """``kill -9`` in the middle of sixteen threads' work, and a start on the same file."""
    with dynamo.dynoxide() as database:

        def kills(storm: Storm, acts: int) -> None:
            for part in (1, 2):
                while len(storm.finished) < acts * part // 3:
                    threading.Event().wait(0.002)  # the threads tell nobody how far they are
                database.kill()
                figures["kills"] += 1
                database.start()

        _rounds(database, SECONDS / 3, kills)
