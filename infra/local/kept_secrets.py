"""Returns the secrets of the local stack.

They are made at the first start and kept in a file. Those of the real Stripe come from the caller's
environment.
"""

import base64
import json
import os
import secrets
from typing import Any, Final

from infra.local.paths import LocalStackError, Paths

BOTH_NEEDED: Final = (
    "STRIPE_SECRET_KEY is set: set STRIPE_WEBHOOK_SECRET too, "
    "to what `stripe listen --print-secret` prints"
)


def read_secrets(paths: Paths) -> dict[str, Any]:
    """Return the local stack's secrets, and whether it uses the real Stripe.

    Without STRIPE_SECRET_KEY, it uses the simulator: all secrets are made at the first call and
    kept in a file. With it, the Stripe key and webhook secret come from the environment, and the
    secret for events to the seller is new at each call. Raises LocalStackError if
    STRIPE_WEBHOOK_SECRET is then missing.
    """
    key = os.environ.get("STRIPE_SECRET_KEY", "")
    hook = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
    if key:
        if not hook:
            raise LocalStackError(BOTH_NEEDED)
        secret = _event_secret()
        given = {"stripe_secret_key": key, "webhook_secret": hook, "notify_secret": secret}
        return {**given, "real_stripe": True}
    file = paths.state / "secrets.json"
    if not file.exists():
        file.touch(mode=0o600)
        made = {
            "stripe_secret_key": f"sk_test_{secrets.token_hex(16)}",
            "webhook_secret": f"whsec_{secrets.token_hex(16)}",
            "notify_secret": _event_secret(),
        }
        file.write_text(json.dumps(made))
    kept = json.loads(file.read_text())
    if "notify_secret" not in kept:  # of a local stack from before there were events
        kept["notify_secret"] = _event_secret()
        file.write_text(json.dumps(kept))
    return {**kept, "real_stripe": False}


def _event_secret() -> str:
    """Return a new secret that signs events to the seller, as Standard Webhooks wants it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
