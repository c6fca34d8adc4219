"""What one more try makes of a parked event, in the word that operators read."""

from typing import Any

import pytest
from billing.parked import dropping, parking, records, retries
from billing.parked.records import Parked
from billing.payments.decision import Park
from billing.reconciliation import retry_parked
from billing.stripe_api.outcomes import StripeNotFoundError
from support import builders
from support.builders import fact, intent_of, pending
from support.compared import AT, World
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def world() -> World:
    """Nothing was sold."""
    return World()


def _park(world: World, event: dict[str, Any]) -> Parked:
    assert world.settle(event) == "parked"
    return next(
        record for record in records.all_parked(world.books) if record.fact.fact_id == event["id"]
    )


def _try(world: World, record: Parked) -> str:
    return retry_parked.try_again(world.books, world.stripe, record)  # type: ignore[arg-type]


def _left(world: World) -> list[str]:
    return [record.name for record in records.all_parked(world.books)]


def test_a_refund_whose_purchase_is_paid_is_settled_with_it(world: World) -> None:
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT)
    assert _try(world, record) == "settled"
    assert _left(world) == []


def test_a_refund_whose_purchase_is_not_paid_yet_stays(world: World) -> None:
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT, status="open", payment_status="unpaid")
    assert _try(world, record) == ""
    assert _left(world) == [record.name]


def test_a_refund_that_stripe_lists_no_purchase_for_stays(world: World) -> None:
    """Its lists lag, and our record was lost: it is ours by its intent's metadata."""
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT)
    world.stripe.lists_lag = True
    world.forget(sold)
    assert _try(world, record) == ""
    assert _left(world) == [record.name]


@pytest.mark.parametrize("old", [True, False])
def test_a_refund_of_a_stranger_is_ignored(world: World, *, old: bool) -> None:
    """By its intent's metadata, which is another product's or names no deployment."""
    stranger = pending(builders.books_on(MemoryStore()))
    record = _park(world, builders.refunded(stranger, 500))
    shown = builders.old_metadata(stranger) if old else {}
    world.stripe.sell(stranger, AT, metadata=shown)
    assert _try(world, record) == "ignored"
    assert _left(world) == []


def test_a_session_that_can_move_nothing_is_ignored(world: World) -> None:
    """An older version parked it; its payment was lost."""
    lost = pending(world.books)
    world.forget(lost)
    parking.park(world.books, fact(builders.expired(lost)), Park("unknown_payment", "unknown"))
    (record,) = records.all_parked(world.books)
    assert _try(world, record) == "ignored"
    assert _left(world) == []


def test_a_refund_of_a_purchase_that_was_dropped_is_dropped_with_it(world: World) -> None:
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT, currency="eur")
    purchase = _park(world, builders.completed(sold, currency="eur"))
    dropping.drop(world.books, purchase, "paid back by hand")
    assert _try(world, record) == "dropped"
    assert _left(world) == []


def test_a_refund_of_a_purchase_that_waits_for_an_operator_stays(world: World) -> None:
    """It is decided with it."""
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT, currency="eur")
    assert _try(world, record) == ""
    assert sorted(_left(world)) == sorted([record.name, f"{sold.session_id}:paid"])


def test_an_event_that_was_taken_meanwhile_is_left(world: World) -> None:
    """By another run, or by an operator."""
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    world.stripe.sell(sold, AT)
    retries.postpone(world.books, record)
    assert _try(world, record) == ""
    assert world.stripe.asked_for == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_session_of_another_intent_is_not_taken_for_the_one_that_was_paid(
    world: World, *, is_there: bool
) -> None:
    """Our record names one, the refund's money came by another: Stripe's list has that."""
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    if is_there:
        world.stripe.sell(sold, AT, payment_intent="pi_other")
    world.stripe.sell(sold, AT, id="cs_that_was_paid")
    assert _try(world, record) == ""
    assert sorted(_left(world)) == sorted([record.name, "cs_that_was_paid:paid"])


def test_a_dispute_that_names_a_charge_alone_is_found_by_it(world: World) -> None:
    """Stripe is asked for the charge's intent."""
    sold = pending(world.books)
    event = builders.dispute(sold, "funds_withdrawn", "needs_response", -999)
    event["data"]["object"]["payment_intent"] = None
    record = _park(world, event)
    world.stripe.sell(sold, AT)
    assert _try(world, record) == "settled"
    row = world.row(f"ref#{builders.charge_of(sold)}", "reference")
    assert row["payment_id"] == sold.payment_id


def test_a_refund_of_an_automatic_charge_is_settled_with_its_intent(world: World) -> None:
    charge = builders.automatic(world.books)
    record = _park(world, builders.refunded(charge, 500))
    world.stripe.charged = [builders.intent(charge)]
    assert _try(world, record) == "settled"
    assert world.stripe.asked_for == []


def test_what_leads_to_a_payment_is_written_again_by_a_retry(world: World) -> None:
    """A restore has lost that row alone."""
    paid = world.buy()
    key = (f"ref#{intent_of(paid)}", "reference")
    row = world.store.tables["payments"].pop(key)
    record = _park(world, builders.refunded(paid, 500))
    assert _try(world, record) == "settled"
    assert world.store.tables["payments"][key] == row


def test_a_purchase_that_stripe_does_not_know_is_told_and_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the error."""
    sold = pending(world.books)
    record = _park(world, builders.refunded(sold, 500))
    told: list[tuple[str, str]] = []

    def gone(name: str) -> dict[str, Any]:
        raise StripeNotFoundError(f"No such payment_intent: {name}")

    monkeypatch.setattr(world.stripe, "payment_intent", gone)
    became = retry_parked.try_again(
        world.books,
        world.stripe,  # type: ignore[arg-type]
        record,
        lambda one, error: told.append((one.name, str(error))),
    )
    assert became == ""
    assert told == [(record.name, f"No such payment_intent: {intent_of(sold)}")]


def test_a_run_that_was_told_to_stop_tries_no_more(world: World) -> None:
    """Whatever it would be told next. Three are due."""
    world.stripe.rows_a_page = 100
    for _ in range(3):
        sold = pending(world.books)
        _park(world, builders.refunded(sold, 500))
        world.stripe.sell(sold, AT)
    world.books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    answers = iter([True, True, True, True, False])  # three are read, one is tried
    stripe: Any = world.stripe
    done = retry_parked.run(world.books, stripe, lambda: next(answers, True))
    assert (done.settled, done.waiting, done.left) == (1, 2, 2)


def test_an_event_is_due_at_its_second_and_one_for_an_operator_never(world: World) -> None:
    """What is left waits, and the oldest of it is told."""
    first, late = pending(world.books), pending(world.books)
    _park(world, builders.refunded(first, 500))
    world.books.clock.advance(seconds=10)  # type: ignore[attr-defined]
    _park(world, builders.refunded(late, 500))
    _park(world, builders.completed(pending(world.books), currency="eur"))
    for sold in (first, late):
        world.stripe.sell(sold, AT)
    world.books.clock.advance(seconds=20)  # type: ignore[attr-defined]
    done = retry_parked.run(world.books, world.stripe)  # type: ignore[arg-type]
    assert (done.settled, done.waiting, done.left, done.oldest_seconds) == (1, 2, 0, 20)
