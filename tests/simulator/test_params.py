"""What Stripe refuses, the simulator refuses, with Stripe's error bodies, and
nothing comes of it.
"""

import base64
import time
from typing import Any

import pytest
from simulator.lab import FORM, KEY, Lab

PRICE = "line_items[0][price_data]"
REFUSED: list[tuple[dict[str, str | None], str | None, str]] = [
    ({"foo": "1"}, "parameter_unknown", "foo"),
    ({"line_items[0][foo]": "1"}, "parameter_unknown", "line_items[0][foo]"),
    ({f"{PRICE}[product_data][foo]": "1"}, "parameter_unknown", f"{PRICE}[product_data][foo]"),
    ({"idempotency_key": "k"}, "parameter_unknown", "idempotency_key"),
    ({"payment_method_types[0]": "card"}, "parameter_unknown", "payment_method_types"),
    ({"mode": None}, "parameter_missing", "mode"),
    ({"success_url": None}, "parameter_missing", "success_url"),
    ({f"{PRICE}[currency]": None}, "parameter_missing", f"{PRICE}[currency]"),
    ({f"{PRICE}[unit_amount]": None}, "parameter_missing", f"{PRICE}[unit_amount]"),
    ({f"{PRICE}[product_data][name]": ""}, "parameter_missing", f"{PRICE}[product_data][name]"),
    ({"line_items[0][quantity]": None}, "parameter_missing", "line_items[0][quantity]"),
    ({"line_items[0][quantity]": "0"}, "parameter_invalid_integer", "line_items[0][quantity]"),
    ({"line_items[0][quantity]": "1.0"}, "parameter_invalid_integer", "line_items[0][quantity]"),
    ({"line_items[0][quantity]": "one"}, "parameter_invalid_integer", "line_items[0][quantity]"),
    ({f"{PRICE}[unit_amount]": "-1"}, "parameter_invalid_integer", f"{PRICE}[unit_amount]"),
    ({f"{PRICE}[unit_amount]": " 999"}, "parameter_invalid_integer", f"{PRICE}[unit_amount]"),
    (
        {f"{PRICE}[unit_amount]": "1" + "0" * 30},
        "parameter_invalid_integer",
        f"{PRICE}[unit_amount]",
    ),
    ({f"{PRICE}[unit_amount]": "49"}, "amount_too_small", "line_items"),
    ({f"{PRICE}[unit_amount]": "100000000"}, "amount_too_large", "line_items"),
    (
        {f"{PRICE}[currency]": "jpy", f"{PRICE}[unit_amount]": "49"},
        "amount_too_small",
        "line_items",
    ),
    ({f"{PRICE}[currency]": "xxx"}, None, f"{PRICE}[currency]"),
    ({f"{PRICE}[recurring][interval]": "month"}, None, f"{PRICE}[recurring]"),
    ({"line_items[0][price]": "price_1"}, "resource_missing", "line_items[0][price]"),
    ({"line_items[0]": "x"}, None, "line_items"),
    ({"mode": "gift"}, None, "mode"),
    ({"mode": "subscription"}, None, "mode"),
    ({"ui_mode": "embedded_page"}, None, "ui_mode"),
    ({"locale": "tlh"}, None, "locale"),
    ({"allowed_payment_method_types[0]": "cash"}, None, "allowed_payment_method_types[0]"),
    ({"automatic_tax[enabled]": "1"}, None, "automatic_tax[enabled]"),
    ({"success_url": "ftp://127.0.0.1/x"}, "url_invalid", "success_url"),
    ({"cancel_url": "/cancelled"}, "url_invalid", "cancel_url"),
    ({"metadata": "x"}, None, "metadata"),
    ({"metadata[" + "k" * 41 + "]": "v"}, None, "metadata"),
    ({"metadata[k]": "v" * 501}, None, "metadata[k]"),
    ({"payment_intent_data[metadata][k]": "v" * 501}, None, "payment_intent_data[metadata][k]"),
    ({f"metadata[k{number}]": "v" for number in range(51)}, None, "metadata"),
    ({"customer": "cus_1"}, "resource_missing", "customer"),
    ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
    ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_session_that_stripe_would_refuse_is_refused(
    barren_lab: Lab, change: dict[str, str | None], code: str | None, param: str
) -> None:
    """Each complaint names the parameter, and no session is made."""
    form = {name: value for name, value in {**FORM, **change}.items() if value is not None}
    answer = barren_lab.call("POST", "/v1/checkout/sessions", form)
    is_path = code == "resource_missing" and param != "customer"
    assert answer.status_code == (404 if is_path else 400), answer.text
    error = answer.json()["error"]
    assert (error["type"], error.get("code"), error["param"]) == (
        "invalid_request_error",
        code,
        param,
    )
    assert error["message"]
    assert error["request_log_url"].endswith(answer.headers["request-id"])
    assert ("doc_url" in error) == (code is not None)
    assert barren_lab.call("GET", "/v1/checkout/sessions").json()["data"] == []


def test_an_act_whose_answer_cannot_be_expanded_is_not_done(stripe_lab: Lab) -> None:
    """All or nothing: no session, no refund, no event."""
    charge = stripe_lab.pay().payment_intent.latest_charge.id
    before = stripe_lab.types()
    for path, form in (("/v1/checkout/sessions", FORM), ("/v1/refunds", {"charge": charge})):
        assert (
            stripe_lab.error("POST", path, {**form, "expand[0]": "nonsense"})["param"] == "expand"
        )
    assert stripe_lab.types() == before
    assert len(stripe_lab.call("GET", "/v1/checkout/sessions").json()["data"]) == 1
    assert stripe_lab.client.v1.charges.retrieve(charge).amount_refunded == 0


def test_the_least_and_the_fullest_session_are_taken(stripe_lab: Lab) -> None:
    """Strict is not narrow: all that the product may send passes."""
    assert stripe_lab.call("POST", "/v1/checkout/sessions", FORM).status_code == 200
    asked: dict[str, Any] = {
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": True},
        "invoice_creation": {"enabled": True},
        "adaptive_pricing": {"enabled": False},
        "client_reference_id": "pay_1",
        "customer_email": "alice@example.com",
        "expires_at": int(time.time()) + 3600,
        "locale": "de",
    }
    session = stripe_lab.create(**asked)
    assert session.allow_promotion_codes is True
    assert (
        session.automatic_tax.enabled,
        session.invoice_creation.enabled,
        session.adaptive_pricing.enabled,
    ) == (True, True, False)
    assert (session.client_reference_id, session.customer_email, session.locale) == (
        "pay_1",
        "alice@example.com",
        "de",
    )
    assert session.expires_at == asked["expires_at"]


@pytest.mark.parametrize("seconds", [1700, 86500])
def test_a_session_expires_after_half_an_hour_to_a_day(barren_lab: Lab, seconds: int) -> None:
    error = barren_lab.error(
        "POST", "/v1/checkout/sessions", {**FORM, "expires_at": str(int(time.time()) + seconds)}
    )
    assert error["param"] == "expires_at"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("mode=payment&mode[a]=1", "mode"),
        ("metadata[a]=1&metadata[a]=2", "metadata"),
        ("mode=payment&mode=payment", "mode"),
        ("metadata" + "[a]" * 40 + "=1", "metadata"),
        ("a]b[=1", "a]b["),
    ],
)
def test_a_form_that_fits_no_tree_is_refused(barren_lab: Lab, body: str, param: str) -> None:
    """Twice the same, with and without brackets, too deep, brackets astray."""
    assert barren_lab.error("POST", "/v1/checkout/sessions", body)["param"] == param


