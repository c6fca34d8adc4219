"""Makes the HTTP headers of a webhook's delivery, with Stripe's signature of its body."""

import time

from stripe import WebhookSignature

from infra.stripe_simulator.settings import WebhookTarget


def signed_headers(body: str, target: WebhookTarget) -> dict[str, str]:
    """Return the headers of one attempt, with the signature by the endpoint's secret.

    The timestamp is of the real clock, because receivers compare it with theirs.
    """
    signature = WebhookSignature.generate_signature_header(
        body, target.secret, timestamp=int(time.time())
    )
    headers = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "stripe-signature": signature,
    }
    if target.host:
        headers["host"] = target.host
    return headers
