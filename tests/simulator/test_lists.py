"""Paging, filters and expansion: https://docs.stripe.com/api/pagination."""

from typing import Any

import pytest
from simulator.lab import Lab

SESSIONS = "/v1/checkout/sessions"


def _ids(lab: Lab, path: str) -> list[str]:
    answer = lab.call("GET", path)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def test_the_client_pages_through_more_than_a_hundred(stripe_lab: Lab) -> None:
    """auto_paging_iter, newest first, none twice and none left out; backwards too."""
    made = [stripe_lab.create().id for _ in range(105)]
    newest = list(reversed(made))
    listed = stripe_lab.client.v1.checkout.sessions.list
    assert [session.id for session in listed({"limit": 10}).auto_paging_iter()] == newest
    assert [session.id for session in listed({"limit": 100}).auto_paging_iter()] == newest
    assert [
        session.id
        for session in listed({"limit": 50, "ending_before": newest[104]}).auto_paging_iter()
    ] == made[1:]


def test_a_page_says_whether_there_is_more(stripe_lab: Lab) -> None:
    """Ten by default; before and after a cursor; at the end."""
    newest = list(reversed([stripe_lab.create().id for _ in range(12)]))
    first = stripe_lab.call("GET", SESSIONS).json()
    assert (
        [row["id"] for row in first["data"]],
        first["has_more"],
        first["url"],
        first["object"],
    ) == (newest[:10], True, SESSIONS, "list")
    rest = stripe_lab.call("GET", f"{SESSIONS}?starting_after={newest[9]}").json()
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (newest[10:], False)
    exact = stripe_lab.call("GET", f"{SESSIONS}?limit=12").json()
    assert exact["has_more"] is False
    before = stripe_lab.call("GET", f"{SESSIONS}?ending_before={newest[9]}&limit=3").json()
    assert ([row["id"] for row in before["data"]], before["has_more"]) == (newest[6:9], True)
    top = stripe_lab.call("GET", f"{SESSIONS}?ending_before={newest[2]}&limit=3").json()
    assert ([row["id"] for row in top["data"]], top["has_more"]) == (newest[:2], False)


def test_created_bounds_are_inclusive_or_not_as_they_say(stripe_lab: Lab) -> None:
    """gt, gte, lt, lte, and a bare second."""
    made = []
    for _ in range(3):
        made.append(stripe_lab.create())
        stripe_lab.control("clock", advance_seconds=100)
    middle = made[1].created
    a, b, c = (session.id for session in made)
    for bounds, expected in (
        (f"created[gte]={middle}", [c, b]),
        (f"created[gt]={middle}", [c]),
        (f"created[lte]={middle}", [b, a]),
        (f"created[lt]={middle}", [a]),
        (f"created={middle}", [b]),
        (f"created[gt]={middle}&created[lt]={middle}", []),
        (f"created[gte]={middle}&created[lt]={middle + 100}", [b]),
    ):
        assert _ids(stripe_lab, f"{SESSIONS}?{bounds}") == expected, bounds


def test_lists_are_filtered_by_what_they_refer_to(stripe_lab: Lab) -> None:
    """Sessions, charges, refunds and disputes of one payment among others; balance transactions of
    one source.
    """
    one, other = stripe_lab.pay(), stripe_lab.pay()
    stripe_lab.create()
    intent, charge = one.payment_intent.id, one.payment_intent.latest_charge.id
    refund = stripe_lab.client.v1.refunds.create({"charge": charge, "amount": 100}).id
    stripe_lab.client.v1.refunds.create({"charge": other.payment_intent.latest_charge.id})
    dispute = stripe_lab.control(f"charges/{charge}/dispute", amount=200)["id"]
    assert _ids(stripe_lab, f"{SESSIONS}?payment_intent={intent}") == [one.id]
    assert _ids(stripe_lab, f"{SESSIONS}?status=complete") == [other.id, one.id]
    assert len(_ids(stripe_lab, f"{SESSIONS}?status=open")) == 1
    assert _ids(stripe_lab, f"{SESSIONS}?customer_details[email]=buyer@example.com&limit=1") == [
        other.id
    ]
    assert _ids(stripe_lab, f"{SESSIONS}?customer=cus_1") == []
    assert _ids(stripe_lab, f"/v1/charges?payment_intent={intent}") == [charge]
    assert (
        _ids(stripe_lab, f"/v1/refunds?payment_intent={intent}")
        == _ids(stripe_lab, f"/v1/refunds?charge={charge}")
        == [refund]
    )
    assert (
        _ids(stripe_lab, f"/v1/disputes?payment_intent={intent}")
        == _ids(stripe_lab, f"/v1/disputes?charge={charge}")
        == [dispute]
    )
    assert len(_ids(stripe_lab, "/v1/payment_intents")) == 2
    rows = stripe_lab.call("GET", f"/v1/balance_transactions?source={charge}").json()["data"]
    assert [(row["amount"], row["reporting_category"]) for row in rows] == [(999, "charge")]


