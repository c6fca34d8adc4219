"""Random histories of a shop: buy, pay, delay, expire, refund, dispute, resend, reorder, lose, crash, spend, hold, reconcile."""

import json
import random
from contextlib import suppress
from typing import Any

import builders
import laws
import model
from billing import holds, parking, quota, reconciliation, settlement, spending
from billing.balances import Balance
from billing.differences import Report
from billing.errors import BillingError, OutcomeUnknownError
from billing.identity import user_key
from billing.payments import Payment
from billing.reconciliation import Run
from billing.spending import Meter
from billing.times import epoch
from builders import Clock, fact, pending
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from memory_store import MemoryStore
from stripe_twin import Stripe

from infra.local.places import ROOT

RUNS = 2000
STEPS = 40
FIGURES = ROOT / ".local" / "figures" / "machine.json"
_figures = {"histories": 0, "steps": 0, "deliveries": 0, "outcomes lost or crashed": 0, "purchases": 0}
picks = st.integers(0, 9)


class FaultyStore(MemoryStore):
    """Loses the outcome of the commit that is due: before it was carried out, or after."""

    strikes_in = -1
    is_after = False

    def commit(self, *writes: Any) -> None:
        """As the twin does, unless it is this one's turn."""
        self.strikes_in -= 1
        if self.strikes_in != 0:
            super().commit(*writes)
            return
        _figures["outcomes lost or crashed"] += 1
        if self.is_after:
            super().commit(*writes)
        message = "nobody knows"
        raise OutcomeUnknownError(message)


class Bought:
    """One purchase as Stripe knows it: what was told so far."""

    def __init__(self, payment: Payment) -> None:
        """Open, nothing told."""
        self.payment, self.state, self.told = payment, "open", list[dict[str, Any]]()
        self.standing, self.gone, self.dispute = dict[str, int](), dict[str, int](), ""

    @property
    def refunded(self) -> int:
        """What the charge says: less what has failed."""
        return sum(self.standing.values())

    def at(self, stripe: Stripe) -> None:
        """What Stripe's API shows of it now."""
        if self.state in ("paid", "delayed", "failed", "expired"):
            words = {"delayed": {"payment_status": "unpaid"}, "expired": {"payment_status": "unpaid", "status": "expired"}}
            failed = {"payment_status": "unpaid", "payment_intent": {"id": builders.intent_of(self.payment), "status": "canceled"}}
            stripe.sell(self.payment, epoch(builders.START), **(failed if self.state == "failed" else words.get(self.state, {})))
        for name, amount in self.standing.items():
            stripe.refund(self.payment, name, amount)
        for name, amount in self.gone.items():
            stripe.refund(self.payment, name, amount, status="failed")
        for event in self.told:
            if event["type"].startswith("charge.dispute."):
                stripe.dispute(event)

    def tell(self, *events: dict[str, Any]) -> None:
        """Stripe makes an event. Whether and when it arrives is another matter."""
        self.told += events


