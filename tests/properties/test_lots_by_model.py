"""Lots burn lazily; a naive model burns single units at once. Both must agree to the unit.

The favours that the product does the customer are written down in docs/decisions/quota.md, and the
model does them too.
"""

from typing import Any

from billing.clock import epoch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import builders
from support.lot_account import PRICE, USER, LotAccount
from support.naive_lots import Home, Naive

DAY = 86_400
UNITS = st.integers(1, 9)
DAYS = st.sampled_from([0, 1, 2, 3])
PICK = st.integers(0, 10**6)
RUNS = 100
STEPS = 40


class Lots(RuleBasedStateMachine):
    """One account, and a clock that moves."""

    def __init__(self) -> None:
        """Empty."""
        super().__init__()
        self.real = LotAccount()
        self.naive = Naive(epoch(self.real.clock.now))
        self.purchases: list[tuple[Any, int, dict[str, int], Home]] = []
        self.grants: list[tuple[str, Home]] = []
        self.holds: dict[str, int] = {}
        self.is_welcomed = False

    @rule(units=UNITS, days=DAYS)
    def buys(self, units: int, days: int) -> None:
        """A purchase that may expire."""
        payment = self.real.buys(units, days)
        name = f"purchase:{payment.payment_id}:0000"
        ends = epoch(self.real.clock.now) + days * DAY + 1 if days else None
        home = Home(name, ends, bought=True, purchase=payment.payment_id)
        self.naive.ends_of[payment.payment_id] = ends
        self.naive.comes_in(home, units)
        self.purchases.append((payment, units, {}, home))

    @rule(units=UNITS, days=DAYS)
    def grants_units(self, units: int, days: int) -> None:
        """A grant that may expire."""
        now = epoch(self.real.clock.now)
        grant_id = self.real.grants(units, days * DAY)
        home = Home(f"grant:{grant_id}", now + days * DAY if days else None, bought=False)
        self.naive.comes_in(home, units)
        self.grants.append((grant_id, home))

    @rule(units=UNITS, days=DAYS)
    def is_welcomed_once(self, units: int, days: int) -> None:
        """Free units, once."""
        now = epoch(self.real.clock.now)
        assert self.real.welcomes(units, days) != self.is_welcomed
        if not self.is_welcomed:
            ends = now + days * DAY + 1 if days else None
            self.naive.comes_in(Home("welcome", ends, bought=False), units)
        self.is_welcomed = True

    @rule(units=st.integers(1, 12), is_keyed=st.booleans())
    def spends(self, units: int, *, is_keyed: bool) -> None:
        """A debit."""
        key = f"key-{self.real.number()}" if is_keyed else ""
        assert self.real.spends(units, key) == self.naive.spends(units)

    @rule(units=st.integers(1, 12), hours=st.integers(1, 23))
    def holds_back(self, units: int, hours: int) -> None:
        """A hold. No two expire at the same second, so that the order is known."""
        seconds = hours * 3600 - self.real.number()
        key = self.real.holds_back(units, seconds)
        ends = epoch(self.real.clock.now) + seconds
        if self.naive.holds_back(key or "refused", units, ends):
            assert key
            self.holds[key] = units
        else:
            assert not key

    @precondition(lambda self: self.holds)
    @rule(pick=PICK, part=PICK)
    def ends_a_hold(self, pick: int, part: int) -> None:
        """Captured in part, or released."""
        key = list(self.holds)[pick % len(self.holds)]
        captured = part % (self.holds.pop(key) + 1)
        assert self.real.ends_hold(key, captured) == self.naive.ends_hold(key, captured)

    @precondition(lambda self: self.grants)
    @rule(pick=PICK)
    def voids(self, pick: int) -> None:
        """A grant is taken back."""
        grant_id, home = self.grants.pop(pick % len(self.grants))
        assert self.real.voids(grant_id) == self.naive.is_voided(home)

    @precondition(lambda self: self.purchases)
    @rule(pick=PICK, part=PICK)
    def is_refunded(self, pick: int, part: int) -> None:
        """In part or whole."""
        payment, units, refunds, _ = self.purchases[pick % len(self.purchases)]
        rest = units - sum(refunds.values())
        if not rest:
            return
        number = 1 + part % rest
        name = f"re_{self.real.number()}"
        refunds[name] = number
        self.real.hears(builders.refund_created(payment, name, number * PRICE))
        self.naive.goes_back(payment.payment_id, number)

    @precondition(lambda self: any(row[2] for row in self.purchases))
    @rule(pick=PICK)
    def a_refund_fails(self, pick: int) -> None:
        """The units come back, with the time that they were away."""
        some = [row for row in self.purchases if row[2]]
        payment, _, refunds, home = some[pick % len(some)]
        name, number = refunds.popitem()
        self.real.hears(builders.refund(payment, name, number * PRICE))
        stored = self.real.store.tables["payments"][f"user#{USER}", payment.payment_id]
        lot = f"purchase:{payment.payment_id}:{stored['movements']:04d}"
        age = home.age + stored["movements"] / 10**6
        self.naive.returns(payment.payment_id, number, lot, age)

    @rule(seconds=st.sampled_from([1, DAY // 24, DAY // 2, DAY, 2 * DAY]))
    def time_passes(self, seconds: int) -> None:
        """What is over is gone."""
        self.real.clock.advance(seconds=seconds)
        self.naive.time_passes(seconds)

    @rule()
    def is_swept(self) -> None:
        """Whether or not somebody has written that it is gone."""
        self.real.is_swept()

    @invariant()
    def agree(self) -> None:
        """To the unit, and reading changes nothing."""
        stored = self.real.store.tables["quotas"].get((USER, "quota"), {})
        if "lots_exact" in stored:
            self.naive.can_expire_from_now()
        shown = self.real.balance()
        assert (shown.remaining, shown.debt, shown.used, shown.held) == (
            len(self.naive.units),
            self.naive.debt,
            self.naive.used,
            self.naive.held,
        )
        entries = self.real.store.tables["ledger"].values()
        booked = sum(row["units"] for row in entries)
        assert booked == stored.get("total", 0) - stored.get("itemised", 0)

    @rule()
    def lots_agree(self) -> None:
        """Each lot has the same units left."""
        assert self.real.left() == self.naive.left()

    def teardown(self) -> None:
        """At last too."""
        self.lots_agree()


Lots.TestCase.settings = settings(max_examples=RUNS, stateful_step_count=STEPS, deadline=None)
TestLots = Lots.TestCase
