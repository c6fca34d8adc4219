"""Random histories of keys with limits, beside a plain model of what each may use.

Without faults every answer is the model's. With any fault at any call the laws hold all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from billing.clock import day
from billing.errors import BillingError, OutcomeUnknownError, RetryableError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.holds import hold as holds
from billing.holds.hold import HoldId
from billing.keys import api_keys, changes, counting, revocation
from billing.keys.limits import PERS, Limit
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Per
from billing.quota.key_use import KeyUse
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from hypothesis import given
from properties.test_spending_histories import RoughStore, faults
from support import builders, key_laws, laws
from support.builders import Clock, fact, pending
from support.histories import Act, Draw, live, many, steps, without
from support.schedules import Crash

RUNS = 300
STEPS = 40
KEYS_MAX = 3
UNITS_MAX = 12
SOME = ("debits", "holds_back", "ends_a_hold", "changes", "revokes", "refunds", "waits", "sweeps")
REFUSALS = ("quota_exhausted", "key_limit_reached", "invalid_key", "hold_closed", "not_found")


@dataclass(slots=True)
class Key:
    """What the model knows of a key."""

    limit: Limit | None
    used: list[tuple[str, int]] = field(default_factory=list)
    """Day and units."""
    is_live: bool = True

    def used_in(self, per: Per, today: str) -> int:
        """Units used in the window of that day."""
        chars = {"day": 10, "month": 7, "total": 0}[per]
        return sum(units for when, units in self.used if when[:chars] == today[:chars])


@dataclass(slots=True)
class Hold:
    """An open hold in the model."""

    hold_id: str
    key_id: str
    units: int
    expires_at: int


class Keys:
    """Alice, her keys, and a model of them."""

    def __init__(self, *, has_faults: bool) -> None:
        """She has bought once."""
        memory._seen.clear()
        self.has_faults = has_faults
        self.store, self.clock = RoughStore(), Clock()
        self.books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "")
        self.keys: dict[str, Key] = {"": Key(None)}
        self.holds: list[Hold] = []
        self.payment = pending(self.books, payment_id="pay_1", session_id="cs_1")
        settlement.apply(self.books, fact(builders.completed(self.payment)))
        self.bought, self.refunds = 100, 0

    def acts(self) -> Iterator[Act]:
        """Whatever can happen now."""
        yield from (self.debits, self.holds_back, self.waits, self.sweeps)
        if len(self.keys) <= KEYS_MAX:
            yield self.creates
        if self.refunds < 2:
            yield self.refunds_a_part
        if len(self.keys) > 1:
            yield from (self.changes, self.revokes)
        if self.holds:
            yield self.ends_a_hold

    def asks(self, draw: Draw, act: Callable[[], Any]) -> Any:
        """The answer, or the code of a refusal. With faults it may be "unknown"."""
        self.store.faults = faults(draw) if self.has_faults else []
        self.store.deadline.begin()
        try:
            return act()
        except BillingError as refused:
            if refused.code not in REFUSALS:
                raise
            return refused.code
        except Crash:
            memory._seen.clear()
            return "unknown"
        except (RetryableError, OutcomeUnknownError):
            return "unknown"
        finally:
            self.store.faults = []

    @property
    def today(self) -> str:
        """The UTC day."""
        return day(self.clock.now)

    def _open(self) -> list[Hold]:
        now = self.clock.now.timestamp()
        return [hold for hold in self.holds if now < hold.expires_at]

    def remaining(self) -> int:
        """What the model has left for all. Refunds take from it, and may leave a debt."""
        used = sum(units for key in self.keys.values() for _, units in key.used)
        return self.bought - used - sum(hold.units for hold in self._open())

    def left(self, key_id: str) -> int | None:
        """What a key's limit leaves."""
        key = self.keys[key_id]
        if key.limit is None:
            return None
        held = sum(hold.units for hold in self._open() if hold.key_id == key_id)
        return key.limit.units - key.used_in(key.limit.per, self.today) - held

    def _expected(self, key_id: str, units: int) -> str:
        """What a debit or hold must be answered."""
        left = self.left(key_id)
        if not self.keys[key_id].is_live:
            return "invalid_key"
        if self.remaining() < units:
            return "quota_exhausted"
        return "key_limit_reached" if left is not None and left < units else "done"

    def _spend(self, draw: Draw, key_id: str, act: Callable[[KeyUse | None], Any]) -> Any:
        return self.asks(draw, lambda: counting.spend_for(self.books, "alice", key_id, act))

    def creates(self, draw: Draw) -> None:
        """A key, with or without a limit."""
        limit = self._limit(draw)
        said = self.asks(
            draw, lambda: api_keys.create(self.books, "alice", "dev", "k", limit).key_id
        )
        if said != "unknown":
            self.keys[said] = Key(limit)

    def _limit(self, draw: Draw) -> Limit | None:
        per = draw.one_of((*PERS, None))
        return Limit(draw.upto(20, 1), per) if per else None

    def _key(self, draw: Draw) -> str:
        return draw.one_of(sorted(self.keys)[1:])

    def debits(self, draw: Draw) -> None:
        """By any key, or without one."""
        key_id, units = draw.one_of(sorted(self.keys)), draw.upto(UNITS_MAX, 1)
        expected = self._expected(key_id, units)
        said = self._spend(draw, key_id, lambda key: debits.debit(self.meter, "alice", units, key))
        self._compare(said, expected)
        if not isinstance(said, str):
            self.keys[key_id].used.append((self.today, said.units))

    def holds_back(self, draw: Draw) -> None:
        """Of all that was asked for, or of what there is."""
        key_id, units = draw.one_of(sorted(self.keys)), draw.upto(UNITS_MAX, 1)
        at_least = draw.one_of((0, draw.upto(units, 1)))
        seconds = draw.one_of((60, 3_600, 86_400))
        expected = self._expected(key_id, at_least or units)
        most = min(units, self.remaining(), *(x for x in [self.left(key_id)] if x is not None))

        def place(key: KeyUse | None) -> holds.Hold:
            return placing.place(self.meter, "alice", units, seconds, at_least=at_least, key=key)

        said = self._spend(draw, key_id, place)
        self._compare(said, expected)
        if not isinstance(said, str):
            assert self.has_faults or said.units == most
            expires_at = HoldId.parse(said.hold_id).expires_at
            self.holds.append(Hold(said.hold_id, key_id, said.units, expires_at))

    def ends_a_hold(self, draw: Draw) -> None:
        """A capture of a part, or a release."""
        hold = draw.one_of(self.holds)
        units = draw.upto(hold.units)
        is_open = hold in self._open()
        self.holds.remove(hold)
        act = (
            (lambda: closing.capture(self.meter, hold.hold_id, units))
            if units
            else (lambda: closing.release(self.meter, hold.hold_id))
        )
        said = self.asks(draw, act)
        self._compare(said, "done" if is_open else "hold_closed")
        if not isinstance(said, str):
            self.keys[hold.key_id].used.append((self.today, units))

    def changes(self, draw: Draw) -> None:
        """A limit that is raised, lowered, removed, or of another window."""
        key_id, limit = self._key(draw), self._limit(draw)
        said = self.asks(
            draw, lambda: changes.change(self.books, "alice", key_id, {"limit": limit})
        )
        key = self.keys[key_id]
        self._compare(said, "done" if key.is_live else "not_found")
        if not isinstance(said, str):
            key.limit = limit

    def revokes(self, draw: Draw) -> None:
        """For good."""
        key_id = self._key(draw)
        said = self.asks(draw, lambda: revocation.revoke(self.books, "alice", key_id))
        self._compare(said, "done" if self.keys[key_id].is_live else "not_found")
        self.keys[key_id].is_live = False

    def refunds_a_part(self, draw: Draw) -> None:
        """A tenth of what was paid, of what remains."""
        if self.remaining() < 20 and not self.has_faults:
            return
        self.refunds += 1
        event = fact(builders.refunded(self.payment, 99 * self.refunds))
        said = self.asks(draw, lambda: settlement.apply(self.books, event))
        if said == "unknown":
            settlement.apply(self.books, event)
        self.bought = 100 - 100 * 99 * self.refunds // 999

    def waits(self, draw: Draw) -> None:
        """Holds expire, days and months end."""
        self.clock.advance(seconds=draw.one_of((1, 61, 4_000, 50_000, 90_000, 40 * 86_400)))

    def sweeps(self, draw: Draw) -> None:
        """Expired holds are given back."""
        self.asks(draw, lambda: hold_expiry.give_back_expired(self.books, "alice", self.stored()))

    def _compare(self, said: Any, expected: str) -> None:
        answered = said if isinstance(said, str) else "done"
        assert self.has_faults or answered == expected, (answered, expected)

    def stored(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def check(self) -> None:
        """The laws; and without faults each key shows what the model has."""
        laws.check(self.store.memory)
        if self.has_faults:
            return
        shown = {key.key_id: key for key in api_keys.list_all(self.books, "alice")}
        for key_id, key in self.keys.items():
            if not key_id:
                continue
            total = key.used_in("total", self.today)
            assert key_laws.total(self.store.memory, "alice", key_id) == total
            assert key.is_live == (key_id in shown)
            if not key.is_live:
                continue
            left = self.left(key_id)
            figures = shown[key_id]
            assert figures.limit_remaining == (None if left is None else max(0, left))
            assert figures.used_today == key.used_in("day", self.today)
            assert figures.used_this_month == key.used_in("month", self.today)
            assert figures.used_total == total

    def end(self) -> None:
        """A debit on a later day books everything."""
        self.clock.advance(days=2)
        self.has_faults = False
        counting.spend_for(self.books, "alice", "", self._last)
        laws.check(self.store.memory)

    def _last(self, key: KeyUse | None) -> object:
        if self.stored().remaining < 1:
            return None
        return debits.debit(self.meter, "alice", 1, key)


@pytest.mark.parametrize("has_faults", [False, True], ids=["no fault", "any fault"])
def test_any_history_of_keys_keeps_their_limits_and_figures(*, has_faults: bool) -> None:
    @many(RUNS)
    @given(steps(STEPS), without(*SOME))
    def run(drawn: bytes, less: frozenset[str]) -> None:
        builders.renumber()
        live(Keys(has_faults=has_faults), drawn, less)

    run()
