"""Two deployments on one Stripe account, with one stack name between them.

Every purchase here is the other one's.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest
from billing.audit.repair import repair_account
from billing.buying import confirmation
from billing.clock import epoch
from billing.errors import BillingError
from billing.parked import parking, records
from billing.payments.decision import Park
from billing.payments.payment import Payment
from billing.reconciliation import retry_parked, run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from billing.stripe_api.outcomes import StripeNotFoundError
from support import builders, laws
from support.builders import Clock, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

Make = Callable[[Payment], dict[str, Any]]
WITH_METADATA: Final[dict[str, Make]] = {
    "paid": builders.completed,
    "unpaid": builders.completed_unpaid,
    "paid later": builders.async_succeeded,
    "failed later": builders.async_failed,
    "expired": builders.expired,
    "declined": builders.declined,
    "refunded": lambda payment: builders.refunded(payment, 500),
}
WITHOUT: Final[dict[str, Make]] = {
    "a failed refund": lambda payment: builders.refund(payment, "re_1", 500),
    "a dispute": lambda payment: builders.dispute(payment, "created", "needs_response", -999),
    "a lost dispute": lambda payment: builders.dispute(payment, "closed", "lost", -999),
}


class Neighbours:
    """``theirs`` sold; ``ours`` sold nothing, and receives every event.

    ``old``: metadata from before deployments had ids.
    """

    def __init__(self) -> None:
        """One Stripe account."""
        self.clock = Clock()
        self.stripe = Stripe()
        self.store = MemoryStore()
        self.ours = builders.books_on(
            self.store, clock=self.clock, deployment=builders.Fixed("dep_ours")
        )
        self.theirs = builders.books_on(MemoryStore(), clock=self.clock)
        self.payment = pending(self.theirs)

    def hear(self, event: dict[str, Any]) -> str:
        """As the webhook does. Returns the status, or the reason for which it
        is ignored at once.
        """
        found = parse(event, self.ours.ours)
        return (
            found.reason
            if isinstance(found, Ignored)
            else settlement.apply(self.ours, found).status
        )

    def sell(self, **members: Any) -> None:
        """Theirs is paid, and everybody with the key sees it."""
        self.stripe.sell(self.payment, epoch(self.clock()), **members)

    def reconcile(self) -> Report:
        """As each hour."""
        report = run.run(Run(self.ours, self.stripe, repair=True), epoch(builders.START) - 86_400)  # type: ignore[arg-type]
        assert report.finished, report
        return report

    def recover(self) -> retry_parked.Recovered:
        """As each minute, a little later."""
        self.clock.advance(seconds=60)
        return retry_parked.run(self.ours, self.stripe)  # type: ignore[arg-type]

    def parked(self) -> list[str]:
        """What waits."""
        return [record.name for record in records.all_parked(self.ours)]

    def moved(self) -> dict[str, Any]:
        """Everything but the notes that reconciliation makes of itself."""
        tables = copy.deepcopy(self.store.tables)
        tables["events"] = {
            key: row for key, row in tables["events"].items() if key[0] != "reconcile"
        }
        return {name: rows for name, rows in tables.items() if rows}


def _old(event: dict[str, Any]) -> dict[str, Any]:
    subject = event["data"]["object"]
    if "metadata" in subject:
        subject["metadata"].pop("deployment", None)
    return event


@pytest.fixture
def shops() -> Neighbours:
    """Two."""
    return Neighbours()


@pytest.mark.parametrize("make", WITH_METADATA.values(), ids=WITH_METADATA)
def test_an_event_with_another_deployments_metadata_is_ignored_immediately(
    shops: Neighbours, make: Make
) -> None:
    assert shops.hear(make(shops.payment)) == "other_deployment"
    assert shops.moved() == {}


@pytest.mark.parametrize("make", WITHOUT.values(), ids=WITHOUT)
def test_what_bears_no_metadata_waits_until_stripe_was_asked_for_two_minutes_at_most(
    shops: Neighbours, make: Make
) -> None:
    """Its payment intent tells whose it is, however long lists lag."""
    shops.sell()
    shops.stripe.lists_lag = True
    assert shops.hear(make(shops.payment)) == "parked"
    assert shops.recover().waiting == 0
    assert shops.parked() == []
    assert set(shops.moved()) <= {
        "payments"
    }  # word in the row that a credit would look at; no payment


def test_reconciliation_neither_credits_nor_rebuilds_nor_reverses_what_another_deployment_sold(
    shops: Neighbours,
) -> None:
    """Paid, partly refunded and disputed there."""
    shops.sell()
    shops.stripe.refund(shops.payment, "re_1", 100)
    shops.stripe.dispute(builders.dispute(shops.payment, "created", "needs_response", -500))
    report = shops.reconcile()
    assert (report.counts, report.not_ours) == ({}, 3)
    assert shops.moved() == {}


def test_confirm_knows_nothing_of_what_another_deployment_sold(shops: Neighbours) -> None:
    shops.sell()
    with pytest.raises(BillingError, match="not_found"):
        confirmation.confirm(shops.ours, shops.stripe, "alice", shops.payment.session_id)  # type: ignore[arg-type]
    assert shops.moved() == {}


def test_repairing_an_account_takes_nothing_from_another_deployment(shops: Neighbours) -> None:
    """The same user has an account here, whose ledger names a session of theirs
    by whatever mishap.
    """
    own = pending(shops.ours, payment_id="pay_own", session_id="cs_own")
    settlement.apply(
        shops.ours,
        _told(
            shops,
            builders.completed(own, metadata={**builders.metadata(own), "deployment": "dep_ours"}),
        ),
    )
    row = next(iter(shops.store.tables["ledger"].values()))
    shops.store.tables["ledger"]["alice", f"funded:{shops.payment.session_id}"] = {
        **row,
        "entry_id": f"funded:{shops.payment.session_id}",
        "reference_id": shops.payment.session_id,
    }
    shops.sell()
    before = set(shops.store.tables["payments"])
    job = Run(shops.ours, shops.stripe, repair=True, resumes=False)  # type: ignore[arg-type]
    repair_account(job, "alice")
    assert set(shops.store.tables["payments"]) == before


def _told(shops: Neighbours, event: dict[str, Any]) -> Any:
    found = parse(event, shops.ours.ours)
    assert not isinstance(found, Ignored), found
    return found


@pytest.mark.parametrize("make", WITH_METADATA.values(), ids=WITH_METADATA)
def test_a_session_from_before_ids_is_ours_by_its_record_alone(
    shops: Neighbours, make: Make
) -> None:
    """Without one nothing is kept, whatever the stack is called."""
    assert shops.hear(_old(make(shops.payment))) == "ignored"
    assert shops.moved() == {}


def test_a_paid_session_from_before_ids_without_a_record_is_never_rebuilt(
    shops: Neighbours,
) -> None:
    """Its refund is let go as soon as Stripe was asked."""
    shops.sell(metadata=builders.old_metadata(shops.payment))
    shops.stripe.refund(shops.payment, "re_1", 100)
    assert shops.hear(builders.refund(shops.payment, "re_1", 100)) == "parked"
    shops.recover()
    report = shops.reconcile()
    assert (report.counts, report.not_ours, shops.parked()) == ({}, 2, [])
    assert set(shops.moved()) <= {"payments"}
    assert debits.read(shops.ours, "alice").total == 0


def test_what_an_older_version_parked_of_a_neighbours_session_goes_at_the_next_retry(
    shops: Neighbours,
) -> None:
    """It had taken the stack's name for proof."""
    told = _told(shops, _old(builders.completed(shops.payment)))
    parking.park(shops.ours, told, Park("unknown_payment", "not in our records"))
    assert shops.parked()
    shops.recover()
    assert shops.moved() == {}


