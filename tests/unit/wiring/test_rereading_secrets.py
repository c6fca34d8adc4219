"""How often a container reads its secrets again: a flood of forged signatures hides no roll."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from billing.wiring import secrets
from functional.lab import REGION, SITE, forget
from functional.template import Template
from support.builders import STACK


class Vault:
    """Secrets Manager and the container's clock."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self.seconds = 1000.0
        self.asked: list[str] = []

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        """Count."""
        self.asked.append(SecretId)
        return {"SecretString": json.dumps({"secrets": [f"whsec_{len(self.asked)}"]})}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A container that has just begun."""
    vault = Vault()
    template = Template(
        STACK,
        REGION,
        Stage="local",
        SiteUrl=SITE,
        JwtIssuer="http://127.0.0.1:9",
        JwtAudience="topup",
    )
    for name, value in template.environment().items():
        monkeypatch.setenv(name, value)
    client = SimpleNamespace(create_client=lambda *_, **__: vault)
    monkeypatch.setattr("botocore.session.get_session", lambda: client)
    monkeypatch.setattr(secrets, "monotonic", lambda: vault.seconds)
    forget(clients=True)
    yield vault
    forget(clients=True)


def test_a_secret_is_read_once_however_many_ask(vault: Vault) -> None:
    """Until it is five minutes old."""
    assert {secrets.webhook_secrets(fresh=False) for _ in range(50)} == {("whsec_1",)}
    vault.seconds += 299
    assert secrets.webhook_secrets(fresh=False) == ("whsec_1",)
    vault.seconds += 1
    assert secrets.webhook_secrets(fresh=False) == ("whsec_2",)


def test_a_flood_of_forged_signatures_reads_a_secret_twenty_times_and_then_each_ten_seconds(
    vault: Vault,
) -> None:
    """A genuine signature after a roll is among the first twenty, or waits ten seconds."""
    for _ in range(100):
        secrets.webhook_secrets(fresh=True)
    assert len(vault.asked) == 20
    vault.seconds += 9
    secrets.webhook_secrets(fresh=True)
    assert len(vault.asked) == 20
    vault.seconds += 1
    assert secrets.webhook_secrets(fresh=True) == ("whsec_21",)
    assert secrets.webhook_secrets(fresh=True) == ("whsec_21",)
    assert len(vault.asked) == 21


def test_a_flood_at_one_secret_leaves_the_other_its_own_allowance(vault: Vault) -> None:
    """Stripe's key is read again when Stripe refuses it, whatever is sent to the webhook."""
    for _ in range(100):
        secrets.webhook_secrets(fresh=True)
    before = secrets.stripe_key(fresh=False)
    assert secrets.stripe_key(fresh=True) != before
    assert len(vault.asked) == 22
