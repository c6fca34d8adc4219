import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from support.programs import lacking
from support.stand import Stand

from infra.local.paths import ROOT

PROGRAM: Final = ROOT / ".local" / "npm" / "node_modules" / ".bin" / "stripe"
KINDS: Final = "checkout.session.completed,charge.refunded"


@dataclass(frozen=True, slots=True)
class Cli:
    """The official Stripe CLI, with the address of this stack's Stripe, with a home of its own."""

    stand: Stand
    home: Path

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "STRIPE_API_KEY": self.stand.facts["stripe_secret_key"],
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "NO_COLOR": "1",
        }

    def command(self, *words: str) -> list[str]:
        """A command line against the simulator."""
        return [str(PROGRAM), *words, "--api-base", self.stand.facts["stripe_api_base"]]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end, whatever it says."""
        return subprocess.run(
            self.command(*words),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def said(self, *words: str) -> str:
        """Run it to a good end. Returns what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def ask(self, *words: str) -> dict[str, Any]:
        """The same where it prints one of Stripe's objects."""
        found: dict[str, Any] = json.loads(self.said(*words))
        return found

    def secret(self, device: str) -> str:
        """What the CLI's user copies: the signing secret of this device's sessions."""
        return self.said("listen", "--print-secret", "--device-name", device).strip()

    @contextmanager
    def listening(self, device: str) -> Iterator[Path]:
        """`stripe listen --forward-to` the stand, from ready to stopped.

        Yields the file that it prints to.
        """
        log = self.home / f"{device}.log"
        words = (
            "listen",
            "--skip-update",
            "--device-name",
            device,
            "--events",
            KINDS,
            "--forward-to",
            self.stand.facts["webhook_url"],
        )
        with log.open("wb") as told:
            child = subprocess.Popen(
                self.command(*words),
                env=self._environment(),
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
            try:
                self.stand.until(lambda: "Ready!" in log.read_text() or child.poll() is not None)
                assert child.poll() is None, log.read_text()
                yield log
            finally:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(30)


@pytest.fixture(scope="session", autouse=True)
def _program() -> None:
    """Looked for before a stand is started."""
    if not PROGRAM.exists():
        lacking("the official Stripe CLI is not here: npm was missing when `make setup` ran")


@pytest.fixture
def cli(stand: Stand, tmp_path: Path) -> Cli:
    """With nothing remembered from earlier tests."""
    return Cli(stand, tmp_path)


@pytest.fixture
def device() -> str:
    """A machine that never listened before: it gets a secret of its own."""
    return f"laptop-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def buyer() -> str:
    """A user of this test alone."""
    return f"buyer-{uuid.uuid4().hex[:8]}"


@contextmanager
def _also_valid(stand: Stand, secret: str) -> Iterator[None]:
    """As an operator does while a secret is being rolled: both are in the list."""
    manager, name = stand.boto("secretsmanager"), stand.resources()["WebhookSecretsSecret"]
    before = manager.get_secret_value(SecretId=name)["SecretString"]
    manager.put_secret_value(
        SecretId=name,
        SecretString=json.dumps({"secrets": [*json.loads(before)["secrets"], secret]}),
    )
    try:
        yield
    finally:
        manager.put_secret_value(SecretId=name, SecretString=before)


def _paid_unheard(stand: Stand, buyer: str) -> tuple[str, str]:
    """A paid checkout whose every webhook was lost. Returns the payment's id and the event's."""
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    try:
        stand.pay(bought["session_id"])
    finally:
        stand.control("deliveries", drop=0)
    assert stand.quota(buyer)["remaining"] == 0
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    return bought["payment_id"], event["id"]


def _answered(log: Path, event_id: str) -> list[str]:
    """The statuses that the CLI shows for the forwarded event."""
    lines = [line for line in log.read_text().splitlines() if "<--" in line and event_id in line]
    return [line.split("[")[1].split("]")[0] for line in lines]


def test_an_event_resent_through_the_cli_settles_the_payment(
    stand: Stand, cli: Cli, device: str, buyer: str
) -> None:
    """All webhooks were lost; `stripe events resend` reaches `stripe listen`, whose own secret is
    in the list.
    """
    payment_id, event_id = _paid_unheard(stand, buyer)
    with _also_valid(stand, cli.secret(device)), cli.listening(device) as log:
        assert cli.ask("events", "resend", event_id)["id"] == event_id
        stand.until(lambda: _answered(log, event_id) != [])
        assert _answered(log, event_id) == ["200"]
        assert stand.payment(buyer, payment_id)["status"] == "completed"
        assert stand.quota(buyer)["remaining"] == 100


def test_an_event_forwarded_while_it_happens_credits_once_beside_the_endpoint(
    stand: Stand, cli: Cli, device: str, buyer: str
) -> None:
    """The CLI listens during a checkout: the endpoint and the CLI bring the same event, under two
    secrets.
    """
    with _also_valid(stand, cli.secret(device)), cli.listening(device) as log:
        bought = stand.purchase(buyer)
        (event,) = stand.events("checkout.session.completed", bought["session_id"])
        stand.until(lambda: _answered(log, event["id"]) != [])
        assert _answered(log, event["id"]) == ["200"]
        assert stand.quota(buyer)["total"] == 100
        assert len(stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]) == 1


