"""A restore puts single tables back to an earlier moment: whichever it was, verify finds it and
Stripe repairs it.
"""

import copy
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from billing.audit.repair import repair_account
from billing.books import Books
from billing.clock import epoch
from billing.errors import BillingError
from billing.holds import placing
from billing.parked import records
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import builders, laws, model
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

from infra.cli.books.verification import examine

ACTS = (
    "paid",
    "refund",
    "refund",
    "fails",
    "dispute",
    "won",
    "lost",
    "spend",
    "hold",
    "wait",
    "buy",
)
TABLES = ("payments", "ledger", "quotas", "events")


def _nobody_watches(steps: int = 1, *, now: str = "") -> None:
    del steps, now


@dataclass(slots=True)
class Shop:
    """One customer's purchases, and what Stripe knows of them."""

    policy: str
    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(default_factory=MemoryStore)
    stripe: Stripe = field(default_factory=Stripe)
    payments: list[Payment] = field(default_factory=list)
    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    moments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def books(self) -> Books:
        """On this shop's store and clock."""
        return builders.books_on(self.store, self.policy, self.clock)

    def happens(self, act: str, number: int) -> None:
        """One act, settled immediately; and a moment to which a table may be put back."""
        if act == "buy" or not self.payments:
            self._buys()
        payment = self.payments[number % len(self.payments)]
        events = list(self._events(act, number, payment))
        self.told[payment.payment_id] += events
        for event in events:
            settlement.apply(self.books, fact(event))
        if act in ("spend", "hold", "wait"):
            self._spends(act, number)
        self.moments.append(copy.deepcopy(self.store.tables))

    def _buys(self) -> None:
        number = len(self.payments) + 1
        self.payments.append(
            pending(self.books, payment_id=f"pay_{number}", session_id=f"cs_{number}")
        )
        self.told[f"pay_{number}"] = []

    def _spends(self, act: str, units: int) -> None:
        meter = Meter(self.books, "")
        if act == "wait":
            self.clock.advance(hours=30)
            return
        with suppress(BillingError):  # refused: there are no units left
            if act == "spend":
                debits.debit(meter, "alice", units)
            else:
                placing.place(meter, "alice", units, 3600)

    def _events(self, act: str, number: int, payment: Payment) -> Any:
        is_paid = bool(self.told[payment.payment_id])
        standing = self._standing(payment)
        refunded = sum(row["amount"] for row in standing)
        disputed = [
            event["data"]["object"]["status"]
            for event in self.told[payment.payment_id]
            if "dispute" in event["type"]
        ]
        if act == "paid" and not is_paid:
            self.stripe.sell(payment, epoch(builders.START))
            yield builders.completed(payment)
        elif act == "refund" and is_paid and refunded + number <= payment.amount_minor:
            name = f"re_{len(self.stripe.returned)}"
            self.stripe.refund(payment, name, number)
            yield from builders.refund_made(payment, name, number, refunded + number)
        elif act == "fails" and standing:
            refund = standing[0]
            refund["status"] = "failed"
            name, amount = refund["id"], refund["amount"]
            yield from builders.refund_changed(payment, name, amount, "failed")
        elif act == "dispute" and is_paid and not disputed:
            yield self._dispute(payment, "funds_withdrawn", "needs_response", -payment.amount_minor)
        elif act in ("won", "lost") and disputed == ["needs_response"]:
            back = (payment.amount_minor,) if act == "won" else ()
            yield self._dispute(payment, "closed", act, -payment.amount_minor, *back)

    def _standing(self, payment: Payment) -> list[dict[str, Any]]:
        intent = builders.intent_of(payment)
        rows = (row for row in self.stripe.returned if row["payment_intent"] == intent)
        return [row for row in rows if row["status"] in model.STANDING]

    def _dispute(self, payment: Payment, kind: str, status: str, *amounts: int) -> dict[str, Any]:
        event = builders.dispute(
            payment, kind, status, *amounts, dispute_id=f"du_{payment.payment_id}"
        )
        self.stripe.dispute(event)
        return event

    def put_back(self, name: str, moment: dict[tuple[str, str], Any], *, whole: int) -> None:
        """Every ``whole``-th of the rows that have changed since: a restore may keep half a
        transaction (DB15).
        """
        now = self.store.tables[name]
        changed = sorted(key for key in {*now, *moment} if now.get(key) != moment.get(key))
        for key in changed[::whole]:
            if key in moment:
                now[key] = copy.deepcopy(moment[key])
            else:
                del now[key]

    def delivered_again(self) -> None:
        """Every event that Stripe ever sent."""
        for payment in self.payments:
            for event in self.told[payment.payment_id]:
                settlement.apply(self.books, fact(event))
        for record in list(records.all_parked(self.books)):
            settlement.retry(self.books, record)

    def mended(self) -> None:
        """As an operator does after a restore: reconcile, then verify with --repair, until nothing
        differs.
        """
        job = Run(self.books, self.stripe, repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
        assert not run.run(job, 0).failed
        for row in self.findings():
            repair_account(job, row["user_id"])
        assert self.findings() == []

    def findings(self) -> list[dict[str, Any]]:
        """What ``topup ledger verify`` says."""
        found = examine(self.books, 1, _nobody_watches)
        assert not found.busy
        return found.findings


def _is_right(shop: Shop) -> None:
    """Every payment as the independent model says, and the balance what was credited and not taken
    back.
    """
    laws.check(shop.store)
    expected = given_up = 0
    for payment in filter(
        lambda payment: shop.told[payment.payment_id], shop.payments
    ):  # the others may be forgotten
        status, credited, taken = model.purchase(
            shop.told[payment.payment_id], payment.quota, payment.amount_minor
        )
        stored = Payment.from_item(
            shop.store.get("payments", (user_key("alice"), payment.payment_id)) or {}
        )
        assert (stored.status, stored.units_clawed_back) == (status, taken)
        expected, given_up = expected + credited - taken, given_up + stored.units_written_off
    assert (
        Balance.from_item(shop.store.get("quotas", ("alice", "quota"))).total == expected + given_up
    )
    assert not list(records.all_parked(shop.books))


histories = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 400)), min_size=3, max_size=14)


