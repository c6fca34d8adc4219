"""Parses and writes the JSON document of the webhook's signing secrets.

The document also says, by a hash of the secret, to which endpoint at Stripe each secret belongs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from billing.stripe_api.signatures import usable_secrets

SECRETS_MAX: Final = 4
"""How many signing secrets are kept, the newest ones. Stripe retries an event for three days only,
so older secrets no longer sign anything.
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored signing secrets of the webhook, newest first.

    It also says to which endpoint at Stripe each belongs.
    """

    secrets: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: str) -> "Kept":
        """Return the webhook's signing secrets from the text that is stored.

        If ``stored`` is not our JSON document, the result has no secrets. That is so in a new
        stack, where it is the text that CloudFormation created.
        """
        try:
            secrets = usable_secrets(stored)
        except ValueError:
            return cls()
        endpoints = json.loads(stored).get("endpoints")
        return cls(secrets, endpoints if isinstance(endpoints, dict) else {})

    def knows(self, endpoint_id: str) -> bool:
        """Return whether this endpoint's signing secret is stored."""
        return self.endpoints.get(endpoint_id) in self._marks

    def may_know(self, endpoint_id: str) -> bool:
        """Return whether it is possible that this endpoint's signing secret is stored.

        It is certain if the endpoint is known. It is possible if a secret was stored by hand: then
        it is unknown to which endpoint that secret belongs.
        """
        return self.knows(endpoint_id) or not self._marks <= set(self.endpoints.values())

    @property
    def _marks(self) -> set[str]:
        return {fingerprint(secret) for secret in self.secrets}

    def with_first(self, endpoint_id: str, secret: str) -> "Kept":
        """Return the stored signing secrets with a new one before the others.

        ``endpoint_id`` is the webhook endpoint at Stripe that signs with it. Only the newest
        SECRETS_MAX secrets are kept.
        """
        secrets = (secret, *self.secrets)[:SECRETS_MAX]
        known = {fingerprint(kept) for kept in secrets}
        endpoints = {**self.endpoints, endpoint_id: fingerprint(secret)}
        return Kept(secrets, {name: mark for name, mark in endpoints.items() if mark in known})

    def text(self) -> str:
        """Return the webhook's signing secrets as the JSON document to be stored."""
        return json.dumps({"secrets": list(self.secrets), "endpoints": dict(self.endpoints)})


def fingerprint(secret: str) -> str:
    """Return a hash that identifies a secret without revealing it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
