"""Random histories of a shop: buy, pay, delay, expire, refund, dispute, resend, reorder, lose,
crash, spend, hold, reconcile.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from billing.clock import epoch
from billing.errors import BillingError, OutcomeUnknownError, RetryableError
from billing.holds import closing, placing
from billing.parked import records
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from hypothesis import given
from hypothesis import strategies as st
from support import builders, laws, model
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe
from support.histories import Act, Draw, live, many, steps, without

from infra.local.paths import ROOT

RUNS = 2000
STEPS = 40
PURCHASES_MAX = 3
YES_NO = (False, True)
REFUNDS_GO_ON = {
    "requires_action": ("pending", "failed", "canceled"),
    "pending": ("succeeded", "failed", "canceled"),
    "succeeded": ("failed", "canceled"),
}
"""https://docs.stripe.com/refunds#failed-refunds"""
SOME = (
    "pays",
    "is_refunded",
    "a_refund_goes_on",
    "is_disputed",
    "is_told",
    "are_told",
    "is_reconciled",
    "recovers",
    "spends",
    "holds_back",
    "closes_a_hold",
)
FIGURES = ROOT / ".local" / "figures" / "machine.json"
_figures = {
    "histories": 0,
    "steps": 0,
    "deliveries": 0,
    "outcomes lost or crashed": 0,
    "purchases": 0,
}


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


@dataclass(slots=True)
class Refund:
    """One refund at Stripe."""

    amount: int
    status: str

    @property
    def stands(self) -> bool:
        """The customer has the money, or gets it."""
        return self.status in model.STANDING


class Bought:
    """One purchase as Stripe knows it, with its events so far."""

    def __init__(self, payment: Payment) -> None:
        """Open, without events."""
        self.payment, self.state, self.told = payment, "open", list[dict[str, Any]]()
        self.refunds, self.dispute = dict[str, Refund](), ""
        self.came_back: tuple[int, ...] = ()
        """Cents of a lost dispute that came back all the same."""

    def __repr__(self) -> str:
        """For a history that failed."""
        return self.payment.payment_id

    @property
    def refunded(self) -> int:
        """The charge's ``amount_refunded``: Stripe lowers it when a refund fails."""
        return sum(refund.amount for refund in self.refunds.values() if refund.stands)

    def at(self, stripe: Stripe) -> None:
        """What Stripe's API shows of it now."""
        if self.state in ("paid", "delayed", "failed", "expired"):
            words = {
                "delayed": {"payment_status": "unpaid"},
                "expired": {"payment_status": "unpaid", "status": "expired"},
            }
            failed = {
                "payment_status": "unpaid",
                "payment_intent": {"id": builders.intent_of(self.payment), "status": "canceled"},
            }
            stripe.sell(
                self.payment,
                epoch(builders.START),
                **(failed if self.state == "failed" else words.get(self.state, {})),
            )
        for name, refund in self.refunds.items():
            stripe.refund(self.payment, name, refund.amount, refund.status)
        for event in self.told:
            if event["type"].startswith("charge.dispute."):
                stripe.dispute(event)

    def tell(self, *events: dict[str, Any]) -> None:
        """Stripe makes an event. Whether and when it arrives is another matter."""
        self.told += events


