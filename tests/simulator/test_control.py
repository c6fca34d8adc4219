"""The control API tells what it expected; faults strike as often as they were asked to."""

from typing import Any

import httpx
import pytest
import stripe
from simulator.lab import FORM, KEY, PARAMS, Lab

SESSIONS = "/v1/checkout/sessions"
CREATE = f"POST {SESSIONS}"


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("sessions/{session}/pay", {}, "method must be one of card, declined, delayed"),
        ("sessions/{session}/pay", {"method": "cash"}, "method must be one of"),
        (
            "sessions/{session}/settle",
            {"outcome": True},
            "outcome must be one of succeeded, failed",
        ),
        ("sessions/{session}/expire", {"now": True}, "now is not known"),
        ("deliveries", {"drop": 2}, "drop"),
        ("deliveries", {"drop": True}, "drop"),
        ("deliveries", {"duplicate": "1"}, "duplicate"),
        ("deliveries", {"reorder": 1}, "reorder"),
        ("deliveries", {"speed": 1}, "speed"),
        ("faults", {}, "route"),
        ("faults", {"route": 5, "status": 500}, "route"),
        ("faults", {"route": "POST /v1/cats", "status": 500}, "there is no route"),
        ("faults", {"route": "/v1/charges", "status": 500}, "there is no route"),
        ("faults", {"route": CREATE}, "expected"),
        ("faults", {"route": CREATE, "status": 200}, "expected"),
        ("faults", {"route": CREATE, "status": 500.5}, "expected"),
        ("faults", {"route": CREATE, "status": True}, "expected"),
        ("faults", {"route": CREATE, "status": 500, "timeout": True}, "expected"),
        ("faults", {"route": CREATE, "timeout": -1}, "expected"),
        ("faults", {"route": CREATE, "timeout": "long"}, "expected"),
        ("faults", {"route": CREATE, "timeout": False}, "expected"),
        ("faults", {"route": CREATE, "status": 500, "times": -1}, "times must be a whole number"),
        ("faults", {"route": CREATE, "after": 1}, "expected"),
        ("faults", {"route": CREATE, "after": False}, "expected"),
        ("faults", {"route": CREATE, "after": True, "delay": 1}, "expected"),
        ("faults", {"route": CREATE, "after": True, "delay": 1, "status": 500}, "expected"),
        ("faults", {"route": CREATE, "after": True, "timeout": 1, "status": 500}, "expected"),
        ("payment_methods/pm_1/behave", {}, "next must be a list of succeed"),
        ("payment_methods/pm_1/behave", {"next": "succeed"}, "next must be a list"),
        ("payment_methods/pm_1/behave", {"next": ["explode"]}, "processing_then_fail"),
        ("payment_methods/pm_1/behave", {"next": [], "then": 1}, "then is not known"),
        ("payment_intents/pi_1/settle", {}, "outcome must be one of succeeded, failed"),
        ("sessions/{session}/pay", {"method": "delayed", "card": "pm_card_visa"}, "card goes with"),
        ("faults", {"route": CREATE, "status": 500, "colour": "red"}, "colour is not known"),
        ("charges/{charge}/dispute", {"kind": "quarrel"}, "kind must be one of"),
        ("charges/{charge}/dispute", {"amount": 1.5}, "amount must be a whole number"),
        ("charges/{charge}/dispute", {"withdraw": "no"}, "withdraw must be true or false"),
        ("disputes/du_1/close", {"status": "draw"}, "status must be one of"),
        ("clock", {}, "advance_seconds must be a whole number"),
        ("clock", {"advance_seconds": -1}, "advance_seconds must be a whole number"),
        ("keys", {}, "accept"),
        ("keys", {"accept": []}, "at least one key"),
        ("keys", {"accept": KEY}, "accept"),
        ("keys", {"accept": [KEY, " "]}, "accept"),
        ("keys", {"accept": [KEY], "expire": []}, "expire is not known"),
    ],
)
def test_what_the_control_does_not_know_is_refused_with_what_it_expected(
    furnished_lab: Lab, path: str, body: dict[str, Any], told: str
) -> None:
    """400; nothing has changed."""
    before = furnished_lab.types()
    session, charge = (
        furnished_lab.call("GET", listed).json()["data"][0]["id"]
        for listed in (SESSIONS, "/v1/charges")
    )
    assert (
        told
        in furnished_lab.control(path.format(session=session, charge=charge), 400, **body)["error"]
    )
    assert furnished_lab.types() == before


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"null", b'"pay"', b"\xff", b"[" * 100_000],
    ids=lambda content: repr(content[:6]),
)
def test_the_control_takes_json_objects(barren_lab: Lab, content: bytes) -> None:
    answer = barren_lab.http.post(f"{barren_lab.url}/_control/deliveries", content=content)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sessions/cs_none/pay", {"method": "card"}),
        ("sessions/cs_none/settle", {"outcome": "failed"}),
        ("sessions/cs_none/expire", {}),
        ("payment_methods/pm_none/behave", {"next": []}),
        ("payment_intents/pi_none/settle", {"outcome": "failed"}),
        ("refunds/re_none/fail", {}),
        ("charges/ch_none/dispute", {}),
        ("disputes/du_none/withdraw", {}),
        ("disputes/du_none/reinstate", {}),
        ("disputes/du_none/close", {"status": "won"}),
        ("events/evt_none/resend", {}),
        ("events/evt_none/twin", {}),
    ],
)
def test_what_is_not_there_is_a_404(barren_lab: Lab, path: str, body: dict[str, Any]) -> None:
    assert "none" in barren_lab.control(path, 404, **body)["error"]