def test_arrays_may_be_numbered_or_not(stripe_lab: Lab) -> None:
    """Numbered ones keep their order by number, up to beyond ten."""
    types = [
        "charge.refunded",
        "refund.failed",
        *[f"charge.dispute.{end}" for end in ("created", "closed", "updated")],
    ]
    unnumbered = [f"enabled_events[]={kind}" for kind in types]
    numbered = [f"enabled_events[{number * 3}]={kind}" for number, kind in enumerate(types)]
    for fields in (unnumbered, numbered, reversed(numbered)):
        made = stripe_lab.call(
            "POST", "/v1/webhook_endpoints", "&".join(["url=http://127.0.0.1:9/", *fields])
        ).json()
        assert made["enabled_events"] == types
    names = {f"metadata[{number}]": "v" for number in range(12)}
    assert list(
        stripe_lab.call("POST", "/v1/checkout/sessions", {**FORM, **names}).json()["metadata"]
    ) == [str(n) for n in range(12)]


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/checkout/sessions?limit=0", "limit"),
        ("/v1/checkout/sessions?limit=101", "limit"),
        ("/v1/checkout/sessions?limit=ten", "limit"),
        ("/v1/checkout/sessions?status=paid", "status"),
        ("/v1/checkout/sessions?created[since]=1", "created[since]"),
        ("/v1/checkout/sessions?created=yesterday", "created"),
        ("/v1/checkout/sessions?starting_after=a&ending_before=b", "starting_after"),
        ("/v1/events?type=a&types[]=b", "types"),
        ("/v1/events?delivery_success=yes", "delivery_success"),
        ("/v1/refunds?currency=usd", "currency"),
        ("/v1/charges?expand[]=payment_intent", "expand"),
        ("/v1/charges?expand[]=data.review", "expand"),
        ("/v1/charges?expand[]=data.a.b.c.d", "expand"),
    ],
)
def test_a_list_that_stripe_would_refuse_is_refused(
    furnished_lab: Lab, path: str, param: str
) -> None:
    assert furnished_lab.error("GET", path)["param"] == param


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/checkout/sessions/cs_test_none"),
        ("GET", "/v1/checkout/sessions/cs_test_none/line_items"),
        ("POST", "/v1/checkout/sessions/cs_test_none/expire"),
        ("GET", "/v1/payment_intents/pi_none"),
        ("GET", "/v1/charges/ch_none"),
        ("GET", "/v1/refunds/re_none"),
        ("GET", "/v1/disputes/du_none"),
        ("GET", "/v1/events/evt_none"),
        ("GET", "/v1/balance_transactions/txn_none"),
        ("GET", "/v1/webhook_endpoints/we_none"),
        ("DELETE", "/v1/webhook_endpoints/we_none"),
        ("GET", "/v1/charges?starting_after=ch_none"),
    ],
)
def test_what_is_not_there_is_a_resource_missing(barren_lab: Lab, method: str, path: str) -> None:
    """404, and the message names it."""
    error = barren_lab.error(method, path, status=404)
    assert error["code"] == "resource_missing"
    assert "none" in error["message"]