@pytest.mark.parametrize("door", ["webhook", "confirm", "reconciliation", "recovery"])
def test_a_session_from_before_ids_with_a_record_is_settled_as_always(door: str) -> None:
    shops = Neighbours()
    shops.payment = pending(shops.ours)
    shops.sell(metadata=builders.old_metadata(shops.payment))
    if door == "webhook":
        assert shops.hear(_old(builders.completed(shops.payment))) == "settled"
    elif door == "confirm":
        assert (
            confirmation.confirm(
                shops.ours,
                shops.stripe,  # type: ignore[arg-type]
                "alice",
                shops.payment.payment_id,
            ).status
            == "completed"
        )
    elif door == "reconciliation":
        assert shops.reconcile().repaired == 1
    if door != "recovery":
        assert debits.read(shops.ours, "alice").remaining == 100
    assert shops.hear(_old(builders.refunded(shops.payment, 500))) == (
        "parked" if door == "recovery" else "settled"
    )
    shops.recover()
    assert (debits.read(shops.ours, "alice").remaining, shops.parked()) == (50, [])
    laws.check(shops.store)


def test_a_refund_of_ours_is_not_let_go_while_stripes_list_only_lags(shops: Neighbours) -> None:
    """The record is lost as well, so that only the list leads to its session: it waits for as long
    as that takes.
    """
    ours = pending(builders.books_on(MemoryStore()), payment_id="pay_lost")
    shops.stripe.sell(
        ours, epoch(shops.clock()), metadata={**builders.metadata(ours), "deployment": "dep_ours"}
    )
    shops.stripe.lists_lag = True
    assert shops.hear(builders.refund(ours, "re_1", 500)) == "parked"
    for _ in range(10):
        shops.clock.advance(hours=6)
        shops.recover()
    assert len(shops.parked()) == 1


