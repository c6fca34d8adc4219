"""The door to Stripe with the real client, against the strict simulator on loopback."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, Final

import pytest
from billing.buying import checkout
from billing.deadline import Deadline
from billing.errors import BillingError
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.spending import debits
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeServerError
from simulator.lab import KEY, PARAMS, Lab, Receiver, lab
from support import builders
from support.builders import SHOP, fact
from support.deadlines import PausedDeadline
from support.fakes.memory_store import MemoryStore

CREATE: Final = "POST /v1/checkout/sessions"


@pytest.fixture
def stripe() -> Iterator[Lab]:
    """Empty. Its webhooks go nowhere."""
    with lab(Receiver(url="http://127.0.0.1:9/")) as found:
        found.control("deliveries", drop=1)
        yield found


@pytest.fixture
def gateway(stripe: Lab) -> Gateway:
    """A container's own."""
    return _gateway(stripe)


def _gateway(stripe: Lab) -> Gateway:
    return Gateway(lambda _: KEY, stripe.url, PausedDeadline(time.sleep))


def _sessions(stripe: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stripe.call("GET", "/v1/checkout/sessions?limit=100").json()[
        "data"
    ]
    return found


@pytest.mark.parametrize("fault", [{"timeout": 0.05}, {"status": 409}, {"status": 429}], ids=str)
def test_what_passes_is_asked_again_under_the_same_key(
    stripe: Lab, gateway: Gateway, fault: dict[str, Any]
) -> None:
    """No answer, a conflict, too many requests: one session comes of it, also where the lost answer
    told of it.
    """
    stripe.control("faults", route=CREATE, times=2, **fault)
    made = gateway.create_session(PARAMS, "k")
    assert [session["id"] for session in _sessions(stripe)] == [made["id"]]


def test_two_concurrent_requests_under_one_key_get_one_session(stripe: Lab) -> None:
    """Stripe turns the second away while the first is under way (``idempotency_key_in_use``): it
    waits, and hears the same.
    """
    stripe.control("faults", route=CREATE, delay=0.3)
    with ThreadPoolExecutor(2) as pool:
        made = list(
            pool.map(
                lambda gateway: gateway.create_session(PARAMS, "k")["id"],
                [_gateway(stripe), _gateway(stripe)],
            )
        )
    assert made[0] == made[1]
    assert len(_sessions(stripe)) == 1


def test_a_lasting_failure_is_reported_to_the_buyer(stripe: Lab) -> None:
    """Its key is as good as before: nothing was kept under it."""
    stripe.control("faults", route=CREATE, status=429)
    hasty = Gateway(lambda _: KEY, stripe.url, _Once())
    with pytest.raises(BillingError, match="stripe_unavailable"):
        hasty.create_session(PARAMS, "k")
    assert hasty.create_session(PARAMS, "k")["status"] == "open"


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_that_stripe_keeps_uses_up_its_key(
    stripe: Lab, gateway: Gateway, status: int
) -> None:
    """Asked again under it, Stripe would repeat the fault for a day."""
    stripe.control("faults", route=CREATE, status=status, times=1)
    for _ in range(2):
        with pytest.raises(StripeServerError):
            gateway.create_session(PARAMS, "k")
    assert gateway.create_session(PARAMS, "l")["status"] == "open"


def test_a_key_of_other_parameters_is_used_up(stripe: Lab, gateway: Gateway) -> None:
    """``idempotency_error``: an earlier request under the key asked for something else."""
    gateway.create_session(PARAMS, "k")
    with pytest.raises(StripeServerError, match="IdempotencyError"):
        gateway.create_session(PARAMS | {"cancel_url": "https://shop.example.com/moved"}, "k")
    assert len(_sessions(stripe)) == 1


def test_a_checkout_goes_on_after_a_deployment_has_changed_what_stripe_is_asked(
    stripe: Lab, gateway: Gateway
) -> None:
    """The first answer was lost, and the site has moved since: the repeat gets a session under a
    new key, for the same payment.
    """
    books, plan = builders.books_on(MemoryStore()), catalogue()["starter"]
    stripe.control("faults", route=CREATE, timeout=0.05)
    with pytest.raises(BillingError, match="stripe_unavailable"):
        checkout.create(
            books, Gateway(lambda _: KEY, stripe.url, _Once()), SHOP, "alice", plan, key="k"
        )
    moved = replace(SHOP, site_url="https://moved.example.com")
    answer = checkout.create(books, gateway, moved, "alice", plan, key="k")
    new, lost = _sessions(stripe)
    assert new["id"] == answer["session_id"] != lost["id"]
    assert new["success_url"].startswith("https://moved.example.com/")
    assert new["metadata"] == lost["metadata"]


def test_a_checkouts_session_is_in_the_plans_currency_at_its_price(
    stripe: Lab, gateway: Gateway
) -> None:
    """As Stripe understood it: no conversion into the buyer's currency."""
    checkout.create(
        builders.books_on(MemoryStore()), gateway, SHOP, "alice", catalogue()["pro"], key=""
    )
    (session,) = _sessions(stripe)
    assert session["client_reference_id"] == session["metadata"]["payment_id"]
    assert session["adaptive_pricing"] == {"enabled": False}
    assert (session["amount_total"], session["currency"]) == (4999, "usd")


def test_a_key_that_stripe_has_forgotten_makes_no_second_session_for_a_payment(
    stripe: Lab, gateway: Gateway
) -> None:
    """A day after a lost answer: another payment has the new session, and it is credited once."""
    clock = builders.Clock()
    books, plan = builders.books_on(MemoryStore(), clock=clock), catalogue()["starter"]
    stripe.control("faults", route=CREATE, timeout=0.05)
    with pytest.raises(BillingError, match="stripe_unavailable"):
        checkout.create(
            books, Gateway(lambda _: KEY, stripe.url, _Once()), SHOP, "alice", plan, key="k"
        )
    clock.advance(hours=24, seconds=1)
    stripe.control("clock", advance_seconds=24 * 3600 + 1)
    answer = checkout.create(books, gateway, SHOP, "alice", plan, key="k")
    new, old = _sessions(stripe)
    assert (old["status"], new["status"], new["id"]) == ("expired", "open", answer["session_id"])
    assert new["metadata"]["payment_id"] == answer["payment_id"] != old["metadata"]["payment_id"]
    stripe.control(f"sessions/{new['id']}/pay", method="card")
    for kind in (
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.completed",
    ):
        settlement.apply(books, fact(stripe.event(kind)))
    assert debits.read(books, "alice").remaining == 100


def test_a_closed_session_cannot_be_paid_and_a_paid_one_not_closed(
    stripe: Lab, gateway: Gateway
) -> None:
    """The buyer who was quicker keeps what was paid for."""
    unpaid, paid = (
        gateway.create_session(PARAMS, "k")["id"],
        gateway.create_session(PARAMS, "l")["id"],
    )
    gateway.expire_session(unpaid)
    stripe.control(f"sessions/{unpaid}/pay", expected=409, method="card")
    stripe.control(f"sessions/{paid}/pay", method="card")
    with pytest.raises(BillingError, match="stripe_refused"):
        gateway.expire_session(paid)
    assert gateway.session(paid)["payment_status"] == "paid"


def test_all_refunds_of_a_payment_are_read_page_after_page(
    stripe: Lab, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units follow from their sum: those of the first page alone would take back too little."""
    monkeypatch.setattr("billing.stripe_api.client.PAGE", 3)
    intent = stripe.pay().payment_intent
    made = [
        stripe.client.v1.refunds.create({"payment_intent": intent.id, "amount": amount}).id
        for amount in range(1, 9)
    ]
    assert [row["id"] for row in gateway.refunds_of(intent.id)] == made[::-1]


class _Once(Deadline):
    """Tries once: what is lost stays lost until the caller asks again."""

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """One."""
        del pauses
        yield 0


def test_a_page_of_a_list_is_as_long_as_stripe_allows(gateway: Gateway) -> None:
    """A hundred rows, where Stripe's own default is ten: https://docs.stripe.com/api/pagination."""
    for number in range(11):
        gateway.create_session(PARAMS, f"k{number}")
    page = gateway.sessions(0)
    assert (len(page["data"]), page["has_more"]) == (11, False)


def test_nothing_below_us_repeats_a_request() -> None:
    """The library would, twice after a 500: within no deadline of ours, and under the same key."""
    asked: list[str] = []

    class Away(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Have trouble."""
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Away) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        gateway = Gateway(lambda _: KEY, f"http://127.0.0.1:{server.server_port}", _Once())
        with pytest.raises(StripeServerError):
            gateway.create_session(PARAMS, "k")
        server.shutdown()
    assert asked == ["/v1/checkout/sessions"]
