"""Whole reports of reconciliation: every count and every difference of purchases."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from billing.parked import parking, records
from billing.payments.decision import Park
from billing.payments.payment import Payment
from billing.spending import debits
from support import builders
from support.builders import fact, intent_of, pending
from support.compared import AT, EMPTY, World, whole

LOST: Final[dict[str, Any]] = {
    "payment_status": "unpaid",
    "status": "expired",
    "payment_intent": None,
}
CHANGED: Final = "cannot be read: a member is missing or of another type than documented"


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


def test_books_without_a_sale_have_an_empty_report(world: World) -> None:
    assert world.report() == {
        "matched": 0,
        "not_ours": 0,
        "dropped": 0,
        "repaired": 0,
        "counts": {},
        "differences": [],
        "finished": True,
        "unlisted": [],
        "given_up": False,
    }


@pytest.mark.parametrize("repair", [True, False])
def test_what_is_not_ours_is_counted_and_an_open_session_is_not(
    world: World, *, repair: bool
) -> None:
    """Three strangers' sessions, around one that is not paid yet."""
    members: list[dict[str, Any]] = [
        {"metadata": {}},
        {"mode": "subscription"},
        {"status": "open", "payment_status": "unpaid"},
        {"livemode": True},
    ]
    for one in members:
        world.buy(paid=False, **one)
    assert world.report(repair=repair) == whole(not_ours=3)


@pytest.mark.parametrize("status", ["paid", "no_payment_required"])
def test_a_session_that_is_paid_and_cannot_be_read_is_a_failure(world: World, status: str) -> None:
    """The purchases around it are credited."""
    first = world.buy(paid=False)
    odd = world.buy(paid=False, payment_status=status, amount_total=None)
    last = world.buy(paid=False)
    owed = "paid at Stripe, pending here: 100 units are owed"
    assert world.report() == whole(
        ("missing_here", last.session_id, last.payment_id, owed, True),
        ("failed", odd.session_id, odd.payment_id, f"this session {CHANGED}", False),
        ("missing_here", first.session_id, first.payment_id, owed, True),
    )


def test_an_automatic_charge_that_cannot_be_read_is_a_failure(world: World) -> None:
    odd = world.charge(paid=False, amount=None)
    detail = f"this payment intent {CHANGED}"
    assert world.report() == whole(("failed", intent_of(odd), odd.payment_id, detail, False))


@pytest.mark.parametrize("known", [True, False])
def test_a_session_from_before_deployments_had_ids_is_ours_by_our_record(
    world: World, *, known: bool
) -> None:
    """Also where it cannot be read."""
    odd = pending(world.books)
    world.stripe.sell(odd, AT, amount_total=None, metadata=builders.old_metadata(odd))
    if known:
        row = ("failed", odd.session_id, odd.payment_id, f"this session {CHANGED}", False)
        assert world.report() == whole(row)
    else:
        world.forget(odd)
        assert world.report() == whole(not_ours=1)


def test_a_session_of_ours_that_cannot_be_read_is_a_failure_though_its_record_was_lost(
    world: World,
) -> None:
    """Its metadata says whose it is."""
    odd = world.buy(paid=False, amount_total=None)
    world.forget(odd)
    row = ("failed", odd.session_id, odd.payment_id, f"this session {CHANGED}", False)
    assert world.report() == whole(row)


def test_a_session_that_is_not_paid_and_cannot_be_read_owes_nothing(world: World) -> None:
    world.buy(paid=False, amount_total=None, **LOST)
    assert world.report() == whole(not_ours=1)


@pytest.mark.parametrize("repair", [True, False])
def test_a_session_that_can_move_nothing_and_has_no_record_matches(
    world: World, *, repair: bool
) -> None:
    """What an older version parked of it is let go, but not by a dry run."""
    lost = world.buy(paid=False, **LOST)
    world.forget(lost)
    parking.park(world.books, fact(builders.expired(lost)), Park("unknown_payment", "unknown"))
    assert world.report(repair=repair) == whole(matched=1)
    left = [record.name for record in records.all_parked(world.books)]
    assert left == ([] if repair else [f"{lost.session_id}:expired"])


def test_a_paid_session_that_only_a_record_could_show_to_be_ours_is_a_strangers(
    world: World,
) -> None:
    old = pending(world.books)
    world.stripe.sell(old, AT, metadata=builders.old_metadata(old))
    world.forget(old)
    assert world.report() == whole(not_ours=1)
    assert world.store.tables["payments"] == {}


@pytest.mark.parametrize("make", [World.buy, World.charge])
def test_a_purchase_that_is_credited_here_and_paid_there_matches(
    world: World, make: Callable[[World], Payment]
) -> None:
    """And is seen: no later run asks for it by its id."""
    paid = make(world)
    assert world.row("user#alice", paid.payment_id)["unseen"] == "unseen"
    assert world.report() == whole(matched=1)
    assert "unseen" not in world.row("user#alice", paid.payment_id)
    assert world.report() == whole(matched=1)
    assert world.stripe.asked_for == []


