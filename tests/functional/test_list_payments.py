import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from functional.lab import Lab
from support.builders import completed, pending

NAMES = {
    "payment_id",
    "session_id",
    "plan",
    "quota",
    "amount_minor",
    "amount",
    "currency",
    "status",
    "created_at",
    "completed_at",
    "paid_minor",
    "payment_intent_id",
    "refunded_minor",
    "units_clawed_back",
    "failure_code",
}
FORGED = {
    "not base64": "%%%",
    "non-ASCII": "é",
    "nothing in it": "====",
    "not JSON": base64.urlsafe_b64encode(b"hello").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "a list": base64.urlsafe_b64encode(b"[]").decode(),
    "an empty object": base64.urlsafe_b64encode(b"{}").decode(),
    "a number": base64.urlsafe_b64encode(b'{"id": 7, "balance": "7"}').decode(),
    "a boolean": base64.urlsafe_b64encode(b'{"id": true, "balance": true}').decode(),
    "an empty id": base64.urlsafe_b64encode(b'{"id": "", "balance": 1, "entry_id": ""}').decode(),
    "a fraction": base64.urlsafe_b64encode(b'{"balance": 1.5}').decode(),
    "of another row": base64.urlsafe_b64encode(b'{"id": "cs_test_1", "balance": "x"}').decode(),
    "longer than a key can be": base64.urlsafe_b64encode(
        b'{"id": "pay_%s", "balance": 1, "entry_id": "%s"}' % ((b"x" * 2000,) * 2)
    ).decode(),
    "nested 3 000 deep": base64.urlsafe_b64encode(b"[" * 3000).decode(),
    "a lone surrogate": base64.urlsafe_b64encode(
        b'{"id": "pay_\\ud800", "balance": 1, "entry_id": "\\ud800"}'
    ).decode(),
    "5 000 digits": base64.urlsafe_b64encode(
        b'{"balance": %s, "entry_id": "x", "booked_at": "x"}' % (b"9" * 5000)
    ).decode(),
    "40 digits": base64.urlsafe_b64encode(
        b'{"balance": %s, "entry_id": "x", "booked_at": "x"}' % (b"9" * 40)
    ).decode(),
}


def _cursor(**place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def test_one_payment_is_found_by_either_id(lab: Lab) -> None:
    payment = pending(lab.books)
    for name in (payment.payment_id, payment.session_id):
        said = lab.call("GET", f"/payments/{name}", sub="alice")
        assert said.status == 200
        assert set(said.json) == NAMES
        assert (said.json["payment_id"], said.json["amount"], said.json["status"]) == (
            payment.payment_id,
            "9.99",
            "pending",
        )


PAID: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "at its price": ({}, 999, "pi_1"),
    "after a discount of a fifth": ({"amount_total": 799}, 799, "pi_1"),
    "with tax": ({"amount_total": 1189}, 1189, "pi_1"),
    "for nothing": (
        {"amount_total": 0, "payment_intent": None, "payment_status": "no_payment_required"},
        0,
        None,
    ),
}


@pytest.mark.parametrize("how", PAID)
def test_a_payment_shows_what_was_paid_and_its_payment_intent(lab: Lab, how: str) -> None:
    """After discounts, with tax. Nothing of it before it is paid."""
    members, paid, intent = PAID[how]
    payment = pending(lab.books, payment_id="pay_1")
    path = f"/payments/{payment.payment_id}"
    before = lab.call("GET", path, sub="alice").json
    assert (before["paid_minor"], before["payment_intent_id"]) == (None, None)
    lab.deliver(completed(payment, **members))
    after = lab.call("GET", path, sub="alice").json
    assert (after["status"], after["paid_minor"], after["payment_intent_id"]) == (
        "completed",
        paid,
        intent,
    )


NOWHERE = [
    "pay_none",
    "cs_test_none",
    "pi_1",
    "quota",
    "user#alice",
    "../quota",
    "%2e",
    "reference",
    "Ünïcode",
    "pay_Ünïcode",
    "pay_\ud800",
]


@pytest.mark.parametrize(
    "name", [*NOWHERE, "pay_" + "x" * 2000, "cs_" + "x" * 2000], ids=lambda name: ascii(name[:20])
)
def test_what_is_not_there_is_a_404(lab: Lab, name: str) -> None:
    """Whatever it looks like; confirm says the same."""
    path = {"id": name}
    for method, handler in (("GET", "list_payments"), ("POST", "confirm_payment")):
        claims = {
            "http": {"method": method},
            "authorizer": {"jwt": {"claims": {"sub": "alice"}}},
            "requestId": "req-1",
        }
        said = lab.invoke(
            handler,
            {
                "routeKey": f"{method} /api/v1/payments/{{id}}",
                "pathParameters": path,
                "requestContext": claims,
            },
        )
        assert (said.status, said.code) == (404, "not_found")


def test_another_users_payment_is_a_404(lab: Lab) -> None:
    """By both ids and on both routes, word for word as for one that does not exist."""
    payment = pending(lab.books)
    none = lab.call("GET", "/payments/pay_none", sub="bob").json
    for name in (payment.payment_id, payment.session_id):
        assert lab.call("GET", f"/payments/{name}", sub="bob").json == none
        assert lab.call("POST", f"/payments/{name}/confirm", sub="bob").json == none