class Shop(RuleBasedStateMachine):
    """The product beside a world that does what it likes."""

    @initialize(policy=st.sampled_from(["debt", "write_off"]))
    def opens(self, policy: str) -> None:
        """On empty books."""
        self.store, self.clock = FaultyStore(), Clock()
        spending._seen.clear()
        self.books = builders.books_on(self.store, policy, self.clock)
        self.meter = Meter(self.books, "")
        self.bought: list[Bought] = []
        self.holds: list[str] = []
        self.is_listed = False
        self.captured = 0
        _figures["histories"] += 1
        self.buys("starter")

    def one(self, pick: int) -> Bought:
        """Any of the purchases."""
        return self.bought[pick % len(self.bought)]

    @precondition(lambda self: len(self.bought) < 3)
    @rule(plan=st.sampled_from(["starter", "pro"]))
    def buys(self, plan: str) -> None:
        """The same customer each time, so that purchases meet in one balance."""
        number = len(self.bought) + 1
        self.bought.append(Bought(pending(self.books, plan=plan, payment_id=f"pay_{number}", session_id=f"cs_{number}")))
        _figures["purchases"] += 1

    @precondition(lambda self: self.bought)
    @rule(pick=picks, how=st.sampled_from(["paid", "paid", "paid", "delayed", "declined", "expired"]))
    def pays(self, pick: int, how: str) -> None:
        """Or does not."""
        one = self.one(pick)
        if one.state == "open":
            one.state = {"paid": "paid", "delayed": "delayed", "declined": "open", "expired": "expired"}[how]
            events = {
                "paid": builders.completed,
                "delayed": builders.completed_unpaid,
                "declined": builders.declined,
                "expired": builders.expired,
            }
            one.tell(events[how](one.payment))
        elif one.state == "delayed":
            one.state = "paid" if how == "paid" else "failed"
            one.tell(builders.async_succeeded(one.payment) if how == "paid" else builders.async_failed(one.payment))

    @precondition(lambda self: self.bought)
    @rule(pick=picks, part=st.integers(1, 999), fails=st.booleans())
    def is_refunded(self, pick: int, part: int, fails: bool) -> None:  # noqa: FBT001 - drawn
        """In part or whole; a refund may fail later."""
        one = self.one(pick)
        if fails and one.standing:
            name, amount = one.standing.popitem()
            one.gone[name] = amount
            one.tell(builders.refund(one.payment, name, amount))
        elif one.state == "paid" and one.refunded < one.payment.amount_minor:
            amount = min(max(1, part * one.payment.amount_minor // 999), one.payment.amount_minor - one.refunded)
            one.standing[f"re_{one.payment.payment_id}_{len(one.standing) + len(one.gone)}"] = amount
            one.tell(builders.refunded(one.payment, one.refunded))

    @precondition(lambda self: self.bought)
    @rule(pick=picks, part=st.integers(1, 999), ends=st.sampled_from(["won", "lost", "warning_closed"]))
    def is_disputed(self, pick: int, part: int, ends: str) -> None:
        """Opened, or the one that is open ends."""
        one = self.one(pick)
        name, money = f"du_{one.payment.payment_id}", part
        if one.state == "paid" and not one.dispute:
            one.dispute = "inquiry" if ends == "warning_closed" else str(money)
            if one.dispute == "inquiry":
                one.tell(builders.dispute(one.payment, "created", "warning_needs_response", dispute_id=name))
            else:
                one.tell(builders.dispute(one.payment, "created", "needs_response", dispute_id=name, amount=money))
                one.tell(builders.dispute(one.payment, "funds_withdrawn", "needs_response", -money, dispute_id=name, amount=money))
        elif one.dispute == "inquiry":
            one.dispute = "ended"
            one.tell(builders.dispute(one.payment, "closed", "warning_closed", dispute_id=name))
        elif one.dispute.isdigit():
            money, one.dispute = int(one.dispute), f"-{one.dispute}" if ends == "lost" else "ended"
            if ends == "lost":
                one.tell(builders.dispute(one.payment, "closed", "lost", -money, dispute_id=name, amount=money))
            else:
                self.wins(one, name, money)
        elif one.dispute.startswith("-") and ends == "won":
            money, one.dispute = int(one.dispute[1:]), "ended"
            self.wins(one, name, money)  # on appeal

    @staticmethod
    def wins(one: Bought, name: str, money: int) -> None:
        """The money comes back, before the word does."""
        one.tell(builders.dispute(one.payment, "funds_reinstated", "under_review", -money, money, dispute_id=name, amount=money))
        one.tell(builders.dispute(one.payment, "closed", "won", -money, money, dispute_id=name, amount=money))

    @precondition(lambda self: any(one.told for one in self.bought))
    @rule(pick=picks, which=picks, due=st.integers(0, 3), is_after=st.booleans())
    def is_told(self, pick: int, which: int, due: int, is_after: bool) -> None:  # noqa: FBT001 - drawn
        """Any event, old or new, once more; the outcome may get lost."""
        one = self.one(pick)
        if one.told:
            self.store.strikes_in, self.store.is_after = due, is_after
            self.settle(one.told[-1 - which % len(one.told)])

    @precondition(lambda self: any(one.told for one in self.bought))
    @rule(seed=st.integers(0, 2**32), drop=picks)
    def are_told(self, seed: int, drop: int) -> None:
        """Many events in any order, some lost, some twice. An order is one draw: drawn by hypothesis it was a third of all work."""
        order = random.Random(seed)
        events = [event for one in self.bought for event in one.told]
        for event in order.sample(events * 2, len(events) + drop % 3 if len(events) > 3 else len(events)):
            self.settle(event)

    def settle(self, event: dict[str, Any]) -> None:
        """Through the webhook's own path."""
        _figures["deliveries"] += 1
        try:
            settlement.apply(self.books, fact(event))
        except OutcomeUnknownError:
            return  # answered 5xx: Stripe delivers again
        finally:
            self.store.strikes_in = -1

    @precondition(lambda self: self.bought)
    @rule(pages=st.integers(1, 12), rows=st.integers(1, 12), due=st.integers(0, 12), is_after=st.booleans(), is_killed=st.booleans())
    def is_reconciled(self, pages: int, rows: int, due: int, is_after: bool, is_killed: bool) -> None:  # noqa: FBT001 - drawn
        """With all that Stripe's API shows, whatever webhooks were lost; a run ends anywhere, also by a crash, or goes on behind it."""
        self.store.strikes_in, self.store.is_after = due, is_after
        with suppress(OutcomeUnknownError):
            report = self.reconciles(pages, rows, is_killed=is_killed)
            assert all("OutcomeUnknownError" in row.detail for row in report.differences if row.kind == "failed")
        self.store.strikes_in = -1

    def reconciles(self, pages: int, rows: int, *, is_killed: bool = True) -> Report:
        """One run, of so many pages and rows at most. ``is_killed``: by the first fault."""

        def dies(_: str) -> None:
            if is_killed:
                raise  # noqa: PLE0704 - what is at hand

        self.is_listed = True
        stripe = Stripe()
        for one in self.bought:
            one.at(stripe)
        stripe.rows_a_page = 2
        more_pages, more_rows = iter(range(pages)), iter(range(rows))
        job = Run(
            self.books,
            stripe,  # type: ignore[arg-type]
            repair=True,
            go_on=lambda: next(more_pages, None) is not None,
            has_time=lambda: next(more_rows, None) is not None,
            failed=dies,
        )
        return reconciliation.run(job, 0)

    @rule()
    def recovers(self) -> None:
        """Parked facts are tried again."""
        for record in list(parking.all_parked(self.books)):
            settlement.retry(self.books, record)

    @rule(units=st.integers(1, 120), key=st.sampled_from(["", "a", "b"]))
    def spends(self, units: int, key: str) -> None:
        """Plainly, or under a key."""
        self.refusable(
            lambda: (
                quota.debit_once(self.meter, "alice", units, "backend", f"{key}{units}") if key else quota.debit(self.meter, "alice", units)
            )
        )

    @rule(units=st.integers(1, 120))
    def holds_back(self, units: int) -> None:
        """For a minute."""
        self.refusable(lambda: self.holds.append(holds.place(self.meter, "alice", units, 60)["hold_id"]))

    @precondition(lambda self: self.holds)
    @rule(pick=picks, units=st.integers(1, 130), is_release=st.booleans())
    def closes_a_hold(self, pick: int, units: int, is_release: bool) -> None:  # noqa: FBT001 - drawn
        """An open one, or one that was closed before."""
        hold = self.holds[pick % len(self.holds)]
        used = self.balance().used
        self.refusable(lambda: holds.release(self.meter, hold) if is_release else holds.capture(self.meter, hold, units))
        self.captured += self.balance().used - used

    @rule(seconds=st.sampled_from([1, 61, 90_000]))
    def waits(self, seconds: int) -> None:
        """Holds expire, days end."""
        self.clock.advance(seconds=seconds)

    @staticmethod
    def refusable(act: Any) -> None:
        """A refusal is an answer."""
        try:
            act()
        except BillingError as refused:
            if refused.code not in ("quota_exhausted", "hold_closed", "exceeds_hold", "idempotency_conflict"):
                raise

    @invariant()
    def the_laws_hold(self) -> None:
        """After every step."""
        _figures["steps"] += 1
        if hasattr(self, "store"):
            laws.check(self.store)
            laws.check_what_was_given_up(self.store)
            balance = self.balance()
            assert self.books.policy == "debt" or balance.debt <= balance.held + self.captured, "used units became debt"

    def balance(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def teardown(self) -> None:
        """Faults stop, everything is delivered again, and the account is what the model says."""
        if not hasattr(self, "store"):
            return
        for one in self.bought:
            for event in one.told:
                self.settle(event)
        self.recovers()
        if not self.is_listed:
            self.is_right()
        self.reconciles(1000, 1000)
        self.is_right()

    def is_right(self) -> None:
        """By the events alone, or, once Stripe was asked, by what it shows."""
        laws.check(self.store)
        expected = given_up = 0
        for one in self.bought:
            listed = one.refunded if self.is_listed else None
            status, credited, taken = model.purchase(one.told, one.payment.quota, one.payment.amount_minor, listed)
            stored = Payment.from_item(self.store.get("payments", (user_key("alice"), one.payment.payment_id)))  # type: ignore[arg-type]
            assert (stored.status, stored.units_clawed_back) == (status, taken), one.told
            expected, given_up = expected + credited - taken, given_up + stored.units_written_off
        assert self.balance().total == expected + given_up
        assert not given_up or self.books.policy == "write_off"
        assert not list(parking.all_parked(self.books))


def test_two_thousand_histories_keep_the_laws_and_end_as_the_model_says() -> None:
    """The seed of a failing one is printed by hypothesis."""
    options = settings(
        max_examples=RUNS, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None
    )
    run_state_machine_as_test(Shop, settings=options)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(_figures, indent=2))
    assert _figures["histories"] >= RUNS
