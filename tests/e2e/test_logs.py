"""What all functions logged while the whole suite used the stand. tests/conftest.py puts this file
last.
"""

import base64
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from billing.telemetry import METRICS
from support.loglines import NEVER, Invocation, invocations, leaks
from support.stand import API, Stand

MARK: Final = f"nobodys-business-{secrets.token_hex(8)}"
USER: Final = f"{MARK}@example.com"
"""Some issuers make an e-mail address the subject."""
EVERY_LINE: Final = {"level", "location", "message", "timestamp", "service"}
TRACED: Final = {"xray_trace_id"}
IDS: Final = {"request_id", "payment_id", "session_id", "event_id", "debit_id", "hold_id", "key_id"}
FAULT: Final = {"request_id", "exception", "exception_name", "stack_trace"}
FACT: Final = {"type", "units"}
ODD: Final = "a message that cannot be read stays in the queue"
LINES: Final = {
    "request": {"route", "status", "code", "outcome", "reason", "why", *FACT, *IDS},
    "busy": {"request_id", "why"},
    "outcome unknown": {"request_id", "why"},
    "internal error": FAULT,
    ODD: FAULT,
    "a message stays in the queue": {"event_id", *FAULT},
    "a message stays in the queue: internal error": {"event_id", *FAULT},
    "out of time: messages come again": {"request_id", "left"},
    "nobody can sign in": {"why"},
    "recovered": {"request_id", "settled", "waiting", "left", "swept"},
    "not compared": {"request_id", "what", *FAULT},
    "topped up": {"request_id", "done", "failed"},
    "a message that cannot be read is dropped": FAULT,
    "a charge's outcome is unknown": {"request_id", "payment_id", "why"},
    "an automatic top-up stays due": {"request_id", "why"},
    "event": {"request_id", "event_id", "type", "outcome", "tries"},
    "event not tried": {"request_id", "event_id", "why"},
    "a parked event stays parked": {"request_id", "event_id", "why"},
    "stripe refused": {"stripe", "what", *IDS},
    "reconciled": {"request_id", "matched", "repaired", "finished", "counts"},
    **{
        name: {"reason", *FACT, *IDS}
        for name in ("settled", "recorded", "duplicate", "ignored", "parked")
    },
}
"""Every line that the product writes, and all that it may say beside EVERY_LINE."""
REPEATED: Final = {"RecoverFunction", "ReconcileFunction", "AutoTopUpFunction", "NotifyFunction"}
"""AWS calls these again where they fail, as they do when the database has no time for them:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-retries.html
"""
RUNS: Final = {"ReconcileFunction": "reconciled", "RecoverFunction": "recovered"}
"""Functions that answer no request; recovery also takes messages of its queue, with a line for
each."""


@pytest.fixture(scope="module")
def called(stand: Stand) -> dict[str, str]:
    """Every function, called with what must not be logged in every place that a caller fills.

    Returns the secrets by name.
    """
    bought = stand.purchase(USER)
    odd = {"user_agent": MARK, "idempotency_key": MARK}
    for path in (
        "/plans",
        "/openapi.json",
        f"/payments?cursor={MARK}",
        f"/payments/{MARK}",
        "/payments",
        "/quota",
        "/quota/ledger",
        "/quota/auto-top-up",
    ):
        stand.call("GET", path, sub=USER, **odd)
    stand.http.get(f"{stand.api_url}/?{MARK}")
    stand.call("POST", f"/payments/{bought['payment_id']}/confirm", sub=USER, **odd)
    stand.call("POST", "/payments/checkout", sub=USER, body={"plan": MARK})
    key = stand.call("POST", "/keys", sub=USER, body={"name": MARK}).json()["key"]
    grant = {"user_id": USER, "units": 1, "reason": MARK}
    stand.call("POST", "/quota/grants", sub=USER, scope="quota.grant", body=grant, **odd)
    _spend(stand, odd)
    _present(stand, key)
    _deliver(stand, bought)
    stand.invoke("ReconcileFunction", {"since_hours": 1})
    stand.invoke("RecoverFunction", {})
    for body in (MARK, json.dumps({MARK: USER}), json.dumps([USER])):
        stand.invoke("RecoverFunction", {"Records": [{"messageId": "1", "body": body}]})
    names = ("webhook_secret", "stripe_secret_key")
    return {
        "mark": MARK,
        "key": key,
        "token": stand.token(USER),
        **{name: stand.facts[name] for name in names},
    }