def test_a_partly_wrong_change_of_deliveries_changes_nothing(stripe_lab: Lab) -> None:
    """Settings that are not named stay as they are."""
    stripe_lab.control("deliveries", 400, drop=1, duplicate=7)
    assert stripe_lab.control("deliveries", pause=True) == {
        "drop": 0,
        "duplicate": 0,
        "reorder": False,
        "pause": True,
    }
    assert stripe_lab.control("deliveries", duplicate=0.5) == {
        "drop": 0,
        "duplicate": 0.5,
        "reorder": False,
        "pause": True,
    }


def test_a_fault_strikes_as_often_as_asked_and_only_its_route(stripe_lab: Lab) -> None:
    session = stripe_lab.create()
    stripe_lab.control("faults", route="GET /v1/checkout/sessions/{id}", status=503, times=2)
    assert stripe_lab.call("GET", SESSIONS).status_code == 200
    assert [stripe_lab.call("GET", f"{SESSIONS}/{session.id}").status_code for _ in range(3)] == [
        503,
        503,
        200,
    ]
    stripe_lab.control("faults", route=f"GET {SESSIONS}/{session.id}", status=503)
    stripe_lab.control("faults", route=f"GET {SESSIONS}/{session.id}", status=503, times=0)
    assert stripe_lab.call("GET", f"{SESSIONS}/{session.id}").status_code == 200


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (500, stripe.APIError),
        (503, stripe.APIError),
        (429, stripe.RateLimitError),
        (401, stripe.AuthenticationError),
        (400, stripe.InvalidRequestError),
    ],
)
def test_a_fault_is_the_error_that_the_client_knows(
    stripe_lab: Lab, status: int, raised: type[stripe.StripeError]
) -> None:
    stripe_lab.control("faults", route=CREATE, status=status)
    with pytest.raises(raised) as caught:
        stripe_lab.client.v1.checkout.sessions.create(PARAMS)
    assert caught.value.http_status == status
    assert stripe_lab.call("GET", SESSIONS).json()["data"] == []


def test_a_timeout_does_the_act_and_says_nothing(stripe_lab: Lab) -> None:
    """To a patient caller the connection breaks, to an impatient one nothing comes."""
    stripe_lab.control("faults", route=CREATE, timeout=0.1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        stripe_lab.call("POST", SESSIONS, FORM)
    stripe_lab.control("faults", route=CREATE, timeout=True)
    with pytest.raises(httpx.ReadTimeout):
        stripe_lab.http.post(
            f"{stripe_lab.url}{SESSIONS}",
            data=FORM,
            auth=(KEY, ""),
            timeout=0.3,
        )
    assert len(stripe_lab.call("GET", SESSIONS).json()["data"]) == 2


def test_the_clock_moves_what_is_made_from_then_on(stripe_lab: Lab) -> None:
    before = stripe_lab.create().created
    now = stripe_lab.control("clock", advance_seconds=1000)["now"]
    assert stripe_lab.create().created >= now >= before + 1000


def test_while_a_key_is_being_rolled_two_count_and_afterwards_the_new_one(stripe_lab: Lab) -> None:

    def statuses() -> list[int]:
        keys = (KEY, "sk_test_new", "sk_test_of_nobody")
        return [
            stripe_lab.call("GET", SESSIONS, authorization=f"Bearer {key}").status_code
            for key in keys
        ]

    assert statuses() == [200, 401, 401]
    stripe_lab.control("keys", accept=[KEY, "sk_test_new"])
    assert statuses() == [200, 200, 401]
    assert stripe_lab.control("keys", accept=["sk_test_new"]) == {"accept": ["sk_test_new"]}
    assert statuses() == [401, 200, 401]