class Shop:
    """The product beside a world that does what it likes."""

    store_type: Callable[[], Any] = FaultyStore
    store: FaultyStore

    def __init__(self, policy: str, *, is_told_first: bool) -> None:
        """On empty books. ``is_told_first``: in the end all events come before Stripe is asked."""
        self.is_told_first = is_told_first
        self.store, self.clock = self.store_type(), Clock()
        memory._seen.clear()
        self.books = builders.books_on(self.store, policy, self.clock)
        self.meter = Meter(self.books, "")
        self.bought: list[Bought] = []
        self.holds: list[str] = []
        self.captured = 0
        _figures["histories"] += 1
        self.has("starter")

    def acts(self) -> Iterator[Act]:
        """Whatever can happen now."""
        yield from (self.pays, self.is_refunded, self.is_disputed, self.is_reconciled)
        yield from (self.recovers, self.spends, self.holds_back, self.waits)
        if len(self.bought) < PURCHASES_MAX:
            yield self.buys
        if any(refund.stands for one in self.bought for refund in one.refunds.values()):
            yield self.a_refund_goes_on
        if any(one.told for one in self.bought):
            yield from (self.is_told, self.are_told)
        if self.holds:
            yield self.closes_a_hold

    def buys(self, draw: Draw) -> None:
        """The same customer each time, so that purchases meet in one balance."""
        self.has(draw.one_of(("starter", "pro")))

    def has(self, plan: str) -> None:
        """A checkout, not paid yet."""
        number = len(self.bought) + 1
        self.bought.append(
            Bought(
                pending(
                    self.books, plan=plan, payment_id=f"pay_{number}", session_id=f"cs_{number}"
                )
            )
        )
        _figures["purchases"] += 1

    def pays(self, draw: Draw) -> None:
        """Or does not."""
        one, how = (
            draw.one_of(self.bought),
            draw.one_of(("paid", "paid", "paid", "delayed", "declined", "expired")),
        )
        if one.state == "open":
            one.state = {
                "paid": "paid",
                "delayed": "delayed",
                "declined": "open",
                "expired": "expired",
            }[how]
            events = {
                "paid": builders.completed,
                "delayed": builders.completed_unpaid,
                "declined": builders.declined,
                "expired": builders.expired,
            }
            one.tell(events[how](one.payment))
        elif one.state == "delayed":
            one.state = "paid" if how == "paid" else "failed"
            one.tell(
                builders.async_succeeded(one.payment)
                if how == "paid"
                else builders.async_failed(one.payment)
            )

    def is_refunded(self, draw: Draw) -> None:
        """In part or whole, and again after one that failed."""
        one, part = draw.one_of(self.bought), draw.one_of((999, 500, draw.upto(999, 1)))
        left = one.payment.amount_minor - one.refunded
        if one.state == "paid" and left:
            amount = min(max(1, part * one.payment.amount_minor // 999), left)
            name = f"re_{one.payment.payment_id}_{len(one.refunds)}"
            refund = one.refunds[name] = Refund(amount, draw.one_of(model.STANDING))
            one.tell(*builders.refund_made(one.payment, name, amount, one.refunded, refund.status))

    def a_refund_goes_on(self, draw: Draw) -> None:
        """It waits for the bank, arrives, fails, or is canceled."""
        open_ones = [
            (one, name, refund)
            for one in self.bought
            for name, refund in one.refunds.items()
            if refund.stands
        ]
        one, name, refund = draw.one_of(open_ones)
        refund.status = draw.one_of(REFUNDS_GO_ON[refund.status])
        one.tell(*builders.refund_changed(one.payment, name, refund.amount, refund.status))

    def is_disputed(self, draw: Draw) -> None:
        """Opened, or the one that is open ends."""
        one, money, ends = (
            draw.one_of(self.bought),
            draw.upto(999, 1),
            draw.one_of(("won", "lost", "warning_closed")),
        )
        name, cents = f"du_{one.payment.payment_id}", draw.one_of((0, 8))
        if one.state == "paid" and not one.dispute:
            one.dispute = "inquiry" if ends == "warning_closed" else str(money)
            if one.dispute == "inquiry":
                one.tell(
                    builders.dispute(
                        one.payment, "created", "warning_needs_response", dispute_id=name
                    )
                )
            else:
                one.tell(
                    builders.dispute(
                        one.payment, "created", "needs_response", dispute_id=name, amount=money
                    )
                )
                one.tell(
                    builders.dispute(
                        one.payment,
                        "funds_withdrawn",
                        "needs_response",
                        -money,
                        dispute_id=name,
                        amount=money,
                    )
                )
        elif one.dispute == "inquiry":
            one.dispute = "ended"
            one.tell(builders.dispute(one.payment, "closed", "warning_closed", dispute_id=name))
        elif one.dispute.isdigit():
            money, one.dispute = int(one.dispute), f"-{one.dispute}" if ends == "lost" else "ended"
            if ends == "lost":
                one.came_back = (cents,) if 0 < cents < money else ()
                moved = (-money, *one.came_back)
                one.tell(
                    builders.dispute(
                        one.payment, "closed", "lost", *moved, dispute_id=name, amount=money
                    )
                )
            else:
                self.wins(one, name, money, cents)
        elif one.dispute.startswith("-") and ends == "won":
            money, one.dispute = int(one.dispute[1:]), "ended"
            self.wins(one, name, money, cents)  # on appeal

    @staticmethod
    def wins(one: Bought, name: str, money: int, cents: int) -> None:
        """The money comes back before the dispute is closed, less a few cents perhaps."""
        missing = money - sum(one.came_back)
        back = missing - cents if cents < missing else missing
        moved = (-money, *one.came_back, back)
        for kind, status in (("funds_reinstated", "under_review"), ("closed", "won")):
            one.tell(
                builders.dispute(one.payment, kind, status, *moved, dispute_id=name, amount=money)
            )

    def is_told(self, draw: Draw) -> None:
        """Any event, old or new, once more; the outcome may get lost."""
        one, event = draw.one_of(
            [
                (one, event)
                for one in range(len(self.bought))
                for event in range(len(self.bought[one].told))
            ]
        )
        self.store.strikes_in, self.store.is_after = draw.upto(3), draw.one_of(YES_NO)
        self.settle(self.bought[one].told[event])

    def are_told(self, draw: Draw) -> None:
        """Many events in any order, some lost, some twice."""
        events = [event for one in self.bought for event in one.told]
        for event in draw.sample(
            events * 2, len(events) + draw.upto(2) if len(events) > 3 else len(events)
        ):
            self.settle(event)

    def settle(self, event: dict[str, Any]) -> None:
        """Through the webhook's own path."""
        _figures["deliveries"] += 1
        try:
            settlement.apply(self.books, fact(event))
        except RetryableError:
            return  # answered 5xx: Stripe delivers again
        finally:
            self.store.strikes_in = -1

    def is_reconciled(self, draw: Draw) -> None:
        """With all that Stripe's API shows, whatever webhooks were lost; a run ends anywhere, also
        by a crash, or goes on behind it.
        """
        pages, rows = draw.upto(12, 1), draw.upto(12, 1)
        self.store.strikes_in, self.store.is_after = draw.upto(12), draw.one_of(YES_NO)
        with suppress(RetryableError):
            report = self.reconciles(pages, rows, is_killed=draw.one_of(YES_NO))
            assert all(
                "OutcomeUnknownError" in row.detail
                for row in report.differences
                if row.kind == "failed"
            )
        self.store.strikes_in = -1

    def reconciles(self, pages: int, rows: int, *, is_killed: bool = True) -> Report:
        """One run, of so many pages and rows at most. ``is_killed``: by the first fault."""

        def dies(_: str) -> None:
            if is_killed:
                raise  # noqa: PLE0704 - what is at hand

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
        return run.run(job, 0)

    def recovers(self, _: Draw) -> None:
        """Parked facts are tried again."""
        self.retries()

    def retries(self) -> None:
        """All that is parked."""
        for record in list(records.all_parked(self.books)):
            settlement.retry(self.books, record)

    def spends(self, draw: Draw) -> None:
        """Plainly, or under a key."""
        units, key = draw.upto(120, 1), draw.one_of(("", "a", "b"))
        self.refusable(
            lambda: (
                debits.debit_once(self.meter, "alice", units, "backend", f"{key}{units}")
                if key
                else debits.debit(self.meter, "alice", units)
            )
        )

    def holds_back(self, draw: Draw) -> None:
        """For a minute."""
        units = draw.upto(120, 1)
        self.refusable(
            lambda: self.holds.append(placing.place(self.meter, "alice", units, 60).hold_id)
        )

    def closes_a_hold(self, draw: Draw) -> None:
        """An open one, or one that was closed before."""
        hold, units, is_release = draw.one_of(self.holds), draw.upto(130, 1), draw.one_of(YES_NO)
        used = self.balance().used
        self.refusable(
            lambda: (
                closing.release(self.meter, hold)
                if is_release
                else closing.capture(self.meter, hold, units)
            )
        )
        self.captured += self.balance().used - used

    def waits(self, draw: Draw) -> None:
        """Holds expire, days end."""
        self.clock.advance(seconds=draw.one_of((1, 61, 90_000)))

    @staticmethod
    def refusable(act: Any) -> None:
        """A refusal is an answer."""
        try:
            act()
        except BillingError as refused:
            if refused.code not in (
                "quota_exhausted",
                "hold_closed",
                "exceeds_hold",
                "idempotency_conflict",
            ):
                raise

    def check(self) -> None:
        """The laws."""
        _figures["steps"] += 1
        laws.check(self.store)
        laws.check_what_was_given_up(self.store)
        balance = self.balance()
        assert self.books.policy == "debt" or balance.debt <= balance.held + self.captured, (
            "used units became debt"
        )

    def balance(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def end(self) -> None:
        """Faults stop, all events are delivered or Stripe is asked: the account is as Stripe says.

        Each alone must do, and the other changes nothing.
        """
        ways = [self.is_told_all, self.is_asked_of_stripe]
        for way in ways if self.is_told_first else reversed(ways):
            way()
            self.is_right(declines=self.is_told_first)
        self.is_right(declines=True)

    def is_told_all(self) -> None:
        """Every event, in Stripe's order."""
        for one in self.bought:
            for event in one.told:
                self.settle(event)
        self.retries()

    def is_asked_of_stripe(self) -> None:
        """Whatever is still lost."""
        self.reconciles(1000, 1000)
        self.retries()

    def is_right(self, *, declines: bool) -> None:
        """As Stripe's objects say. ``declines``: only events report those, and did."""
        laws.check(self.store)
        expected = given_up = 0
        for one in self.bought:
            status, credited, taken = model.purchase(
                one.told, one.payment.quota, one.payment.amount_minor
            )
            stored = Payment.from_item(
                self.store.get("payments", (user_key("alice"), one.payment.payment_id))  # type: ignore[arg-type]
            )
            assert stored.units_clawed_back == taken, one.told
            assert stored.status == status or (one.state == "open" and not declines), one.told
            expected, given_up = expected + credited - taken, given_up + stored.units_written_off
        assert self.balance().total == expected + given_up
        assert not given_up or self.books.policy == "write_off"
        assert not list(records.all_parked(self.books))


def test_two_thousand_histories_keep_the_laws_and_end_as_the_model_says() -> None:
    """The seed of a failing one is printed by hypothesis, and what happened in it."""

    @many(RUNS)
    @given(
        policy=st.sampled_from(("debt", "write_off")),
        is_told_first=st.booleans(),
        numbers=steps(STEPS),
        barred=without(*SOME),
    )
    def lives(*, policy: str, is_told_first: bool, numbers: bytes, barred: frozenset[str]) -> None:
        live(Shop(policy, is_told_first=is_told_first), numbers, barred)

    lives()
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(_figures, indent=2))
    assert _figures["histories"] >= RUNS