def _spend(stand: Stand, odd: dict[str, str]) -> None:
    seller: dict[str, Any] = {"sub": USER, "scope": "quota.write", **odd}
    for body in (
        {"user_id": USER, "units": 1},
        {"user_id": USER, "units": 10_000},
        {"user_id": USER, MARK: 1},
        MARK,
    ):
        stand.call("POST", "/quota/debits", body=body, **seller)
    del seller["idempotency_key"]
    hold = stand.call(
        "POST",
        "/quota/holds",
        body={"user_id": USER, "units": 2, "expires_in_seconds": 60},
        **seller,
    ).json()["hold_id"]
    stand.call("POST", f"/quota/holds/{hold}/capture", body={"units": 1}, **seller)
    stand.call("POST", f"/quota/holds/{MARK}/release", **seller)


def _present(stand: Stand, key: str) -> None:
    """Keys, as the seller's own API Gateway passes them."""
    for headers in (
        {"x-api-key": key},
        {"authorization": f"Bearer {key}"},
        {"x-api-key": f"{key}x"},
        {"x-api-key": MARK},
    ):
        stand.invoke(
            "AuthorizeFunction", {"type": "REQUEST", "routeKey": "GET /hello", "headers": headers}
        )


def _deliver(stand: Stand, bought: dict[str, Any]) -> None:
    """Genuine again, of another user's mind, forged, and no event at all; here and at the Function
    URL.
    """
    event = stand.events("checkout.session.completed", bought["session_id"])[0]
    assert "@" in event["data"]["object"]["customer_details"]["email"], (
        "the simulator's events hold an address"
    )
    stand.deliver(event)
    stand.deliver_to_function_url(event)
    stand.deliver(
        {**event, "id": "evt_of_the_test_of_logs", "type": "customer.created", "note": MARK}
    )
    stand.deliver({**event, "note": MARK}, f"whsec_{MARK}")
    stand.http.post(
        f"{stand.api_url}{API}/payments/webhook",
        content=MARK,
        headers={"stripe-signature": f"t=1,v1={MARK}"},
    )


@pytest.fixture(scope="module")
def logged(stand: Stand, called: dict[str, str]) -> list[Invocation]:
    """All of it."""
    del called
    return list(invocations(stand))