def test_an_event_forwarded_under_a_secret_that_is_not_in_the_list_is_refused(
    stand: Stand, cli: Cli, device: str, buyer: str
) -> None:
    """A listener of an account cannot write to its books."""
    payment_id, event_id = _paid_unheard(stand, buyer)
    with cli.listening(device) as log:
        cli.ask("events", "resend", event_id)
        stand.until(lambda: _answered(log, event_id) != [])
        assert _answered(log, event_id) == ["400"]
    assert stand.payment(buyer, payment_id)["status"] == "pending"
    assert stand.quota(buyer)["remaining"] == 0


def test_resending_without_a_listener_says_what_to_do(stand: Stand, cli: Cli, buyer: str) -> None:
    """`stripe events resend` does not fall back on the endpoints: the payment stays as it is."""
    payment_id, event_id = _paid_unheard(stand, buyer)
    assert "Run 'stripe listen'" in cli.run("events", "resend", event_id).stdout
    stand.control("idle")
    assert stand.payment(buyer, payment_id)["status"] == "pending"


def test_a_refund_made_with_the_cli_takes_the_units_back(
    stand: Stand, cli: Cli, buyer: str
) -> None:
    """The CLI as a client of Stripe's API: it reads the session and refunds what was paid."""
    bought = stand.purchase(buyer)
    session = cli.ask("checkout", "sessions", "retrieve", bought["session_id"])
    assert session["payment_status"] == "paid"
    refund = cli.ask("refunds", "create", "--payment-intent", session["payment_intent"])
    assert (refund["object"], refund["amount"], refund["status"]) == ("refund", 999, "succeeded")
    stand.until(lambda: stand.payment(buyer, bought["payment_id"])["status"] == "refunded")
    assert stand.quota(buyer)["remaining"] == 0


def test_a_session_made_with_the_cli_is_not_ours_and_credits_no_units(
    stand: Stand, cli: Cli, buyer: str
) -> None:
    """Another product of the same account: its checkout is paid, and our books do not move."""
    stand.purchase(buyer)
    made = cli.ask(
        *(
            "post",
            "/v1/checkout/sessions",
            "-d",
            "mode=payment",
            "-d",
            "success_url=http://127.0.0.1:9/back",
        ),
        *(
            "-d",
            "line_items[0][price_data][currency]=usd",
            "-d",
            "line_items[0][price_data][unit_amount]=999",
        ),
        *(
            "-d",
            "line_items[0][price_data][product_data][name]=Mug",
            "-d",
            "line_items[0][quantity]=1",
        ),
        *("-d", f"client_reference_id={buyer}"),
    )
    stand.pay(made["id"])
    assert cli.ask("get", f"/v1/checkout/sessions/{made['id']}")["payment_status"] == "paid"
    assert stand.quota(buyer)["total"] == 100
    assert stand.call("GET", f"/payments/{made['id']}", sub=buyer).status_code == 404


def test_a_saved_card_is_charged_and_declined_with_the_cli(stand: Stand, cli: Cli) -> None:
    """The CLI makes a customer, saves a card and charges it off session; a scripted decline says
    so in Stripe's words, and the CLI lists both intents by their customer.
    """
    customer = cli.ask("customers", "create", "--email", "alice@example.com")["id"]
    words = ("payment_methods", "attach", "pm_card_visa", "--customer", customer)
    method = cli.ask(*words)["id"]
    form = {
        "amount": "999",
        "currency": "usd",
        "customer": customer,
        "payment_method": method,
        "confirm": "true",
        "off_session": "true",
        "error_on_requires_action": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    fields = [word for name, value in form.items() for word in ("-d", f"{name}={value}")]
    charge = ("post", "/v1/payment_intents", *fields)
    assert cli.ask(*charge)["status"] == "succeeded"
    stand.control(f"payment_methods/{method}/behave", next=["authentication_required"])
    error = json.loads(cli.run(*charge).stdout)["error"]
    assert (error["type"], error["code"]) == ("card_error", "authentication_required")
    listed = cli.ask("payment_intents", "list", "--customer", customer)["data"]
    assert [row["status"] for row in listed] == ["requires_payment_method", "succeeded"]
