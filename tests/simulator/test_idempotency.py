"""Idempotency keys: https://docs.stripe.com/api/idempotent_requests."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stripe
from simulator.lab import FORM, KEY, PARAMS, Lab

SESSIONS = "/v1/checkout/sessions"


def _sessions(lab: Lab) -> int:
    return len(lab.call("GET", SESSIONS).json()["data"])


def test_the_same_key_and_parameters_replay_the_first_answer(stripe_lab: Lab) -> None:
    """In whichever order the parameters come; the replay says so and names the first request."""
    first = stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k")
    again = stripe_lab.call("POST", SESSIONS, dict(reversed(FORM.items())), idempotency_key="k")
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (
        again.headers["original-request"]
        == first.headers["request-id"]
        != again.headers["request-id"]
    )
    assert again.headers["idempotency-key"] == "k"
    assert _sessions(stripe_lab) == 1


def test_the_same_key_with_other_parameters_is_an_error(stripe_lab: Lab) -> None:
    """Or at another address. The first answer stays."""
    first = stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k")
    error = stripe_lab.error("POST", SESSIONS, {**FORM, "locale": "de"}, idempotency_key="k")
    assert error["type"] == "idempotency_error"
    assert (
        "Keys for idempotent requests can only be used with the same parameters" in error["message"]
    )
    elsewhere = stripe_lab.error(
        "POST", f"{SESSIONS}/{first.json()['id']}/expire", {}, idempotency_key="k"
    )
    assert elsewhere["type"] == "idempotency_error"
    with pytest.raises(stripe.IdempotencyError):
        stripe_lab.client.v1.checkout.sessions.create(PARAMS, {"idempotency_key": "k"})
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").json() == first.json()
    assert _sessions(stripe_lab) == 1


def test_a_refused_parameter_is_not_kept(stripe_lab: Lab) -> None:
    """The caller fixes the request and uses the same key."""
    stripe_lab.error("POST", SESSIONS, {**FORM, "foo": "1"}, idempotency_key="k")
    stripe_lab.error("POST", SESSIONS, {**FORM, "mode": "gift"}, idempotency_key="k")
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").status_code == 200


def test_a_refusal_of_what_had_begun_is_kept(stripe_lab: Lab) -> None:
    """A charge that is refunded already: the endpoint had started, so the key is used up."""
    intent = stripe_lab.pay().payment_intent
    stripe_lab.client.v1.refunds.create({"charge": intent.latest_charge.id})
    form = {"charge": intent.latest_charge.id}
    first = stripe_lab.call("POST", "/v1/refunds", form, idempotency_key="k")
    again = stripe_lab.call("POST", "/v1/refunds", form, idempotency_key="k")
    assert first.json()["error"]["code"] == "charge_already_refunded"
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_a_server_error_is_kept_and_replayed(stripe_lab: Lab) -> None:
    """Even after Stripe has recovered: only a new key helps."""
    stripe_lab.control("faults", route=f"POST {SESSIONS}", status=500)
    first = stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k")
    again = stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k")
    assert (first.status_code, again.status_code) == (500, 500)
    assert again.json() == first.json()
    assert first.json()["error"]["type"] == "api_error"
    assert again.headers["idempotent-replayed"] == "true"
    assert _sessions(stripe_lab) == 0
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="another").status_code == 200


@pytest.mark.parametrize("status", [400, 409, 429])
def test_a_fault_of_the_fours_is_not_kept(stripe_lab: Lab, status: int) -> None:
    stripe_lab.control("faults", route=f"POST {SESSIONS}", status=status)
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").status_code == status
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").status_code == 200


def test_two_concurrent_requests_under_one_key_make_one_session(stripe_lab: Lab) -> None:
    """The second gets a conflict while the first is under way; afterwards it gets the first one's
    answer.
    """
    stripe_lab.control("faults", route=f"POST {SESSIONS}", delay=0.4)
    gate = threading.Barrier(2)

    def create() -> httpx.Response:
        gate.wait()
        return stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k")

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(
            pool.map(lambda _: create(), range(2)), key=lambda answer: answer.status_code
        )
    assert [answer.status_code for answer in answers] == [200, 409]
    error = answers[1].json()["error"]
    assert (error["type"], error["code"]) == ("idempotency_error", "idempotency_key_in_use")
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").json() == answers[0].json()
    assert _sessions(stripe_lab) == 1


def test_a_lost_answer_is_replayed_to_a_repeated_request(stripe_lab: Lab) -> None:
    """The session was made; the connection broke.

    The same key finds it, another would make a second one.
    """
    stripe_lab.control("faults", route=f"POST {SESSIONS}", timeout=0.1)
    with pytest.raises(stripe.APIConnectionError):
        stripe_lab.client.v1.checkout.sessions.create(PARAMS, {"idempotency_key": "k"})
    assert _sessions(stripe_lab) == 1
    found = stripe_lab.client.v1.checkout.sessions.create(PARAMS, {"idempotency_key": "k"})
    assert stripe_lab.call("GET", SESSIONS).json()["data"][0]["id"] == found.id
    assert _sessions(stripe_lab) == 1


def test_the_clients_own_retries_survive_lost_answers(stripe_lab: Lab) -> None:
    """It makes a key by itself and keeps it over its retries."""
    client = stripe.StripeClient(KEY, base_addresses={"api": stripe_lab.url}, max_network_retries=2)
    stripe_lab.control("faults", route=f"POST {SESSIONS}", timeout=0.05, times=1)
    session = client.v1.checkout.sessions.create(PARAMS)
    assert session.last_response is not None
    assert session.last_response.headers["idempotent-replayed"] == "true"
    assert _sessions(stripe_lab) == 1


def test_a_key_is_forgotten_after_a_day(stripe_lab: Lab) -> None:
    """Then the same key makes another session."""
    first = stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").json()["id"]
    stripe_lab.control("clock", advance_seconds=24 * 3600 - 60)
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k").json()["id"] == first
    stripe_lab.control("clock", advance_seconds=61)
    second = stripe_lab.call("POST", SESSIONS, {**FORM, "locale": "de"}, idempotency_key="k")
    assert second.status_code == 200
    assert second.json()["id"] != first


def test_a_key_of_more_than_255_characters_is_refused(stripe_lab: Lab) -> None:
    """255 are taken."""
    assert stripe_lab.call("POST", SESSIONS, FORM, idempotency_key="k" * 255).status_code == 200
    assert (
        stripe_lab.error("POST", SESSIONS, FORM, idempotency_key="k" * 256)["type"]
        == "idempotency_error"
    )


def test_a_key_with_a_get_means_nothing(stripe_lab: Lab) -> None:
    assert stripe_lab.call("GET", SESSIONS, idempotency_key="k").json()["data"] == []
    stripe_lab.create()
    answer = stripe_lab.call("GET", SESSIONS, idempotency_key="k")
    assert len(answer.json()["data"]) == 1
    assert "idempotent-replayed" not in answer.headers