def test_an_unknown_address_is_not_a_missing_object(barren_lab: Lab) -> None:
    """Stripe tells them apart, and so must its users."""
    for method, path in (
        ("GET", "/v1/cats"),
        ("DELETE", "/v1/charges/ch_1"),
        ("POST", "/v1/subscriptions"),
    ):
        error = barren_lab.error(method, path, status=404)
        assert "code" not in error
        assert error["message"].startswith(f"Unrecognized request URL ({method}: {path})")


def test_only_the_secret_key_opens(barren_lab: Lab) -> None:
    """Bearer or Basic; a wrong key is not repeated in the answer."""
    wrong = "sk_test_of_somebody_else"
    for header in (
        "",
        "Bearer",
        f"Bearer {wrong}",
        f"Token {KEY}",
        "Basic !!!",
        f"Basic {base64.b64encode(wrong.encode()).decode()}",
    ):
        answer = barren_lab.http.get(
            f"{barren_lab.url}/v1/charges", headers={"authorization": header}
        )
        assert answer.status_code == 401, header
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert wrong not in answer.text
        assert answer.headers["request-id"].startswith("req_")
    assert barren_lab.http.get(f"{barren_lab.url}/v1/charges", auth=(KEY, "")).status_code == 200


def test_a_body_must_be_a_form_and_a_version_a_version(barren_lab: Lab) -> None:
    """JSON is Stripe's second API, not this one."""
    error = barren_lab.error("POST", "/v1/checkout/sessions", "{}", content_type="application/json")
    assert "application/x-www-form-urlencoded" in error["message"]
    assert "version" in barren_lab.error("GET", "/v1/charges", stripe_version="latest")["message"]
    answer = barren_lab.call("GET", "/v1/charges", stripe_version="2025-06-30.basil")
    assert (answer.status_code, answer.headers["stripe-version"]) == (200, "2025-06-30.basil")
