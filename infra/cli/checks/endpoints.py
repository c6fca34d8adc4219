"""Checks that one webhook endpoint at Stripe leads to this stack with the right settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED

from infra.cli.checks.deliveries import check_any_secret
from infra.cli.checks.findings import Finding, Patient
from infra.cli.stripe.addresses import same_url
from infra.cli.stripe.stored_secrets import Kept
from infra.cli.target import WEBHOOK_PATH


def endpoints(patient: Patient) -> Iterator[Finding]:
    """Check the address, status, events, API version and signing secret of our endpoints."""
    target = patient.target
    known, tried = target.webhook_urls(), (target.webhook_url, *target.other_urls)
    found = patient.account.endpoints()
    ours = [row for row in found if str(row["url"]).rstrip("/") in known]
    if not ours:
        yield _no_endpoint(patient, [str(row["url"]) for row in found])
    for row in _relevant(patient, ours):
        url = str(row["url"])
        yield from _check_endpoint(patient, row)
        if row.get("status") == "enabled" and not any(same_url(url, other) for other in tried):
            yield check_any_secret(patient, url)


def _relevant(patient: Patient, ours: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the endpoints that pass every check, or all of ``ours`` if none does.

    ``ours`` are the webhook endpoints at Stripe that have an address of the stack. If one passes,
    those that do not are not reported: they are older ones that it has replaced.
    """
    return [row for row in ours if _fits(patient, row)] or ours


def _fits(patient: Patient, row: Mapping[str, Any]) -> bool:
    return all(finding.level == "ok" for finding in _check_endpoint(patient, row))


def _no_endpoint(patient: Patient, urls: Sequence[str]) -> Finding:
    what = "no endpoint at Stripe leads here"
    if bus := patient.target.outputs.get("StripeEventBus", ""):
        return Finding("endpoint", "note", f"{what}: events come by the event bus {bus} alone")
    if patient.is_local:
        what += " (the local stack delivers by itself)"
    url = patient.target.webhook_url or WEBHOOK_PATH
    repair = (
        f"stripe webhook_endpoints create --url {url} --api-version {API_VERSION} {_subscription()}"
    )
    if alike := [other for other in urls if other.rstrip("/").endswith(WEBHOOK_PATH)]:
        repair = (
            "is one of these this stack's? then `topup doctor --webhook-url` with it:"
            f" {', '.join(alike)}; otherwise: {repair}"
        )
    return Finding("endpoint", patient.unless_local("wrong"), what, repair)


def _check_endpoint(patient: Patient, row: Mapping[str, Any]) -> Iterator[Finding]:
    name = f"endpoint {row['id']}"
    faults = [Finding(name, "wrong", *fault) for fault in _faults(patient, row)]
    secrets = patient.target.secret(patient.target.settings.webhook_secrets_secret)
    kept = Kept.read(secrets)
    if not kept.may_know(row["id"]):
        what = "the stack does not have its signing secret: all its deliveries are refused"
        faults.append(Finding(name, "wrong", what, "topup connect"))
    elif not kept.knows(row["id"]):
        what = "its signing secret was stored by hand, so it may be another endpoint's"
        yield Finding(name, "note", what, "topup connect")
    version = row.get("api_version")
    good = f"{row['url']}, {len(row['enabled_events'])} event types, {version}"
    yield from faults or [Finding(name, "ok", good)]


def _faults(patient: Patient, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each fault of an endpoint, as a pair of what is wrong and how to repair it."""
    update = f"stripe webhook_endpoints update {row['id']}"
    if row.get("status") != "enabled":
        yield "it is disabled", f"{update} -d disabled=false"
    if missing := _missing(row["enabled_events"]):
        yield f"not subscribed to: {', '.join(missing)}", f"{update} {_subscription()}"
    if (version := row.get("api_version")) != API_VERSION:
        what = (
            f"its API version is {version or 'that of the account'}, ours {API_VERSION}:"
            " events may have a schema that is not read"
        )
        repair = (
            f"make a new endpoint with --api-version {API_VERSION}, then delete this one;"
            " a version cannot be changed"
        )
        yield what, repair
    if row.get("livemode") is not patient.target.settings.livemode:
        yield f"livemode is {row.get('livemode')}", "make the endpoint in the stack's own mode"
    if str(row["url"]).startswith("http://") and not patient.is_local:
        yield f"{row['url']} is not https", f"{update} --url https://..."


def _subscription() -> str:
    return " ".join(f"-d 'enabled_events[]={kind}'" for kind in SUBSCRIBED)


def _missing(enabled: Sequence[str]) -> list[str]:
    return [] if "*" in enabled else [kind for kind in SUBSCRIBED if kind not in enabled]