def _said(logged: list[Invocation]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line that is no metrics, with the function that wrote it."""
    for one in logged:
        yield from ((one.function, line) for line in one.objects() if "_aws" not in line)


def test_every_function_has_logged(stand: Stand, logged: list[Invocation]) -> None:
    lines = Counter(one.function for one in logged for _ in one.lines)
    assert set(lines) == {name for name in stand.resources() if name.endswith("Function")}
    assert lines["WebhookFunction"] >= 5
    assert {line["message"] for _, line in _said(logged)} >= {"request", *RUNS.values(), ODD}


def test_every_line_is_of_a_known_form(logged: list[Invocation]) -> None:
    """A new one is written down here, with all that it may say. Who answers never fails."""
    failed = [(one.function, one.lines) for one in logged if one.failed]
    assert {function for function, _ in failed} <= REPEATED, failed
    for function, line in _said(logged):
        assert set(line) >= EVERY_LINE, (function, line)
        assert set(line) - EVERY_LINE - TRACED <= LINES.get(line["message"], set()), (
            function,
            line,
        )


def test_no_request_has_two_lines_and_hardly_one_has_none(logged: list[Invocation]) -> None:
    """The embedded AWS takes what is printed 50 ms late for the next call's, and loses it with the
    process: hence "hardly".

    That each has one, tests/functional/test_log_lines.py shows.
    """
    lines = [
        (function, line["message"], line["request_id"])
        for function, line in _said(logged)
        if line["message"] in ("request", *RUNS.values())
    ]
    assert len(lines) == len(set(lines))
    calls = Counter(one.function for one in logged)
    seen = Counter(function for function, *_ in lines)
    # Each message of a queue, and each event out, has a line; some have no run of a schedule.
    for function in ("RecoverFunction", "AutoTopUpFunction", "NotifyFunction"):
        del calls[function]
    assert not {
        function: (calls[function], seen[function])
        for function in calls
        if not calls[function] - max(1, calls[function] // 10) <= seen[function] <= calls[function]
    }


def test_the_line_names_request_payment_session_and_event(logged: list[Invocation]) -> None:
    """So that a customer's question leads to the line, and the line to everything else."""
    requests = [line for _, line in _said(logged) if line["message"] == "request"]
    assert all(line["request_id"] for line in requests)
    settled = [line for line in requests if line.get("outcome") in ("settled", "duplicate")]
    bought = [
        line
        for line in requests
        if line.get("route") == f"POST {API}/payments/checkout" and line["status"] == 201
    ]
    assert settled
    assert bought
    assert all(line["payment_id"] and line["session_id"] for line in bought)
    assert all(line["payment_id"] and line["event_id"] for line in settled)
    names = {line["payment_id"] for line in bought}
    assert all(line["session_id"] for line in settled if line["payment_id"] in names)


def test_nothing_that_is_nobodys_business_is_logged(
    logged: list[Invocation], called: dict[str, str]
) -> None:
    """No secrets, bodies, e-mail addresses or tokens: of this file's calls, and of all that the
    suite made before.
    """
    found = {
        (one.function, what)
        for one in logged
        for line in one.lines
        for what in leaks(line, called.values())
    }
    assert not found


PLANTED: Final = {
    "a webhook's signing secret": "whsec_0123456789abcdef",
    "a key of Stripe": "sk_test_0123456789abcdef",
    "a customer's key": "tk_prod_0123456789abcdef_abc",
    "a token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln",
    "an e-mail address": "buyer@example.com",
    "a signature": (
        "t=1764000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"
    ),
    "an authorization": "Authorization: Bearer c2VjcmV0c2VjcmV0",
    "an object of Stripe": '{"id": "evt_1", "object": "event"}',
}


@pytest.mark.parametrize("what", NEVER)
def test_a_planted_leak_is_found(what: str) -> None:
    """In a line as it would be logged, where quotes are escaped."""
    assert what in leaks(json.dumps({"message": "request", "why": f"it was {PLANTED[what]}"}))
    assert leaks(json.dumps({"why": f"it was {MARK}"}), [MARK]) == [f"known: {MARK}"]


def test_a_leak_in_base64_is_found() -> None:
    """As an id may hold it."""
    for before in ("", "1", "12", "123"):
        hidden = (
            base64.urlsafe_b64encode(f"{before}.buyer@example.com".encode()).decode().rstrip("=")
        )
        assert leaks(f"hold_{hidden}") == ["an e-mail address"]


def test_metrics_are_of_this_stack_and_of_the_closed_list(
    stand: Stand, logged: list[Invocation]
) -> None:
    """Under the one dimension that dashboard and alarms look them up by."""
    lines = [line for one in logged for line in one.objects() if "_aws" in line]
    assert lines
    for line in lines:
        (told,) = line["_aws"]["CloudWatchMetrics"]
        assert (told["Namespace"], told["Dimensions"], line["service"]) == (
            "Topup",
            [["service"]],
            stand.facts["stack_name"],
        )
        names = {metric["Name"] for metric in told["Metrics"]}
        assert names <= set(METRICS)
        assert set(line) == names | {"_aws", "service"}
