"""The doctor's questions to Stripe, and to the webhook as Stripe would call it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from billing.clock import epoch, from_epoch
from billing.stripe_api.client import API_VERSION
from billing.stripe_api.events import SUBSCRIBED
from billing.stripe_api.signatures import TOLERANCE_SECONDS, usable_secrets

from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.account import KeyRefusedError
from infra.cli.stripe.addresses import same_url
from infra.cli.stripe.endpoint_plan import Kept
from infra.cli.stripe.probe_delivery import delivered
from infra.cli.target import WEBHOOK_PATH

KEY: Final = re.compile(r"[sr]k_(test|live)_\w+")
SKEW_SECONDS_MAX: Final = TOLERANCE_SECONDS // 5
"""Long before deliveries are refused."""
PENDING_SECONDS_MIN: Final = 600
"""A delivery younger than this may be under way."""
PENDING_SECONDS_MAX: Final = 3 * 86_400
"""Stripe gives up after three days: https://docs.stripe.com/webhooks#automatic-retries"""


def key(patient: Patient) -> Iterator[Finding]:
    """There is a key, of the stack's mode, and Stripe takes it."""
    settings, name = patient.target.settings, patient.target.settings.stripe_key_secret
    match = KEY.fullmatch(patient.target.stripe_key())
    if not match:
        yield Finding("stripe key", "wrong", "the secret holds no Stripe key", _put(name, "sk_..."))
        return
    mode, wanted = match[1], "live" if settings.livemode else "test"
    if mode != wanted:
        repair = f"put a {wanted} key into {name}, or deploy with StripeMode={mode}"
        yield Finding(
            "stripe mode",
            "wrong",
            f"a {mode} key in a stack of StripeMode {wanted}: every event is ignored",
            repair,
        )
    elif settings.livemode != (settings.stage == "prod"):
        repair = "deploy prod with StripeMode=live, every other stage with StripeMode=test"
        yield Finding(
            "stripe mode", "wrong", f"Stage {settings.stage} with StripeMode {wanted}", repair
        )
    else:
        yield Finding(
            "stripe mode", "ok", f"a {mode} key, StripeMode {wanted}, Stage {settings.stage}"
        )
    try:
        patient.account.endpoints()
    except KeyRefusedError as error:
        repair = (
            _put(name, "sk_...")
            if error.is_unknown
            else "give the restricted key read access to webhook endpoints and events"
        )
        yield Finding("stripe key", "wrong", f"Stripe refuses the key: {error}", repair)
        return
    yield Finding("stripe key", "ok", "Stripe takes it")


def clock(patient: Patient) -> Iterator[Finding]:
    """Deliveries are refused when clocks are apart."""
    skew = round(patient.account.skew_seconds())
    if abs(skew) > SKEW_SECONDS_MAX:
        side = "ahead of" if skew > 0 else "behind"
        what = f"this machine's clock is {abs(skew)} s {side} Stripe's; from {TOLERANCE_SECONDS} s on, deliveries are refused"
        yield Finding("clock", "wrong", what, "synchronise it (chrony, systemd-timesyncd)")
    else:
        yield Finding("clock", "ok", f"within {SKEW_SECONDS_MAX} s of Stripe's")


def signing_secret(patient: Patient) -> Iterator[Finding]:
    """There is a signing secret, and the function takes what is signed with it: a no-op event is delivered as Stripe would."""
    name = patient.target.settings.webhook_secrets_secret
    try:
        secrets = usable_secrets(patient.target.secret(name))
    except ValueError as error:
        yield Finding(
            "webhook secret", "wrong", str(error), _put(name, '{"secrets": ["whsec_..."]}')
        )
        return
    if odd := sum(not secret.startswith("whsec_") for secret in secrets):
        repair = (
            _put(name, '{"secrets": ["whsec_..."]}') + "; Stripe shows it on the endpoint's page"
        )
        yield Finding(
            "webhook secret",
            "wrong",
            f"{odd} of {len(secrets)} do not begin with whsec_: Stripe signs with none such",
            repair,
        )
    for number, secret in enumerate(secrets, 1):
        yield _delivered(
            patient, patient.target.webhook_url, secret, f"secret {number} of {len(secrets)}"
        )
    for url in patient.target.other_urls:
        yield from _reached(patient, url)


def endpoints(patient: Patient) -> Iterator[Finding]:
    """An endpoint at Stripe leads here, is on, is subscribed to everything, and speaks our version of the API."""
    known, tried = (
        patient.target.webhook_urls(),
        (patient.target.webhook_url, *patient.target.other_urls),
    )
    found = patient.account.endpoints()
    ours = [row for row in found if str(row["url"]).rstrip("/") in known]
    if not ours:
        alike = [
            str(row["url"]) for row in found if str(row["url"]).rstrip("/").endswith(WEBHOOK_PATH)
        ]
        yield _none_leads_here(patient, alike)
    for row in _telling(patient, ours):
        yield from _endpoint(patient, row)
        if row.get("status") == "enabled" and not any(
            same_url(str(row["url"]), url) for url in tried
        ):
            yield from _reached(patient, str(row["url"]))