@pytest.mark.parametrize("make", [World.buy, World.charge])
def test_a_purchase_that_a_run_credits_is_seen_by_it(
    world: World, make: Callable[..., Payment]
) -> None:
    """It is not asked for again by its id, in this run or in a later one."""
    paid = make(world, paid=False)
    assert world.report()["repaired"] == 1
    assert "unseen" not in world.row("user#alice", paid.payment_id)
    assert world.stripe.asked_for == []


def test_a_dry_run_takes_nothing_out_of_the_index(world: World) -> None:
    paid = world.buy()
    assert world.report(repair=False) == whole(matched=1)
    assert world.row("user#alice", paid.payment_id)["unseen"] == "unseen"
    assert world.stripe.asked_for == [paid.session_id]


@pytest.mark.parametrize("make", [World.buy, World.charge])
def test_another_paid_purchase_under_a_payments_name_does_not_show_it_at_stripe(
    world: World, make: Callable[[World], Payment]
) -> None:
    """What the payment itself was paid by is asked for, and is not there."""
    paid = make(world)
    for row in (*world.stripe.sold, *world.stripe.charged):
        row["id"] = f"{row['id']}_other"
        row["payment_intent"] = "pi_other"
    report = world.report()
    assert report["counts"] == {"identity": 1, "missing_there": 1}
    assert world.row("user#alice", paid.payment_id)["unseen"] == "unseen"


def test_an_intent_of_a_checkout_is_no_row_of_a_report(world: World) -> None:
    """Its session is compared."""
    paid = world.buy()
    world.stripe.charged = [builders.intent(paid, metadata=builders.metadata(paid))]
    world.stripe.charged.append(builders.intent(paid, metadata={}))
    assert world.report() == whole(matched=1)


@pytest.mark.parametrize("repair", [True, False])
def test_an_automatic_charge_whose_events_were_lost_is_credited(
    world: World, *, repair: bool
) -> None:
    payment = world.charge(paid=False)
    owed = "paid at Stripe, pending here: 100 units are owed"
    row = ("missing_here", intent_of(payment), payment.payment_id, owed, repair)
    assert world.report(repair=repair) == whole(row)
    assert debits.read(world.books, "alice").remaining == (100 if repair else 0)


@pytest.mark.parametrize("status", ["requires_action", "requires_payment_method"])
def test_an_automatic_charge_that_is_still_open_is_no_row_of_a_report(
    world: World, status: str
) -> None:
    world.charge(paid=False, status=status)
    assert world.report() == EMPTY


@pytest.mark.parametrize(
    ("make", "gone", "members", "shown"),
    [
        (World.buy, "all", {}, "unknown"),
        (World.charge, "all", {}, "unknown"),
        (World.buy, "", LOST, "unpaid"),
        (World.buy, "", {"status": "open", "payment_status": "unpaid"}, "unpaid"),
        (World.charge, "", {"status": "canceled"}, "canceled"),
        (World.charge, "", {"status": "processing"}, "processing"),
        (World.charge, "", {"status": "requires_action"}, "requires_action"),
    ],
)
@pytest.mark.parametrize("repair", [True, False])
def test_what_is_credited_here_and_not_paid_there_is_reported_each_time(
    world: World,
    make: Callable[[World], Payment],
    gone: str,
    members: dict[str, Any],
    shown: str,
    *,
    repair: bool,
) -> None:
    """Made long before the lists begin; Stripe's own word for its state is in the report."""
    paid = make(world)
    for one in (*world.stripe.sold, *world.stripe.charged):
        one.update(members)
        one["created"] = 1
    if gone:
        world.stripe.sold, world.stripe.charged = [], []
    funding_id = paid.session_id or intent_of(paid)
    row = ("missing_there", funding_id, paid.payment_id, f"credited here, {shown} at Stripe", False)
    assert world.report(AT, repair=repair) == whole(row)
    assert world.report(AT, repair=repair) == whole(row)


def test_a_credited_charge_that_cannot_be_read_any_more_is_a_failure(world: World) -> None:
    paid = world.charge(created=1, amount=None)
    detail = f"this payment intent {CHANGED}"
    row = ("failed", intent_of(paid), paid.payment_id, detail, False)
    assert world.report(AT) == whole(row)


def test_what_was_in_no_list_and_is_paid_is_seen_and_no_row_of_a_report(world: World) -> None:
    paid = world.buy()
    world.stripe.sold[0]["created"] = 1
    assert world.report(AT) == EMPTY
    assert "unseen" not in world.row("user#alice", paid.payment_id)
