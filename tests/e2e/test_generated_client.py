"""A client generated from the stand's own description buys and spends on the stand."""

import importlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from support.stand import API, Stand

GENERATOR: Final = "openapi_python_client"
"""https://github.com/openapi-generators/openapi-python-client"""
PACKAGE: Final = "topup_generated"


@dataclass(frozen=True, slots=True)
class Generated:
    """The imported package, and a client for any token."""

    base_url: str

    def client(self, token: str) -> Any:
        """As its users make one."""
        package = importlib.import_module(PACKAGE)
        return package.AuthenticatedClient(
            base_url=self.base_url, token=token, httpx_args={"trust_env": False}
        )

    def call(self, operation: str, client: Any, *ids: str, **parameters: Any) -> Any:
        """One operation. Returns what its answer was parsed into."""
        return importlib.import_module(f"{PACKAGE}.api.default.{operation}").sync(
            *ids, client=client, **parameters
        )

    def model(self, name: str, /, *values: Any, **members: Any) -> Any:
        """A body, or one of the words it may hold."""
        return getattr(importlib.import_module(f"{PACKAGE}.models"), name)(*values, **members)


@pytest.fixture(scope="module")
def generated(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    """Made anew from what the stand answers; a warning of the generator's is a failure."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(stand.call("GET", "/openapi.json").text)
    (folder / "settings.yml").write_text("post_hooks: []\n")  # they would format what nobody reads
    options = [
        "--path",
        "openapi.json",
        "--output-path",
        PACKAGE,
        "--meta",
        "none",
        "--config",
        "settings.yml",
        "--fail-on-warning",
    ]
    done = subprocess.run(
        [sys.executable, "-m", GENERATOR, "generate", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield Generated(f"{stand.api_url}{API}")
    sys.path.remove(str(folder))


@pytest.fixture
def buyer() -> str:
    """A user of this test alone."""
    return f"generated-{uuid.uuid4().hex[:8]}"


def test_a_generated_client_buys_and_spends(stand: Stand, generated: Generated, buyer: str) -> None:
    """Buy, pay, confirm, read, debit, hold and capture, and look at it all afterwards."""
    user, service = (
        generated.client(stand.token(buyer)),
        generated.client(stand.token("backend", "quota.write")),
    )
    plan = next(plan for plan in generated.call("list_plans", user).plans if plan.id == "starter")
    wish = generated.model(
        "CreateCheckoutBody", plan=generated.model("CreateCheckoutBodyPlan", plan.id)
    )
    bought = generated.call("create_checkout", user, body=wish, idempotency_key="one")
    assert generated.call("create_checkout", user, body=wish, idempotency_key="one") == bought
    stand.pay(bought.session_id)
    assert generated.call("confirm_payment", user, bought.payment_id).status == "completed"
    assert generated.call("read_quota", user).remaining == plan.quota
    debit = generated.model("DebitBody", user_id=buyer, units=7)
    taken = generated.call("debit", service, body=debit, idempotency_key=buyer)
    again = generated.call("debit", service, body=debit, idempotency_key=buyer)
    assert (again.debit_id, again.remaining, again.idempotent_replayed) == (
        taken.debit_id,
        plan.quota - 7,
        True,
    )
    held = generated.call(
        "hold",
        service,
        body=generated.model("HoldBody", user_id=buyer, units=10, expires_in_seconds=60),
    )
    closed = generated.call(
        "capture", service, held.hold_id, body=generated.model("CaptureBody", units=4)
    )
    assert (closed.status, closed.units, closed.released) == ("captured", 4, 6)
    quota = generated.call("read_quota", user)
    assert (quota.user_id, quota.total, quota.used, quota.held, quota.remaining) == (
        buyer,
        100,
        11,
        0,
        89,
    )
    (payment,) = generated.call("list_payments", user, limit=10).payments
    assert (payment.payment_id, payment.session_id, payment.amount_minor, payment.amount) == (
        bought.payment_id,
        bought.session_id,
        999,
        "9.99",
    )
    assert payment.completed_at.tzinfo is not None
    (entry,) = generated.call("read_ledger", user, limit=1).entries
    assert (entry.type_, entry.units, entry.reference_id) == ("funded", 100, bought.session_id)
    assert generated.call("get_receipt", user, bought.session_id).receipt_url.startswith("http")


def test_a_generated_client_distinguishes_refusals(
    stand: Stand, generated: Generated, buyer: str
) -> None:
    """What is left and where to buy more; and API Gateway's own words, which are no problem
    document.
    """
    user, service = (
        generated.client(stand.token(buyer)),
        generated.client(stand.token("backend", "quota.write")),
    )
    refused = generated.call(
        "debit", service, body=generated.model("DebitBody", user_id=buyer, units=1)
    )
    assert (refused.status, refused.code, refused.remaining) == (402, "quota_exhausted", 0)
    assert refused.top_up_url == stand.api_url
    unknown = generated.call("get_payment", user, "pay_none")
    assert unknown["code"] == "not_found"
    expired = generated.client(stand.token(buyer, ttl=-60))
    assert generated.call("read_quota", expired).message == "Unauthorized"


def test_a_generated_client_makes_and_revokes_keys(
    stand: Stand, generated: Generated, buyer: str
) -> None:
    """204 has no body, and none is read."""
    user = generated.client(stand.token(buyer))
    made = generated.call("create_key", user, body=generated.model("CreateKeyBody", name="laptop"))
    assert made.key.startswith("tk_")
    assert [key.key_id for key in generated.call("list_keys", user).keys] == [made.key_id]
    importlib.import_module(f"{PACKAGE}.api.default.revoke_key").sync_detailed(
        made.key_id, client=user
    )
    assert generated.call("list_keys", user).keys == []