def _telling(patient: Patient, ours: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Where one fits, others say nothing: they are its predecessors, disabled, or on until they have delivered what they still have to."""
    fitting = [
        row for row in ours if all(finding.level == "ok" for finding in _endpoint(patient, row))
    ]
    return fitting or ours


def deliveries(patient: Patient) -> Iterator[Finding]:
    """Events that Stripe could not deliver for a while.

    Those of before the stack was made are others' affair.
    """
    now = epoch(patient.books.clock())
    since = max(now - PENDING_SECONDS_MAX, patient.target.made_epoch)
    late = [
        row
        for row in patient.account.undelivered(since, SUBSCRIBED)
        if row["created"] < now - PENDING_SECONDS_MIN
    ]
    if not late:
        yield Finding("deliveries", "ok", "none is overdue")
        return
    what = f"{len(late)} events of the last three days are not delivered, the oldest of {from_epoch(min(row['created'] for row in late))}"
    repair = f"mend what this report says of the webhook; `topup replay {late[0]['id']}` settles one, `topup reconcile --repair` all"
    yield Finding("deliveries", "wrong", what, repair)


def _delivered(patient: Patient, url: str, secret: str, which: str) -> Finding:
    return delivered(
        url,
        secret,
        which,
        livemode=patient.target.settings.livemode,
        now=epoch(patient.books.clock()),
    )


def _none_leads_here(patient: Patient, alike: Sequence[str]) -> Finding:
    if bus := patient.target.outputs.get("StripeEventBus", ""):
        return Finding(
            "endpoint",
            "note",
            f"no endpoint at Stripe leads here: events come by the event bus {bus} alone",
        )
    url = patient.target.webhook_url or WEBHOOK_PATH
    repair = (
        f"stripe webhook_endpoints create --url {url} --api-version {API_VERSION} {_subscription()}"
    )
    if alike:
        repair = f"is one of these this stack's? then `topup doctor --webhook-url` with it: {', '.join(alike)}; otherwise: {repair}"
    what = "no endpoint at Stripe leads here" + (
        " (the stand delivers by itself)" if patient.is_local else ""
    )
    return Finding("endpoint", patient.unless_local("wrong"), what, repair)


def _reached(patient: Patient, url: str) -> Iterator[Finding]:
    """The address that Stripe has is not the one already tried.

    It has one of our secrets, whichever.
    """
    secrets = usable_secrets(patient.target.secret(patient.target.settings.webhook_secrets_secret))
    tried = [
        _delivered(patient, url, secret, f"secret {number} of {len(secrets)}")
        for number, secret in enumerate(secrets, 1)
    ]
    yield next((finding for finding in tried if finding.level == "ok"), tried[-1])


def _endpoint(patient: Patient, row: Mapping[str, Any]) -> Iterator[Finding]:
    name, update = f"endpoint {row['id']}", f"stripe webhook_endpoints update {row['id']}"
    faults: list[Finding] = []
    if row.get("status") != "enabled":
        faults.append(Finding(name, "wrong", "it is disabled", f"{update} -d disabled=false"))
    if missing := _missing(row["enabled_events"]):
        faults.append(
            Finding(
                name,
                "wrong",
                f"not subscribed to: {', '.join(missing)}",
                f"{update} {_subscription()}",
            )
        )
    if (version := row.get("api_version")) != API_VERSION:
        what = f"its API version is {version or 'that of the account'}, ours {API_VERSION}: events may be of a shape that is not read"
        faults.append(
            Finding(
                name,
                "wrong",
                what,
                f"make a new endpoint with --api-version {API_VERSION}, then delete this one; a version cannot be changed",
            )
        )
    if row.get("livemode") is not patient.target.settings.livemode:
        faults.append(
            Finding(
                name,
                "wrong",
                f"livemode is {row.get('livemode')}",
                "make the endpoint in the stack's own mode",
            )
        )
    if str(row["url"]).startswith("http://") and not patient.is_local:
        faults.append(
            Finding(name, "wrong", f"{row['url']} is not https", f"{update} --url https://...")
        )
    kept = Kept.read(patient.target.secret(patient.target.settings.webhook_secrets_secret))
    if not kept.may_know(row["id"]):
        faults.append(
            Finding(
                name,
                "wrong",
                "the stack has no signing secret of it: all that it delivers is refused",
                "topup connect",
            )
        )
    elif not kept.knows(row["id"]):
        yield Finding(
            name,
            "note",
            "its signing secret was put there by hand: nobody can tell whether it is this one's",
            "topup connect",
        )
    yield from faults or [
        Finding(name, "ok", f"{row['url']}, {len(row['enabled_events'])} event types, {version}")
    ]


def _subscription() -> str:
    return " ".join(f"-d 'enabled_events[]={kind}'" for kind in SUBSCRIBED)


def _missing(enabled: Sequence[str]) -> list[str]:
    return [] if "*" in enabled else [kind for kind in SUBSCRIBED if kind not in enabled]


def _put(name: str, value: str) -> str:
    return f"aws secretsmanager put-secret-value --secret-id {name} --secret-string '{value}'"
