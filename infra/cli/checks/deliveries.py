"""Sends test deliveries to the webhook's addresses, for the checks of secrets and endpoints."""

from billing.clock import epoch
from billing.stripe_api.signatures import usable_secrets

from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.probe_delivery import probe_delivery


def check_delivery(patient: Patient, url: str, secret: str, which: str) -> Finding:
    """Deliver one event signed with ``secret`` to ``url``, and return the finding.

    The event has no effect. The finding names the secret as ``which`` (``secret 1 of 2``).
    """
    now = epoch(patient.books.clock())
    livemode = patient.target.settings.livemode
    return probe_delivery(url, secret, which, livemode=livemode, now=now)


def check_any_secret(patient: Patient, url: str) -> Finding:
    """Check that an address accepts an event signed with one of our signing secrets.

    It is unknown which of them the address has.
    """
    name = patient.target.settings.webhook_secrets_secret
    secrets = usable_secrets(patient.target.secret(name))
    tried = [
        check_delivery(patient, url, secret, f"secret {number} of {len(secrets)}")
        for number, secret in enumerate(secrets, 1)
    ]
    return next((finding for finding in tried if finding.level == "ok"), tried[-1])
