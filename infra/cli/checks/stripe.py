"""Checks the Stripe key, the signing secrets, the clocks, and overdue deliveries."""

import re
from collections.abc import Iterator
from typing import Final

from billing.clock import epoch, from_epoch
from billing.stripe_api.events import SUBSCRIBED
from billing.stripe_api.signatures import TOLERANCE_SECONDS, usable_secrets

from infra.cli.checks.deliveries import check_any_secret, check_delivery
from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.account import KeyRefusedError

KEY: Final = re.compile(r"[sr]k_(test|live)_\w+")
SKEW_SECONDS_MAX: Final = TOLERANCE_SECONDS // 5
"""The greatest allowed difference between the clocks. It is well below the difference at which the
webhook refuses deliveries.
"""
PENDING_SECONDS_MIN: Final = 600
"""A delivery younger than this may be under way."""
PENDING_SECONDS_MAX: Final = 3 * 86_400
"""Stripe retries for three days: https://docs.stripe.com/webhooks#automatic-retries"""
SECRETS_SCHEMA: Final = '{"secrets": ["whsec_..."]}'


def key(patient: Patient) -> Iterator[Finding]:
    """Check that Stripe accepts the stored secret key, and that the key is of the right mode.

    The right mode, live or test, is the stack's.
    """
    name = patient.target.settings.stripe_key_secret
    match = KEY.fullmatch(patient.target.stripe_key())
    if not match:
        repair = _put_secret(name, "sk_...")
        yield Finding("stripe key", "wrong", "the secret holds no Stripe key", repair)
        return
    yield _mode(patient, match[1])
    try:
        patient.account.endpoints()
    except KeyRefusedError as error:
        repair = "give the restricted key read access to webhook endpoints and events"
        if error.is_unknown:
            repair = _put_secret(name, "sk_...")
        yield Finding("stripe key", "wrong", f"Stripe refuses the key: {error}", repair)
        return
    yield Finding("stripe key", "ok", "Stripe accepts it")


def _mode(patient: Patient, mode: str) -> Finding:
    settings = patient.target.settings
    wanted = "live" if settings.livemode else "test"
    if mode != wanted:
        what = f"a {mode} key in a stack of StripeMode {wanted}: every event is ignored"
        name = settings.stripe_key_secret
        repair = f"put a {wanted} key into {name}, or deploy with StripeMode={mode}"
        return Finding("stripe mode", "wrong", what, repair)
    if settings.livemode != (settings.stage == "prod"):
        what = f"Stage {settings.stage} with StripeMode {wanted}"
        repair = "deploy prod with StripeMode=live, every other stage with StripeMode=test"
        return Finding("stripe mode", "wrong", what, repair)
    what = f"a {mode} key, StripeMode {wanted}, Stage {settings.stage}"
    return Finding("stripe mode", "ok", what)


def clock(patient: Patient) -> Iterator[Finding]:
    """Check that this machine's clock agrees with Stripe's. With a large skew deliveries fail."""
    skew = round(patient.account.skew_seconds())
    if abs(skew) > SKEW_SECONDS_MAX:
        side = "ahead of" if skew > 0 else "behind"
        what = (
            f"this machine's clock is {abs(skew)} s {side} Stripe's;"
            f" from {TOLERANCE_SECONDS} s on, deliveries are refused"
        )
        yield Finding("clock", "wrong", what, "synchronise it (chrony, systemd-timesyncd)")
    else:
        yield Finding("clock", "ok", f"within {SKEW_SECONDS_MAX} s of Stripe's")


def signing_secret(patient: Patient) -> Iterator[Finding]:
    """Check that the webhook accepts an event signed with each stored signing secret."""
    name = patient.target.settings.webhook_secrets_secret
    try:
        secrets = usable_secrets(patient.target.secret(name))
    except ValueError as error:
        repair = _put_secret(name, SECRETS_SCHEMA)
        yield Finding("webhook secret", "wrong", str(error), repair)
        return
    if odd := sum(not secret.startswith("whsec_") for secret in secrets):
        what = f"{odd} of {len(secrets)} do not begin with whsec_, as all of Stripe's do"
        repair = f"{_put_secret(name, SECRETS_SCHEMA)}; Stripe shows it on the endpoint's page"
        yield Finding("webhook secret", "wrong", what, repair)
    for number, secret in enumerate(secrets, 1):
        which = f"secret {number} of {len(secrets)}"
        yield check_delivery(patient, patient.target.webhook_url, secret, which)
    for url in patient.target.other_urls:
        yield check_any_secret(patient, url)


def deliveries(patient: Patient) -> Iterator[Finding]:
    """Check that Stripe has delivered every event to our webhook in time.

    Events are overdue if Stripe has not delivered them for ten minutes or more. Only events of the
    last three days, and not older than the stack, are checked.
    """
    now = epoch(patient.books.clock())
    since = max(now - PENDING_SECONDS_MAX, patient.target.made_epoch)
    pending = patient.account.undelivered(since, SUBSCRIBED)
    late = [row for row in pending if row["created"] < now - PENDING_SECONDS_MIN]
    if not late:
        yield Finding("deliveries", "ok", "none is overdue")
        return
    oldest = from_epoch(min(row["created"] for row in late))
    what = f"{len(late)} events of the last three days are not delivered, the oldest of {oldest}"
    repair = (
        "repair what this report says of the webhook;"
        f" `topup replay {late[0]['id']}` settles one, `topup reconcile --repair` all"
    )
    yield Finding("deliveries", "wrong", what, repair)


def _put_secret(name: str, value: str) -> str:
    """Return the AWS CLI command that stores a secret."""
    return f"aws secretsmanager put-secret-value --secret-id {name} --secret-string '{value}'"
