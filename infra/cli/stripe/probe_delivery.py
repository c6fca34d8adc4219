"""Sends a signed test event to the stack's webhook, and checks the HTTP response.

The webhook ignores an event of this type, so nothing changes.
"""

import json
from typing import Final

import httpx
from billing.clock import epoch, utc_now
from stripe import WebhookSignature

from infra.cli.checks.findings import Finding

WEBHOOK_SECONDS_MAX: Final = 30


def probe_delivery(url: str, secret: str, which: str, *, livemode: bool, now: int = 0) -> Finding:
    """Deliver a test event, signed with ``secret``, to ``url``, and return what came of it.

    The result is a Finding for ``topup doctor``, in which ``which`` names the secret. The event has
    the given ``livemode`` and the time ``now`` (0 is this machine's time).
    """
    event = {
        "id": "evt_topup_doctor",
        "object": "event",
        "type": "topup.doctor",
        "created": now or epoch(utc_now()),
        "livemode": livemode,
    }
    body = json.dumps({**event, "data": {"object": {}}})
    headers = {
        "content-type": "application/json",
        "stripe-signature": WebhookSignature.generate_signature_header(body, secret),
    }
    try:
        answer = httpx.post(
            url, content=body, headers=headers, timeout=WEBHOOK_SECONDS_MAX, follow_redirects=False
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        repair = (
            "check the domain, its certificate and its route to the API"
            " (the output WebhookUrl needs none of them)"
        )
        return Finding("webhook", "wrong", f"{url} cannot be reached: {error}", repair)
    return _judge(url, answer, which)


def _judge(url: str, answer: httpx.Response, which: str) -> Finding:
    if answer.is_redirect:
        what = f"{url} redirects ({answer.status_code}): Stripe does not follow redirects"
        repair = f"give Stripe the address behind it: {answer.headers.get('location')}"
        return Finding("webhook", "wrong", what, repair)
    if "invalid_signature" in answer.text:
        what = f"{which}: the webhook refuses what is signed with it"
        repair = (
            "let no proxy change the body; a function reads a new secret at its first refusal,"
            " so ask again in a minute"
        )
        return Finding("webhook secret", "wrong", what, repair)
    if answer.status_code != httpx.codes.OK or "ignored" not in answer.text:
        what = f"{url} answers {answer.status_code} {answer.text[:200]!r}"
        repair = (
            "read the log of WebhookFunction; 403 and 404 come from API Gateway: check the address"
        )
        return Finding("webhook", "wrong", what, repair)
    return Finding("webhook", "ok", f"{which}: a signed event without effect was accepted at {url}")
