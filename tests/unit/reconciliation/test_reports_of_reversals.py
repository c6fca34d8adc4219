"""Whole reports of reconciliation: refunds and disputes."""

import pytest
from billing.parked import dropping, records
from billing.spending import debits
from support import builders
from support.builders import intent_of, pending
from support.compared import EMPTY, World, whole
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


def test_a_refund_that_is_known_matches_without_another_question(world: World) -> None:
    """Two are, and the third is new: Stripe is asked once."""
    paid = world.buy()
    for name, minor in (("re_1", 100), ("re_2", 200)):
        world.stripe.refund(paid, name, minor)
        world.settle(builders.refund_created(paid, name, minor))
    assert world.report() == whole(matched=3)
    assert world.stripe.asked_for == []
    world.stripe.refund(paid, "re_3", 300)
    detail = "partially_refunded here, partially_refunded at Stripe; -30 units"
    row = ("status", "re_3", paid.payment_id, detail, True)
    assert world.report() == whole(row, matched=3)
    assert world.stripe.asked_for == [intent_of(paid)]
    assert debits.read(world.books, "alice").remaining == 40


def test_a_refund_that_has_failed_since_is_new(world: World) -> None:
    """It is known as one that stands."""
    paid = world.buy()
    world.settle(builders.refund_created(paid, "re_1", 500))
    world.stripe.refund(paid, "re_1", 500, "failed")
    detail = "partially_refunded here, completed at Stripe; +50 units"
    assert world.report() == whole(("status", "re_1", paid.payment_id, detail, True), matched=1)


def test_a_refund_whose_id_alone_is_new_matches(world: World) -> None:
    """The charge's event told how much, and not by which refund."""
    paid = world.buy()
    world.settle(builders.refunded(paid, 500))
    world.stripe.refund(paid, "re_1", 500)
    assert world.report() == whole(matched=2)
    world.stripe.asked_for.clear()
    assert world.report() == whole(matched=2)
    assert world.stripe.asked_for == [], "its id was learnt"


def test_a_dispute_that_is_known_matches(world: World) -> None:
    paid = world.buy()
    event = builders.dispute(paid, "funds_withdrawn", "needs_response", -999)
    world.settle(event)
    world.stripe.dispute(event)
    assert world.report() == whole(matched=2)


@pytest.mark.parametrize("old", [True, False])
def test_a_refund_of_a_payment_without_any_record_is_ours_by_its_deployment_alone(
    world: World, *, old: bool
) -> None:
    """Its session is compared and shows what is missing; a stranger's is counted as such."""
    paid = pending(world.books)
    world.stripe.refund(paid, "re_1", 500)
    world.stripe.refund(paid, "re_2", 500)
    shown = builders.old_metadata(paid) if old else builders.metadata(paid)
    world.stripe.intents[intent_of(paid)] = shown
    world.forget(paid)
    assert world.report() == whole(not_ours=2 * old)


def test_a_refund_of_a_strangers_payment_is_counted_as_such(world: World) -> None:
    """With and without its payment intent expanded."""
    stranger = pending(builders.books_on(MemoryStore()))
    world.stripe.refund(stranger, "re_1", 500)
    world.stripe.refund(stranger, "re_2", 500)
    world.stripe.dispute(builders.dispute(stranger, "created", "needs_response", -999))
    assert world.report() == whole(not_ours=3)


def test_a_refund_of_a_payment_that_is_not_settled_yet_is_no_row_of_a_report(world: World) -> None:
    """Its session is, once it is paid."""
    unpaid = world.buy(paid=False, status="open", payment_status="unpaid")
    world.stripe.refund(unpaid, "re_1", 500)
    assert world.report() == EMPTY


@pytest.mark.parametrize("repair", [True, False])
def test_what_leads_to_a_payment_is_written_againwhole(world: World, *, repair: bool) -> None:
    paid = world.buy()
    intent = intent_of(paid)
    row = world.store.tables["payments"].pop((f"ref#{intent}", "reference"))
    world.stripe.refund(paid, "re_1", 500)
    detail = "completed here, partially_refunded at Stripe; -50 units"
    lost = ("missing_here", intent, paid.payment_id, "nothing led from this payment intent", repair)
    report = world.report(repair=repair)
    assert report == whole(lost, ("status", "re_1", paid.payment_id, detail, repair), matched=1)
    assert (world.store.tables["payments"].get((f"ref#{intent}", "reference")) == row) is repair


def test_what_an_operator_must_judge_is_not_repaired(world: World) -> None:
    """It is parked, and no units move."""
    odd = world.buy(paid=False, currency="eur")
    report = world.report()
    (row,) = report["differences"]
    assert (row["kind"], row["repaired"], report["repaired"]) == ("currency", False, 0)
    assert (row["stripe_id"], row["payment_id"]) == (odd.session_id, odd.payment_id)
    (record,) = records.all_parked(world.books)
    dropping.drop(world.books, record, "paid back by hand")
    assert world.report() == whole(dropped=1)
    assert world.report(repair=False) == whole(dropped=1)