@settings(max_examples=400, deadline=None)
@given(
    policy=st.sampled_from(["debt", "write_off"]),
    history=histories.map(lambda acts: [("buy", 1), ("paid", 1), *acts]),
    restored=st.sets(st.sampled_from(TABLES), min_size=1),
    back=st.integers(1, 12),
    is_told_first=st.booleans(),
    whole=st.sampled_from([1, 1, 2, 3]),
)
@example(
    policy="debt",
    history=[("buy", 1), ("paid", 1)],
    restored={"payments"},
    back=1,
    is_told_first=True,
    whole=1,
)
@example(
    policy="debt",
    history=[("buy", 1), ("paid", 1)],
    restored={"ledger"},
    back=1,
    is_told_first=True,
    whole=1,
)
@example(
    policy="debt",
    history=[("buy", 1), ("paid", 1)],
    restored={"quotas"},
    back=1,
    is_told_first=True,
    whole=1,
)
@example(
    policy="debt",
    history=[("buy", 1), ("paid", 1)],
    restored={"payments", "ledger"},
    back=1,
    is_told_first=True,
    whole=1,
)
@example(
    policy="debt",
    history=[("buy", 1), ("paid", 1), ("spend", 9), ("wait", 1), ("spend", 9), ("wait", 1)],
    restored={"quotas"},
    back=3,
    is_told_first=False,
    whole=1,
)
def test_whatever_tables_were_restored_stripe_repairs_the_books(
    *,
    policy: str,
    history: list[tuple[str, int]],
    restored: set[str],
    back: int,
    is_told_first: bool,
    whole: int,
) -> None:
    """Payments, ledger, balances, marks: each alone or some together, whole or in part, before or
    after all is delivered again.
    """
    memory._seen.clear()
    shop = Shop(policy)
    for act in history:
        shop.happens(*act)
    moment = shop.moments[max(0, len(shop.moments) - 1 - back)]
    for name in restored:
        shop.put_back(name, moment[name], whole=whole)
    memory._seen.clear()
    if is_told_first:
        shop.delivered_again()
    shop.clock.advance(hours=30)
    with suppress(
        BillingError
    ):  # before any read of the account: refused at most for units, never stuck
        debits.debit(Meter(shop.books, ""), "alice", 1)
    shop.mended()
    shop.delivered_again()
    assert shop.findings() == []
    _is_right(shop)