def test_payments_come_newest_first_a_page_at_a_time(lab: Lab) -> None:
    """Each once, own only, and no cursor after the last."""
    ours = [pending(lab.books).payment_id for _ in range(5)]
    pending(lab.books, user_id="bob")
    seen, cursor = [], ""
    for size in (2, 2, 1):
        page = lab.call(
            "GET",
            "/payments",
            sub="alice",
            query={"limit": "2", **({"cursor": cursor} if cursor else {})},
        ).json
        assert len(page["payments"]) == size
        seen += [payment["payment_id"] for payment in page["payments"]]
        cursor = page["next_cursor"]
    assert seen == sorted(ours, reverse=True)
    assert cursor is None


def test_the_ledger_comes_newest_first_with_the_balance_after_each_entry(lab: Lab) -> None:
    """A page at a time, and the balance runs on over the pages."""
    for plan in ("starter", "pro", "starter"):
        lab.deliver(completed(pending(lab.books, plan=plan)))
    rows, cursor = [], ""
    while cursor is not None:
        page = lab.call(
            "GET",
            "/quota/ledger",
            sub="alice",
            query={"limit": "1", **({"cursor": cursor} if cursor else {})},
        ).json
        rows += page["entries"]
        cursor = page["next_cursor"]
        assert len(rows) <= 3
    assert [(row["type"], row["units"], row["balance_after"]) for row in rows] == [
        ("funded", 100, 1200),
        ("funded", 1000, 1100),
        ("funded", 100, 100),
    ]
    assert {row["reference_type"] for row in rows} == {"payment"}
    assert all(row["reference_id"].startswith("cs_test_") for row in rows)
    assert set(rows[0]) == {
        "id",
        "type",
        "units",
        "balance_after",
        "reference_type",
        "reference_id",
        "booked_at",
    }


def test_the_ledger_says_which_days_use_is_no_entry_yet(lab: Lab) -> None:
    """Of that day, however long ago, on the first page alone; with it, the books balance by the
    answers alone.
    """
    for _ in range(2):
        lab.deliver(completed(pending(lab.books)))
    body = {"user_id": "alice", "units": 30}
    assert (
        lab.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body).status
        == 200
    )
    first = lab.call("GET", "/quota/ledger", sub="alice", query={"limit": "1"}).json
    assert first["not_itemised"] == {"day": datetime.now(UTC).date().isoformat(), "units": 30}
    assert (
        first["entries"][0]["balance_after"] - first["not_itemised"]["units"]
        == lab.quota("alice")["remaining"]
    )
    assert (
        "not_itemised"
        not in lab.call(
            "GET", "/quota/ledger", sub="alice", query={"cursor": first["next_cursor"]}
        ).json
    )
    key = {"user_id": {"S": "alice"}, "item": {"S": "quota"}}
    change = {"use_day": {"Value": {"S": "2026-01-02"}}}
    lab.boto("dynamodb").update_item(TableName="QuotasTable", Key=key, AttributeUpdates=change)
    assert lab.call("GET", "/quota/ledger", sub="alice").json["not_itemised"]["day"] == "2026-01-02"


@pytest.mark.parametrize("path", ["/payments", "/quota/ledger"])
@pytest.mark.parametrize("cursor", FORGED.values(), ids=FORGED)
def test_a_cursor_that_we_did_not_make_is_refused(lab: Lab, path: str, cursor: str) -> None:
    """400, never 5xx."""
    said = lab.call("GET", path, sub="alice", query={"cursor": cursor})
    assert (said.status, said.code) == (400, "invalid_request")


def test_a_cursor_shows_only_the_callers_own(lab: Lab) -> None:
    """Another user's cursor is a place in one's own list: whose list it is, the token says."""
    for user in ("alice", "alice", "bob"):
        lab.deliver(completed(pending(lab.books, user_id=user)))
    for path, rows in (("/payments", "payments"), ("/quota/ledger", "entries")):
        page = lab.call("GET", path, sub="alice", query={"limit": "1"}).json
        theirs = lab.call("GET", path, sub="bob", query={"cursor": page["next_cursor"]}).json[rows]
        alices = lab.call("GET", path, sub="alice").json[rows]
        assert not [row for row in theirs if row in alices]


def test_a_cursor_that_names_another_owner_is_not_believed(lab: Lab) -> None:
    """Members that a forger adds are not looked at."""
    pending(lab.books, user_id="bob")
    said = lab.call(
        "GET", "/payments", sub="alice", query={"cursor": _cursor(id="pay_zzz", owner="user#bob")}
    )
    assert (said.status, said.json["payments"]) == (200, [])


def test_who_never_bought_has_zeros(lab: Lab) -> None:
    """Not a 404: a balance of nothing is a balance."""
    said = lab.call("GET", "/quota", sub="nobody")
    assert said.status == 200
    zeros = {"total": 0, "used": 0, "held": 0, "remaining": 0, "debt": 0, "expires_next": None}
    assert said.json == {"user_id": "nobody", **zeros, "updated_at": said.json["updated_at"]}
    assert lab.call("GET", "/payments", sub="nobody").json == {"payments": [], "next_cursor": None}
    assert lab.call("GET", "/quota/ledger", sub="nobody").json == {
        "entries": [],
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("path", "name"), [("/payments", "payments"), ("/quota/ledger", "entries")]
)
def test_a_list_shows_twenty_where_no_limit_is_given(lab: Lab, path: str, name: str) -> None:
    """And says that there are more."""
    for _ in range(21):
        lab.deliver(completed(pending(lab.books)))
    first = lab.call("GET", path, sub="alice").json
    assert len(first[name]) == 20
    rest = lab.call("GET", path, sub="alice", query={"cursor": first["next_cursor"]}).json
    assert (len(rest[name]), rest["next_cursor"]) == (1, None)
