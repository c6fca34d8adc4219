"""What Stripe's answers mean for a checkout: for good, for now, or unknown; and what of them
stands in the log.
"""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
import stripe
from billing.deadline import Deadline
from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from billing.stripe_api.refusals import is_final, is_kept
from simulator.lab import PARAMS

Answering = Callable[[int, bytes], Gateway]
USER: Final = "alice@example.com"
REFUSED: Final = {
    "a parameter": (
        400,
        {"type": "invalid_request_error", "code": "parameter_missing", "param": "mode"},
    ),
    "an amount": (
        400,
        {"type": "invalid_request_error", "code": "amount_too_small", "param": "line_items"},
    ),
    "a key that expired": (401, {"type": "invalid_request_error", "code": "api_key_expired"}),
    "a request that failed": (
        402,
        {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"},
    ),
    "a key without the right": (
        403,
        {"type": "invalid_request_error", "code": "more_permissions_required"},
    ),
    "a route that is not there": (404, {"type": "invalid_request_error"}),
}
PASSING: Final = {
    "rate limit": (429, {"type": "invalid_request_error", "code": "rate_limit"}),
    "rate limit of old": (400, {"type": "invalid_request_error", "code": "rate_limit"}),
    "a locked object": (400, {"type": "invalid_request_error", "code": "lock_timeout"}),
    "a conflict": (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}),
}


class Quick(Deadline):
    """Three tries, no pause."""

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """Three."""
        del pauses
        yield from range(3)


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A server that answers every request the same, and a gateway to it."""
    said: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(said["status"])
            self.send_header("request-id", "req_1")
            self.send_header("content-length", str(len(said["body"])))
            self.end_headers()
            self.wfile.write(said["body"])

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def answer(status: int, body: bytes) -> Gateway:
        said.update(status=status, body=body)
        return Gateway(lambda _: "sk_test_key", f"http://127.0.0.1:{server.server_port}", Quick())

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def _body(error: dict[str, Any]) -> bytes:
    return json.dumps({"error": {"message": "No.", **error}}).encode()


def _buy(gateway: Gateway) -> None:
    gateway.create_session(PARAMS | {"metadata": {"user_id": USER}}, "k")


@pytest.mark.parametrize("name", REFUSED)
def test_a_permanent_refusal_is_reported_with_all_details_from_stripe(
    answering: Answering, name: str
) -> None:
    """Also where stripe-python leaves the code empty, as for 401 and 403: the body has it."""
    status, error = REFUSED[name]
    with pytest.raises(StripeRefusedError) as refused:
        _buy(answering(status, _body(error)))
    assert (refused.value.code, refused.value.status) == ("stripe_refused", 502)
    empty = dict.fromkeys(("type", "code", "decline_code", "param"))
    assert refused.value.refusal == {
        **empty,
        **error,
        "message": "No.",
        "request_id": "req_1",
        "http_status": status,
    }


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_no_refusal(answering: Answering, name: str) -> None:
    """Another try in a moment may succeed."""
    status, error = PASSING[name]
    with pytest.raises(BillingError) as trouble:
        _buy(answering(status, _body(error)))
    assert trouble.value.code == "stripe_unavailable"


@pytest.mark.parametrize("status", [424, 500, 502, 503, 504])
def test_a_fault_behind_stripe_uses_up_the_key(answering: Answering, status: int) -> None:
    """Execution had begun: that answer may be stored, and would be replayed."""
    with pytest.raises(StripeServerError):
        _buy(answering(status, _body({"type": "api_error"})))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413])
def test_an_answer_that_is_not_stripes_refuses_nothing_for_good(
    answering: Answering, status: int
) -> None:
    """A proxy between us and Stripe answers with a page of its own."""
    with pytest.raises(BillingError) as trouble:
        _buy(answering(status, b"<html>Sorry</html>"))
    assert trouble.value.code == "stripe_unavailable"


def test_a_proxys_404_does_not_say_that_stripe_has_no_such_session(answering: Answering) -> None:
    """Only Stripe's own ``resource_missing`` does."""
    with pytest.raises(BillingError):
        answering(404, b"<html>Not found</html>").session("cs_1")
    with pytest.raises(StripeNotFoundError):
        answering(
            404, _body({"type": "invalid_request_error", "code": "resource_missing"})
        ).session("cs_1")


def test_a_checkout_that_names_something_missing_is_refused(answering: Answering) -> None:
    """A create has no id of ours that could be wrong: a tax code or an account is."""
    with pytest.raises(StripeRefusedError) as refused:
        _buy(
            answering(
                404,
                _body(
                    {
                        "type": "invalid_request_error",
                        "code": "resource_missing",
                        "param": "tax_code",
                    }
                ),
            )
        )
    assert refused.value.refusal["param"] == "tax_code"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"Invalid value: {USER}", "Invalid value: [hidden]"),
        ("Invalid email address: bob+1@example.org.", "Invalid email address: [hidden]"),
        ("Expired API Key provided: sk_live_51abcDEF", "Expired API Key provided: [hidden]"),
        ("Invalid API Key provided: rk_test_****wxyz", "Invalid API Key provided: [hidden]"),
        ("x" * 501, "x" * 500),
    ],
)
def test_the_log_has_no_personal_data_and_no_key(
    answering: Answering, message: str, shown: str
) -> None:
    """Stripe repeats some of what it was sent."""
    with pytest.raises(StripeRefusedError) as refused:
        _buy(answering(400, _body({"type": "invalid_request_error", "message": message})))
    assert refused.value.refusal["message"] == shown


def test_a_user_id_that_is_no_mail_address_is_hidden_too(answering: Answering) -> None:
    gateway = answering(400, _body({"message": "Invalid value: auth0|alice"}))
    with pytest.raises(StripeRefusedError) as refused:
        gateway.create_session(PARAMS | {"metadata": {"user_id": "auth0|alice"}}, "k")
    assert refused.value.refusal["message"] == "Invalid value: [hidden]"


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_read_once_more(answering: Answering, status: int) -> None:
    """It may have been replaced; then it is for good."""
    asked: list[bool] = []
    gateway = answering(status, _body({"type": "invalid_request_error"}))
    gateway._read_key = lambda fresh: asked.append(fresh) or "sk_test_key"  # type: ignore[func-returns-value]
    with pytest.raises(StripeRefusedError):
        _buy(gateway)
    assert asked == [False, True]


def test_without_an_answer_nothing_is_kept_and_nothing_is_final() -> None:
    """The connection broke: there is no status."""
    error = stripe.APIConnectionError("no answer")  # type: ignore[no-untyped-call] # theirs
    assert not is_kept(error)
    assert not is_final(error)
