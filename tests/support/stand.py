"""A stand of the tests' own: free ports, its own data, one for the whole run.

It runs beside one that is up.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

import httpx
import stripe
from support import described, repeating

from infra.local.paths import PORT_VARIABLES, ROOT, Paths, free_port
from infra.local.signing_keys import Keys

API: Final = "/api/v1"
MEMORY_BYTES: Final = 6 * 1024**3
LOOK_SECONDS: Final = 0.1
LOOK_SECONDS_MAX: Final = 1.0


class Stand:
    """What contract and tests need to know of a running stand, and the acts of buyers, sellers and
    Stripe.
    """

    def __init__(self, state: Path) -> None:
        """``state`` is the folder with stand.json."""
        self.state = state
        self.facts: dict[str, str] = json.loads((state / "stand.json").read_text())
        self.api_url = self.facts["api_url"]
        self._keys = Keys(state / "issuer.pem", self.facts["issuer_url"])
        self._clients: dict[str, Any] = {}
        self._resources: dict[str, str] = {}
        self.http = httpx.Client(timeout=40, trust_env=False)
        self.stripe = stripe.StripeClient(
            self.facts["stripe_secret_key"], base_addresses={"api": self.facts["stripe_api_base"]}
        )

    def paths(self) -> Paths:
        """Its folder and ports."""
        names = ("api_url", "stripe_api_base", "issuer_url", "aws_endpoint_url")
        return Paths(
            self.state,
            ROOT / ".local" / "venvs",
            *(urlparse(self.facts[name]).port or 0 for name in names),
        )

    def token(
        self, sub: str, scope: str = "", ttl: int = 3600, audience: str = "topup", **more: str
    ) -> str:
        """A token of the stand's issuer, with ``more`` claims."""
        return self._keys.token(sub, scope, ttl, audience, **more)

    def call(
        self,
        method: str,
        path: str,
        *,
        sub: str = "",
        scope: str = "",
        body: object = None,
        **headers: str,
    ) -> httpx.Response:
        """One call of the API. Underscores in header names become dashes.

        A call that is safe to repeat is repeated while it has no result.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if sub:
            sent["authorization"] = f"Bearer {self.token(sub, scope)}"
        content = None if body is None else json.dumps(body)
        url = f"{self.api_url}{API}{path}"

        def send() -> httpx.Response:
            return self.http.request(method, url, headers=sent, content=content)

        is_safe = repeating.is_safe(method, path, sent)
        answer = repeating.until_answered(send) if is_safe else send()
        described.check(method, path, answer.status_code, answer.headers, answer.text)
        return answer

    def quota(self, sub: str) -> dict[str, Any]:
        """What ``GET /quota`` says."""
        answer = self.call("GET", "/quota", sub=sub)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def buy(self, sub: str, plan: str = "starter") -> dict[str, Any]:
        """A checkout, not paid yet."""
        key = uuid.uuid4().hex
        body = {"plan": plan}
        answer = self.call("POST", "/payments/checkout", sub=sub, body=body, idempotency_key=key)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def control(self, path: str, **body: object) -> dict[str, Any]:
        """The simulator's control API."""
        answer = self.http.post(f"{self.facts['stripe_api_base']}/_control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def pay(self, session_id: str, method: str = "card") -> dict[str, Any]:
        """What the buyer does on Stripe's page; returns when the webhooks have been delivered."""
        paid = self.control(f"sessions/{session_id}/pay", method=method)
        self.control("idle")
        return paid

    def purchase(self, sub: str, plan: str = "starter") -> dict[str, Any]:
        """Buy and pay, and wait for the credit."""
        bought = self.buy(sub, plan)
        self.pay(bought["session_id"])
        self.until(lambda: self.payment(sub, bought["payment_id"])["status"] == "completed")
        return bought

    def payment(self, sub: str, name: str) -> dict[str, Any]:
        """A payment by its id or its session's."""
        answer = self.call("GET", f"/payments/{name}", sub=sub)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def deliver(
        self, event: dict[str, Any], *secrets: str, url: str = "", host: str = ""
    ) -> httpx.Response:
        """Sign an event and send it as Stripe would: with the stand's secret, or these, as while
        one is being rolled.

        Like Stripe, repeat the delivery while the endpoint has no result.
        """
        text = json.dumps(event)
        signature = signed(text, *(secrets or (self.facts["webhook_secret"],)))
        headers = {
            "stripe-signature": signature,
            "content-type": "application/json",
            **({"host": host} if host else {}),
        }
        target = url or self.facts["webhook_url"]
        content = text.encode()
        return repeating.until_answered(
            lambda: self.http.post(target, content=content, headers=headers)
        )

    def deliver_to_function_url(self, event: dict[str, Any]) -> httpx.Response:
        """The same through the Lambda Function URL."""
        return self.deliver(
            event, url=self.facts["webhook_function_url"], host=self.facts["webhook_function_host"]
        )

    def events(self, kind: str, about: str = "") -> list[dict[str, Any]]:
        """Stripe's events of a type, newest first, about an object if one is named."""
        auth = {"authorization": f"Bearer {self.facts['stripe_secret_key']}"}
        url = f"{self.facts['stripe_api_base']}/v1/events?type={kind}&limit=100"
        rows: list[dict[str, Any]] = self.http.get(url, headers=auth).json()["data"]
        return [row for row in rows if not about or about in json.dumps(row)]

    def boto(self, service: str) -> Any:
        """A client of the embedded AWS, with an administrator's rights."""
        if service not in self._clients:
            self._clients[service] = self.paths().client(service)
        return self._clients[service]

    def resources(self, *, anew: bool = False) -> dict[str, str]:
        """Physical names by logical id. ``anew``: an update may have added or removed some."""
        if anew or not self._resources:
            rows = self.boto("cloudformation").describe_stack_resources(
                StackName=self.facts["stack_name"]
            )["StackResources"]
            self._resources = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
        return self._resources

    def invoke(self, logical_id: str, payload: object) -> Any:
        """Call a function directly. Returns what it answers."""
        answer = self.boto("lambda").invoke(
            FunctionName=self.resources()[logical_id], Payload=json.dumps(payload)
        )
        return json.loads(answer["Payload"].read())

    @staticmethod
    def until(true: Callable[[], bool], seconds: int = 30) -> None:
        """Wait for something that happens by itself; fail when it does not."""
        deadline, pause = time.monotonic() + seconds, LOOK_SECONDS
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(pause)  # deliveries are Stripe's doing: there is nothing to wait on but time
            pause = min(pause * 1.5, LOOK_SECONDS_MAX)  # each look takes a processor's time


def signed(text: str, *secrets: str) -> str:
    """Stripe's header of a delivery now, one signature for each secret
    (https://docs.stripe.com/webhooks#roll-endpoint-secrets).
    """
    now = int(time.time())
    made = [
        stripe.WebhookSignature.generate_signature_header(text, secret, now) for secret in secrets
    ]
    return ",".join([f"t={now}", *(header.split(",")[1] for header in made)])


def _memory() -> str | None:
    """A file system in memory where there is room for several stands, else what is usual.

    A function's code is unpacked for each of its processes: on disk that takes a third of a stand's
    time.
    """
    place = Path("/dev/shm")
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > MEMORY_BYTES else None


@contextmanager
def running() -> Iterator[Stand]:
    """Start a stand, yield it, stop it. Its log is shown when it does not start."""
    with tempfile.TemporaryDirectory(prefix="topup-stand-", dir=_memory()) as folder:
        state = Path(folder)
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AWS_", "STRIPE_"))
            },
            "TOPUP_STATE_DIR": folder,
            "TOPUP_IDLE_SECONDS": "300",  # to start a function again takes a second of a processor
            "TOPUP_PERSIST": "0",  # it is never used again
            "TOPUP_TOOLS_DIR": str(ROOT / ".local" / "venvs"),
            **{variable: str(free_port()) for variable, _ in PORT_VARIABLES.values()},
        }
        command = [sys.executable, "-m", "infra.local"]
        up = subprocess.run(
            [*command, "up"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert up.returncode == 0, f"the stand did not start:\n{up.stdout}\n{up.stderr}"
        stand = Stand(state)
        try:
            yield stand
        finally:
            stand.http.close()
            subprocess.run(
                [*command, "down"], cwd=ROOT, env=environment, capture_output=True, check=False
            )