def test_a_refund_of_ours_finds_its_session_by_our_record_while_lists_lag(
    shops: Neighbours,
) -> None:
    """Stripe answers for one id at once."""
    shops.payment = pending(shops.ours)
    shops.sell(metadata={**builders.metadata(shops.payment), "deployment": "dep_ours"})
    shops.stripe.lists_lag = True
    shops.stripe.refund(shops.payment, "re_1", 500)
    assert (
        shops.hear(builders.dispute(shops.payment, "created", "needs_response", -500)) == "parked"
    )
    assert shops.recover().settled == 1
    assert debits.read(shops.ours, "alice").remaining == 50


def test_a_charge_without_metadata_of_ours_is_ours_by_our_record(shops: Neighbours) -> None:
    """A seller may have edited it at Stripe.

    Another product's, of which we have no record, is ignored at once.
    """
    shops.payment = pending(shops.ours)
    bare = builders.refunded(shops.payment, 500)
    bare["data"]["object"]["metadata"] = {}
    assert shops.hear(bare) == "ignored"
    assert shops.parked() == []
    shops.hear(
        builders.completed(
            shops.payment, metadata={**builders.metadata(shops.payment), "deployment": "dep_ours"}
        )
    )
    assert shops.hear(bare) == "settled"
    assert debits.read(shops.ours, "alice").remaining == 50


def test_one_charge_that_stripe_does_not_know_does_not_end_a_recovery_run(
    shops: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays for an operator; the ones behind it have their turn."""

    def unknown(charge: str) -> dict[str, Any]:
        raise StripeNotFoundError(charge)

    monkeypatch.setattr(shops.stripe, "charge", unknown)
    nameless = builders.refund(shops.payment, "re_1", 500)
    nameless["data"]["object"]["payment_intent"] = None
    shops.sell()
    assert [
        shops.hear(event) for event in (nameless, builders.refund(shops.payment, "re_2", 500))
    ] == ["parked", "parked"]
    assert shops.recover().waiting == 1
    assert shops.parked() == [nameless["id"]]


def test_books_that_share_an_account_stay_apart_to_the_end(shops: Neighbours) -> None:
    """Every event of theirs is delivered to both, in turn."""
    shops.sell()
    for make in (*WITH_METADATA.values(), *WITHOUT.values()):
        event = make(shops.payment)
        shops.hear(copy.deepcopy(event))
        settlement.apply(shops.theirs, builders.fact(event))
    shops.recover()
    shops.reconcile()
    assert (debits.read(shops.theirs, "alice").total, debits.read(shops.ours, "alice").total) == (
        0,
        0,
    )
    assert shops.theirs.store.get("ledger", ("alice", f"funded:{shops.payment.session_id}"))
    assert shops.ours.store.get("ledger", ("alice", f"funded:{shops.payment.session_id}")) is None
    laws.check(shops.theirs.store)