def test_events_are_filtered_by_type_and_by_delivery(stripe_lab: Lab) -> None:
    """One type, several, a family; those that every endpoint has and those that some has not."""
    stripe_lab.pay()
    stripe_lab.idle()
    stripe_lab.receiver.statuses = [500] * 20
    stripe_lab.create()
    stripe_lab.control(f"sessions/{_ids(stripe_lab, f'{SESSIONS}?status=open')[0]}/expire")
    stripe_lab.idle()

    def types(query: str) -> list[str]:
        return [row["type"] for row in stripe_lab.call("GET", f"/v1/events?{query}").json()["data"]]

    assert types("type=charge.succeeded") == ["charge.succeeded"]
    assert types("types[]=charge.succeeded&types[]=payment_intent.created") == [
        "charge.succeeded",
        "payment_intent.created",
    ]
    assert types("type=payment_intent.*") == ["payment_intent.succeeded", "payment_intent.created"]
    assert types("delivery_success=false") == ["checkout.session.expired"]
    assert len(types("delivery_success=true")) == 4


def test_events_are_listed_for_thirty_days(stripe_lab: Lab) -> None:
    """Then they are gone from the list; objects stay."""
    stripe_lab.pay()
    stripe_lab.control("clock", advance_seconds=30 * 86400 - 60)
    assert len(_ids(stripe_lab, "/v1/events")) == 4
    stripe_lab.control("clock", advance_seconds=120)
    assert _ids(stripe_lab, "/v1/events") == []
    assert len(_ids(stripe_lab, SESSIONS)) == 1


@pytest.mark.parametrize(
    ("path", "wish", "place", "kind"),
    [
        (SESSIONS + "/{session}", "payment_intent", ("payment_intent",), "payment_intent"),
        (
            SESSIONS + "/{session}",
            "payment_intent.latest_charge",
            ("payment_intent", "latest_charge"),
            "charge",
        ),
        (SESSIONS + "/{session}", "line_items", ("line_items",), "list"),
        (
            SESSIONS,
            "data.payment_intent.latest_charge",
            ("data", 0, "payment_intent", "latest_charge"),
            "charge",
        ),
        (SESSIONS, "data.line_items", ("data", 0, "line_items"), "list"),
        (
            "/v1/payment_intents/{intent}",
            "latest_charge.balance_transaction",
            ("latest_charge", "balance_transaction"),
            "balance_transaction",
        ),
        ("/v1/charges/{charge}", "payment_intent", ("payment_intent",), "payment_intent"),
        ("/v1/charges/{charge}", "refunds", ("refunds",), "list"),
        ("/v1/refunds/{refund}", "charge", ("charge",), "charge"),
        (
            "/v1/refunds/{refund}",
            "balance_transaction",
            ("balance_transaction",),
            "balance_transaction",
        ),
        (
            "/v1/disputes/{dispute}",
            "charge.payment_intent",
            ("charge", "payment_intent"),
            "payment_intent",
        ),
        (
            "/v1/disputes/{dispute}",
            "balance_transactions",
            ("balance_transactions", 0),
            "balance_transaction",
        ),
    ],
)
def test_ids_are_replaced_by_their_objects(
    furnished_lab: Lab, path: str, wish: str, place: tuple[str | int, ...], kind: str
) -> None:
    """expand[], in single objects and below data."""
    places = {
        "session": SESSIONS,
        "intent": "/v1/payment_intents",
        "charge": "/v1/charges",
        "refund": "/v1/refunds",
        "dispute": "/v1/disputes",
    }
    names = {name: _ids(furnished_lab, listed)[0] for name, listed in places.items()}
    found: Any = furnished_lab.call("GET", f"{path.format(**names)}?expand[]={wish}").json()
    for step in place:
        found = found[step]
    assert found["object"] == kind


def test_line_items_are_a_list_of_their_own(stripe_lab: Lab) -> None:
    item = {
        "quantity": 2,
        "price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": "Small"}},
    }
    session = stripe_lab.create(line_items=[item, {**item, "quantity": 1}])
    assert (session.amount_total, session.amount_subtotal) == (300, 300)
    first = stripe_lab.client.v1.checkout.sessions.line_items.list(session.id, {"limit": 1})
    assert (
        first.has_more,
        first.data[0].quantity,
        first.data[0].amount_total,
        first.data[0].description,
    ) == (True, 2, 200, "Small")
    assert first.data[0].price is not None
    assert first.data[0].price.unit_amount == 100
    assert [row.quantity for row in first.auto_paging_iter()] == [2, 1]
