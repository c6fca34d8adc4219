"""Endpoints are replaced while events come: none is refused, none is lost.

Against the simulator alone, with a webhook that verifies.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import stripe
from billing.stripe_api.events import SUBSCRIBED
from billing.stripe_api.signatures import usable_secrets
from simulator.lab import KEY, Lab, Receiver, receiving, served
from starlette.requests import Request
from starlette.responses import Response

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.stripe.endpoint_plan import SINCE, Plan, plan
from infra.cli.stripe.endpoint_settings import QUIET, Wanted
from infra.cli.stripe.endpoints import RETRIED_SECONDS, Endpoints
from infra.cli.stripe.stored_secrets import Kept
from infra.stripe_simulator.app import create_app
from infra.stripe_simulator.settings import Settings, Timing

HOUR = 3600


@dataclass
class Webhook(Receiver):
    """A webhook that takes what is signed with one of the secrets in its document; 503 while it is
    ``down``.
    """

    document: str = "as CloudFormation made it"
    down: bool = False
    refused: list[str] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        """One delivery."""
        body, signature = await request.body(), request.headers["stripe-signature"]
        if not any(_is_signed(body, signature, secret) for secret in _secrets(self.document)):
            self.refused.append(json.loads(body)["type"])
            return Response(status_code=400)
        if self.down:
            return Response(status_code=503)
        self.got.append((body, signature))
        self.hosts.append(request.headers["host"])
        return Response()


def _secrets(document: str) -> tuple[str, ...]:
    try:
        return usable_secrets(document)
    except ValueError:
        return ()


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body.decode(), signature, secret, 300))
    except stripe.SignatureVerificationError:
        return False


@dataclass
class Shop:
    """A Stripe account whose only endpoints are those that ``connect`` makes."""

    stripe: Lab
    webhook: Webhook

    def planned(self, *, roll: bool = False) -> Plan:
        """What is to be done now."""
        rows = [
            row.to_dict()
            for row in self.stripe.client.v1.webhook_endpoints.list({"limit": 100}).data
        ]
        return plan(rows, {self.webhook.url.rstrip("/")}, self.wanted, self.kept, roll=roll)

    def connect(self, *, roll: bool = False) -> tuple[str, ...]:
        """As the command does. Returns those that stay on for what they have still to deliver."""
        return self.endpoints.carry_out(self.planned(roll=roll), self.wanted, self.kept)

    @property
    def wanted(self) -> Wanted:
        """The endpoint as it should be."""
        return Wanted("topup-test", self.webhook.url)

    @property
    def kept(self) -> Kept:
        """The secrets that the webhook knows."""
        return Kept.read(self.webhook.document)

    @property
    def endpoints(self) -> Endpoints:
        """What is tried here."""
        return Endpoints(
            self.stripe.client, AccountAtStripe(lambda: KEY, self.stripe.url), self.keep
        )

    def keep(self, document: str) -> None:
        """As Secrets Manager would."""
        self.webhook.document = document

    def statuses(self) -> list[str]:
        """Of all endpoints, oldest first."""
        return [
            row.status
            for row in reversed(self.stripe.client.v1.webhook_endpoints.list({"limit": 100}).data)
        ]

    def sell(self) -> str:
        """One purchase: the session's id."""
        return str(self.stripe.pay().id)

    def sold(self) -> set[str]:
        """The sessions that the webhook has heard of."""
        return {
            row["data"]["object"]["id"]
            for row in self.webhook.events
            if row["type"] == "checkout.session.completed"
        }


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Connected once, with retries an hour later."""
    webhook, timing = Webhook(), Timing(pauses_seconds=(HOUR,))
    with (
        receiving(webhook),
        served(lambda url: create_app(Settings(url, KEY, (), timing=timing))) as url,
        httpx.Client(timeout=10, trust_env=False) as http,
    ):
        client = stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)
        found = Shop(Lab(url, webhook, client, http), webhook)
        assert found.connect() == ()
        assert found.planned().is_empty
        yield found


def test_the_certificate_authorities_are_read_once_for_all_questions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AccountAtStripe(lambda: KEY, shop.stripe.url)
    first = account.endpoints()
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: pytest.fail("read again"))
    assert account.endpoints() == first
    assert AccountAtStripe(lambda: KEY, shop.stripe.url).endpoints() == first


def test_rolling_under_traffic_refuses_and_loses_nothing(shop: Shop) -> None:
    """Customers buy all the time, also between the moment when the new endpoint is made and that
    when its secret is known.
    """
    bought, over = [shop.sell()], threading.Event()

    def buy() -> None:
        while not over.is_set():
            bought.append(shop.sell())

    def slowly(document: str) -> None:
        until = len(bought) + 5
        shop.stripe.until(lambda: len(bought) >= until)
        shop.keep(document)

    buyer = threading.Thread(target=buy)
    buyer.start()
    for _ in range(3):
        Endpoints(shop.stripe.client, shop.endpoints.account, slowly).carry_out(
            shop.planned(roll=True), shop.wanted, shop.kept
        )
    over.set()
    buyer.join()
    shop.stripe.idle()
    assert shop.webhook.refused == []
    assert shop.sold() == set(bought)
    shop.connect()
    assert (shop.statuses().count("enabled"), len(shop.statuses())) == (1, 4)


def test_moving_an_endpoint_under_traffic_refuses_and_loses_nothing(shop: Shop) -> None:
    """Customers buy all the time, while it goes to the webhook's other address and back.

    One endpoint, one secret.
    """
    bought, over = [shop.sell()], threading.Event()

    def buy() -> None:
        while not over.is_set():
            bought.append(shop.sell())

    there = shop.webhook.url.replace("127.0.0.1", "localhost")
    assert there != shop.webhook.url
    secret = shop.webhook.document
    buyer = threading.Thread(target=buy)
    buyer.start()
    for url in (there, shop.webhook.url, there):
        rows = [
            row.to_dict()
            for row in shop.stripe.client.v1.webhook_endpoints.list({"limit": 100}).data
        ]
        wanted = Wanted("topup-test", shop.webhook.url, url)
        todo = plan(rows, {shop.webhook.url.rstrip("/"), there.rstrip("/")}, wanted, shop.kept)
        assert set(todo.change) <= {"url", "metadata"}
        until = len(bought) + 5
        assert shop.endpoints.carry_out(todo, wanted, shop.kept) == ()
        shop.stripe.until(lambda until=until: len(bought) >= until)  # type: ignore[misc]
    over.set()
    buyer.join()
    shop.stripe.idle()
    assert shop.webhook.refused == []
    assert shop.sold() == set(bought)
    assert (shop.statuses(), shop.webhook.document) == (["enabled"], secret)
    assert {host.split(":")[0] for host in shop.webhook.hosts} == {"127.0.0.1", "localhost"}


def test_the_old_endpoint_stays_on_until_it_has_delivered_what_only_it_was_given(
    shop: Shop,
) -> None:
    """Stripe gives a retry up that falls due while the endpoint is disabled: it would never be
    reported that purchase.
    """
    shop.webhook.down = True
    session = shop.sell()
    shop.stripe.idle()
    shop.webhook.down = False
    (old,) = shop.connect(roll=True)
    assert shop.statuses() == ["enabled", "enabled"]
    assert shop.connect() == (old,), "nothing has changed yet"
    assert shop.sold() == set()
    shop.stripe.control("clock", advance_seconds=HOUR + 1)
    shop.stripe.idle()
    assert shop.sold() == {session}
    assert shop.connect() == ()
    assert shop.statuses() == ["disabled", "enabled"]
    assert shop.planned().is_empty


def test_what_the_new_endpoint_was_given_too_keeps_the_old_one_no_longer(shop: Shop) -> None:
    """A busy shop always has something under way."""
    shop.webhook.down = True
    shop.sell()
    shop.stripe.idle()
    (old,) = shop.connect(roll=True)
    shop.webhook.down = False
    shop.stripe.control("clock", advance_seconds=HOUR + 1)
    shop.stripe.idle()
    shop.webhook.down = True
    shop.sell()
    shop.stripe.idle()
    assert shop.connect() == ()
    assert dict(zip([old, "new"], shop.statuses(), strict=True)) == {
        old: "disabled",
        "new": "enabled",
    }


def test_what_stripe_has_given_up_keeps_nothing(shop: Shop) -> None:
    """After three days Stripe stops retrying. Reconciliation has long found it."""
    shop.webhook.down = True
    shop.sell()
    shop.stripe.idle()
    (old,) = shop.connect(roll=True)
    # The simulator's Date header cannot be moved: what it would show is told here.
    later = AccountAtStripe(lambda: KEY, shop.stripe.url, _skew_seconds=-RETRIED_SECONDS - HOUR)
    assert Endpoints(shop.stripe.client, shop.endpoints.account, shop.keep).carry_out(
        shop.planned(), shop.wanted, shop.kept
    ) == (old,)
    assert (
        Endpoints(shop.stripe.client, later, shop.keep).carry_out(
            shop.planned(), shop.wanted, shop.kept
        )
        == ()
    )


def test_where_nothing_waits_a_roll_is_done_in_one_go(shop: Shop) -> None:
    """The second run has nothing to do."""
    shop.sell()
    shop.stripe.idle()
    assert shop.connect(roll=True) == ()
    assert shop.statuses() == ["disabled", "enabled"]
    assert shop.planned().is_empty


class _DiedError(Exception):
    """The process is no more."""


def _dies(document: str) -> None:
    raise _DiedError(document[:0])


def test_a_run_that_dies_before_the_secret_is_kept_has_refused_nothing(shop: Shop) -> None:
    """What it leaves gets nothing, and the next run puts it away."""
    with pytest.raises(_DiedError):
        Endpoints(shop.stripe.client, shop.endpoints.account, _dies).carry_out(
            shop.planned(roll=True), shop.wanted, shop.kept
        )
    (left, _) = shop.stripe.client.v1.webhook_endpoints.list().data
    assert left.enabled_events == [QUIET]
    session = shop.sell()
    shop.stripe.idle()
    assert (shop.webhook.refused, shop.sold()) == ([], {session})
    assert shop.planned().refused == (left.id,)
    shop.connect()
    assert shop.statuses() == ["enabled", "disabled"]


def test_a_run_that_dies_before_the_new_one_is_opened_is_finished_by_the_next(shop: Shop) -> None:
    """It is chosen, being the newer one, and opened; only then may the old one go."""
    todo, client = shop.planned(roll=True), shop.stripe.client
    made = client.v1.webhook_endpoints.create(shop.wanted.of_new())  # type: ignore[arg-type] # the SDK wants its TypedDict
    shop.keep(shop.kept.with_first(made.id, str(made.secret)).text())
    again = shop.planned()
    assert (again.make, set(again.change), again.kept_id, again.replaced) == (
        False,
        {"enabled_events"},
        made.id,
        todo.replaced,
    )
    assert shop.connect() == ()
    opened = client.v1.webhook_endpoints.retrieve(made.id)
    assert set(opened.enabled_events) == set(SUBSCRIBED)
    assert int(opened.metadata[SINCE]) >= made.created
    assert shop.statuses() == ["disabled", "enabled"]
