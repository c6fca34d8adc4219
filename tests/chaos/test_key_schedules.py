"""Every interleaving of two who spend by a key with a limit, change it, revoke it or begin a day.

Without a fault, answers and figures are those of one after the other, in one order or the other.
With a fault at every outside call the laws hold, and no limit is exceeded.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from billing.books import Books
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import closing, hold, placing
from billing.keys import api_keys, changes, counting, live_count, revocation
from billing.keys.limits import Limit
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.quota.key_use import KeyUse
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, key_laws, laws
from support.builders import Still, fact, pending
from support.schedules import Handlers, ScheduledStore, explore, fresh_books

Record = Callable[[str, dict[str, int]], None]
LIMIT: Final = Limit(10, "day")
USED: Final = 3
HELD: Final = 3
LEFT: Final = LIMIT.units - USED - HELD
KEY_ID: Final = "key_" + "0123456789ab" * 2
REFUSED: Final = ("key_limit_reached", "invalid_key", "not_found", "hold_closed", "quota_exhausted")
OPEN: Final = [
    ("a debit", "a debit"),
    ("a debit", "a debit under a key"),
    ("a debit", "a hold"),
    ("a debit", "a capture"),
    ("a debit", "a release"),
    ("a debit", "a refund"),
    ("a hold", "a hold of what is left"),
    ("a hold", "a release"),
    ("a hold", "a revocation"),
    ("a capture", "a revocation"),
    ("a release", "a revocation"),
    ("a debit", "a revocation"),
    ("a revocation", "a revocation"),
    ("a debit", "a raise"),
    ("a debit", "a cut"),
    ("a debit", "a limit by the month"),
    ("a debit", "no limit"),
    ("a release", "no limit"),
    ("a capture", "a limit by the month"),
    ("no limit", "a raise"),
    ("a raise", "a cut"),
    ("a raise", "a revocation"),
    ("a debit", "tomorrow's debit"),
    ("a hold", "tomorrow's debit"),
    ("a raise", "tomorrow's debit"),
    ("a limit by the month", "tomorrow's debit"),
    ("a revocation", "tomorrow's debit"),
    ("tomorrow's debit", "tomorrow's debit"),
    ("a new key", "tomorrow's debit"),
]
EXPIRED: Final = [
    ("a debit", "a debit"),
    ("a debit", "a hold"),
    ("a debit", "a sweep"),
    ("a debit", "a raise"),
    ("a debit", "no limit"),
    ("a debit", "a revocation"),
    ("a sweep", "a revocation"),
    ("a sweep", "no limit"),
    ("a hold of what is left", "a sweep"),
    ("a sweep", "tomorrow's debit"),
]
FREE: Final = [
    ("a debit", "a raise"),
    ("a hold", "a raise"),
    ("a release", "a raise"),
    ("a capture", "a raise"),
    ("a debit", "a revocation"),
    ("a raise", "tomorrow's debit"),
    ("a debit", "tomorrow's debit"),
]
FAULTY: Final = [
    ("a debit", "a debit"),
    ("a debit", "a release"),
    ("a capture", "a revocation"),
    ("a debit", "a raise"),
    ("a debit", "tomorrow's debit"),
    ("a revocation", "tomorrow's debit"),
    ("a capture", "tomorrow's debit"),
]


class Scene:
    """Alice has bought 100 units. Her key has used 3 of 10 a day, and 3 are in an open hold."""

    def __init__(self, store: ScheduledStore, *, is_expired: bool, limit: Limit | None) -> None:
        """Before anything happens at the same time."""
        self.store, self.limit = store, limit
        self.books = fresh_books(store)
        self.clock: Still = self.books.clock  # type: ignore[assignment]
        self.meter = Meter(self.books, "")
        payment, self.held = store.before(self._begun)
        self.refund = builders.refunded(payment, 300)
        if is_expired:
            self.clock.now += timedelta(seconds=61)

    def _begun(self) -> tuple[Payment, str]:
        payment = pending(self.books, payment_id="pay_1", session_id="cs_1")
        settlement.apply(self.books, fact(builders.completed(payment)))
        self._makes(KEY_ID, self.limit)
        self._debits(USED)
        return payment, self._holds(HELD, 60)

    def _makes(self, key_id: str, limit: Limit | None) -> None:
        """A key with an id of ours: a schedule must be the same each time."""
        number = key_id.removeprefix("key_")
        row = {"name": "k", "created_at": ""} | ({"limit": limit.to_item()} if limit else {})
        writes = api_keys._creation("alice", number, "secret", row, limit)
        live_count.commit_counted(self.books, "user#alice", writes)

    def _spends(self, act: Callable[[KeyUse | None], Any], books: Books | None = None) -> Any:
        return counting.spend_for(books or self.books, "alice", KEY_ID, act)

    def _debits(self, units: int, meter: Meter | None = None) -> Any:
        account = meter or self.meter
        return self._spends(lambda key: debits.debit(account, "alice", units, key), account.books)

    def _debits_once(self, units: int) -> Any:
        def take(key: KeyUse | None) -> Any:
            return debits.debit_once(self.meter, "alice", units, "backend", "k", api_key=key)

        return self._spends(take)

    def _holds(self, units: int, seconds: int, at_least: int = 0) -> str:
        def take(key: KeyUse | None) -> hold.Hold:
            return placing.place(self.meter, "alice", units, seconds, at_least=at_least, key=key)

        return str(self._spends(take).hold_id)

    def _tomorrow(self) -> Any:
        ahead = Still()
        ahead.now = self.clock.now + timedelta(days=1)
        return self._debits(LEFT, Meter(builders.books_on(self.store, clock=ahead), ""))

    def _changes(self, limit: Limit | None) -> Any:
        return changes.change(self.books, "alice", KEY_ID, {"limit": limit})

    def does(self, name: str) -> str:
        """Whether it was done, or with which code it was refused."""
        acts: dict[str, Callable[[], Any]] = {
            "a debit": lambda: self._debits(LEFT),
            "a debit under a key": lambda: self._debits_once(LEFT),
            "a hold": lambda: self._holds(LEFT, 600),
            "a hold of what is left": lambda: self._holds(50, 600, 1),
            "a capture": lambda: closing.capture(self.meter, self.held, 1),
            "a release": lambda: closing.release(self.meter, self.held),
            "a sweep": lambda: hold_expiry.give_back_expired(self.books, "alice", self.stored()),
            "a refund": lambda: settlement.apply(self.books, fact(self.refund)),
            "a revocation": lambda: revocation.revoke(self.books, "alice", KEY_ID),
            "a raise": lambda: self._changes(Limit(12, "day")),
            "a cut": lambda: self._changes(Limit(5, "day")),
            "a limit by the month": lambda: self._changes(Limit(10, "month")),
            "no limit": lambda: self._changes(None),
            "a new key": lambda: self._makes("key_" + "f" * 24, Limit(1, "total")),
            "tomorrow's debit": self._tomorrow,
        }
        try:
            acts[name]()
        except BillingError as refused:
            if refused.code not in REFUSED:
                raise
            return refused.code
        return "done"

    def stored(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def figures(self) -> tuple[Any, ...]:
        """What can be seen of the account and of the key."""
        laws.check(self.store.memory)
        balance = self.stored()
        key = next(iter(api_keys.list_all(self.books, "alice")), None)
        shown = key and (key.limit, key.limit_remaining, key.used_today, key.used_total)
        total = key_laws.total(self.store.memory, "alice", KEY_ID)
        read = debits.read(self.books, "alice")
        return (balance.used, read.held, read.remaining, total, shown)


def _scene(*, is_expired: bool, limit: Limit | None) -> Callable[[ScheduledStore], Scene]:
    return lambda store: Scene(store, is_expired=is_expired, limit=limit)


def _one_after_the_other(
    make: Callable[[ScheduledStore], Scene], names: tuple[str, str]
) -> list[Any]:
    """Return answers and figures of both orders."""
    found = []
    for order in ((0, 1), (1, 0)):
        scene, said = make(ScheduledStore()), ["", ""]
        for number in order:
            said[number] = scene.does(names[number])
        found.append((said, scene.figures()))
    return found


def _exact(
    make: Callable[[ScheduledStore], Scene], names: tuple[str, str]
) -> Callable[[ScheduledStore], Handlers]:
    possible = _one_after_the_other(make, names)

    def build(store: ScheduledStore) -> Handlers:
        scene, said = make(store), ["", ""]

        def act(number: int) -> None:
            said[number] = scene.does(names[number])

        def check(ends: list[str]) -> None:
            assert ends == ["done", "done"]
            assert (said, scene.figures()) in possible

        return [lambda: act(0), lambda: act(1)], check

    return build


@pytest.mark.parametrize("names", OPEN, ids=" and ".join)
def test_two_at_once_beside_an_open_hold_are_as_one_after_the_other(
    names: tuple[str, str], record_figures: Record
) -> None:
    make = _scene(is_expired=False, limit=LIMIT)
    record_figures(" and ".join(names), explore(_exact(make, names), ()))


@pytest.mark.parametrize("names", EXPIRED, ids=" and ".join)
def test_two_at_once_after_an_expiry_are_as_one_after_the_other(
    names: tuple[str, str], record_figures: Record
) -> None:
    make = _scene(is_expired=True, limit=LIMIT)
    record_figures(f"{' and '.join(names)}, expired", explore(_exact(make, names), ()))


@pytest.mark.parametrize("names", FREE, ids=" and ".join)
def test_two_at_once_on_a_key_without_a_limit_are_as_one_after_the_other(
    names: tuple[str, str], record_figures: Record
) -> None:
    make = _scene(is_expired=False, limit=None)
    record_figures(f"{' and '.join(names)}, no limit", explore(_exact(make, names), ()))


def _faulty(names: tuple[str, str]) -> Callable[[ScheduledStore], Handlers]:
    def build(store: ScheduledStore) -> Handlers:
        scene = Scene(store, is_expired=False, limit=LIMIT)

        def act(number: int) -> None:
            scene.does(names[number])

        def check(ends: list[str]) -> None:
            del ends
            memory._seen.clear()
            used, held, _, total, shown = scene.figures()
            assert used == total, "everything was used by the key"
            of_today = shown[2] if shown else used
            days = 1 + ("tomorrow's debit" in names)
            assert of_today <= 12
            assert used + held <= 12 * days
            scene.clock.now += timedelta(days=40)
            scene.does("a debit")
            laws.check(store.memory)

        return [lambda: act(0), lambda: act(1)], check

    return build


@pytest.mark.parametrize("names", FAULTY, ids=" and ".join)
def test_no_fault_exceeds_a_limit_or_loses_a_figure(
    names: tuple[str, str], record_figures: Record
) -> None:
    record_figures(f"{' and '.join(names)} by a key, faults", explore(_faulty(names)))
