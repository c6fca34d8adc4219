"""Lost records that reconciliation rebuilds, and looks at one purchase."""

from typing import Any

import pytest
from billing.spending import debits
from support import builders
from support.builders import intent_of
from support.compared import World, whole


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


def test_a_rebuilt_record_is_as_checkout_wrote_it(world: World) -> None:
    """With the time at which Stripe made the session, before anything is settled."""
    lost = world.buy(paid=False)
    world.forget(lost)
    written: list[dict[str, Any]] = []

    def noted() -> None:
        written.extend(dict(row) for row in world.store.tables["payments"].values())

    def later() -> None:
        world.store.first = noted

    world.store.first = later
    report = world.report()
    detail = "the payment's record was lost, and rebuilt"
    owed = "paid at Stripe, pending here: 100 units are owed"
    assert report == whole(
        ("missing_here", lost.session_id, lost.payment_id, detail, True),
        ("missing_here", lost.session_id, lost.payment_id, owed, True),
    )
    assert {"owner": "user#alice", "id": lost.session_id, "payment_id": lost.payment_id} in written
    (row,) = [row for row in written if row["id"] == lost.payment_id]
    assert row == {
        "owner": "user#alice",
        "id": lost.payment_id,
        **lost.to_item(),
        "created_at": "2026-01-02T03:04:05.000000Z",
    }
    assert debits.read(world.books, "alice").remaining == 100


def test_a_rebuilt_record_of_an_automatic_charge_has_its_intent_and_no_session(
    world: World,
) -> None:
    lost = world.charge(paid=False)
    world.forget(lost)
    assert world.report()["counts"] == {"missing_here": 2}
    row = world.row("user#alice", lost.payment_id)
    assert (row["payment_intent"], row.get("session_id")) == (intent_of(lost), None)
    assert world.row("user#alice", intent_of(lost))["payment_id"] == lost.payment_id
    assert debits.read(world.books, "alice").remaining == 100


@pytest.mark.parametrize(
    "members",
    [
        {"amount_subtotal": 998},
        {"currency": "eur"},
        {"quota": "99"},
        {"plan": "of_old"},
        {"payment_status": "unpaid"},
    ],
)
def test_a_record_is_rebuilt_only_of_a_plan_at_its_price(
    world: World, members: dict[str, Any]
) -> None:
    """What the catalogue does not say is reported, and stays an operator's."""
    lost = world.buy(paid=False)
    (sold,) = world.stripe.sold
    for name, value in members.items():
        place = sold["metadata"] if name in ("quota", "plan") else sold
        place[name] = value
    world.forget(lost)
    report = world.report()
    assert report["repaired"] == 0
    assert not [key for key in world.store.tables["payments"] if key[0].startswith("user#")]
    assert report["counts"] == ({} if "payment_status" in members else {"missing_here": 1})


def test_a_record_that_comes_back_while_it_is_rebuilt_is_the_one_that_counts(world: World) -> None:
    """Two runs at the same time, or a purchase that is told of in this moment."""
    lost = world.buy(paid=False)
    kept = dict(world.store.tables["payments"])
    world.forget(lost)
    world.store.first = lambda: world.store.tables["payments"].update(kept)
    assert world.report()["repaired"] == 2
    assert world.row("user#alice", lost.payment_id)["created_at"] == lost.created_at
    assert debits.read(world.books, "alice").remaining == 100


def test_a_look_at_one_purchase_compares_it_with_all_its_refunds_and_disputes(
    world: World,
) -> None:
    """Refunds together, and each dispute."""
    paid = world.buy()
    for name, minor in (("re_1", 100), ("re_2", 200)):
        world.stripe.refund(paid, name, minor)
    for name in ("du_1", "du_2"):
        world.stripe.dispute(
            builders.dispute(paid, "created", "needs_response", -100, dispute_id=name, amount=100)
        )
    report = world.look(paid.session_id)
    shown = [(row["kind"], row["stripe_id"]) for row in report["differences"]]
    assert shown == [("status", "re_2"), ("status", "du_2"), ("status", "du_1")]
    assert (report["matched"], report["repaired"]) == (1, 3)
    assert world.look(paid.session_id) == whole(matched=4)


def test_a_look_at_a_purchase_without_an_intent_asks_for_nothing_more(world: World) -> None:
    """Nothing was to pay."""
    free = world.buy(
        paid=False, payment_intent=None, payment_status="no_payment_required", amount_total=0
    )
    assert world.look(free.session_id)["repaired"] == 1
    assert world.stripe.asked_for == [free.session_id]


def test_a_look_at_an_automatic_charge_compares_its_refunds_too(world: World) -> None:
    paid = world.charge(paid=False)
    world.stripe.refund(paid, "re_1", 500)
    report = world.look(intent_of(paid))
    shown = [(row["kind"], row["stripe_id"]) for row in report["differences"]]
    assert shown == [("missing_here", intent_of(paid)), ("status", "re_1")]
    assert debits.read(world.books, "alice").remaining == 50
