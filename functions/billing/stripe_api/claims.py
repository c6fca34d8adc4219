"""Our metadata on Stripe's objects: how it is written, and what it claims when it comes back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from billing.settings import Ours
from billing.stripe_api.reading import CHARS_MAX

DIGITS_MAX: Final = 10
SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can escape it, UTF-8 and so DynamoDB cannot hold it."""
OTHER_DEPLOYMENT: Final = "other_deployment"
"""Why metadata of Topup is not ours: another deployment on the same Stripe account wrote it."""
UNREADABLE: Final = "unreadable"
"""A member is missing or of another type than Stripe documents."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not ours, or not of interest.

    ``reason`` is one of a few fixed words, so that it can be counted.
    """

    reason: str

    @property
    def metric(self) -> Literal["ignored", "unreadable"]:
        """Under which metric it is counted: money may have moved by what cannot be read."""
        return "unreadable" if self.reason == UNREADABLE else "ignored"


def metadata(
    stack: str, deployment: str, **claims: str | int
) -> dict[str, str]:
    """Return the metadata of a payment's session and intent; ``claims_in`` reads it.

    ``claims``: payment_id, user_id, plan, quota, and perhaps expires_after_days. ``stack`` is for
    the seller's eyes: names are not unique.
    """
    told = {name: str(value) for name, value in claims.items()}
    return {**told, "stack": stack, "deployment": deployment}


def claims_in(
    subject: Mapping[str, Any], ours: Ours
) -> dict[str, Any] | Ignored:
    """Return what our metadata on a session, payment intent or charge says, or why it is not ours.

    Raises what reading our deployment's id raises: unknown does not mean foreign.
    """
    metadata = subject.get("metadata")
    if not isinstance(metadata, dict):
        return Ignored("not_ours")
    claims = {
        name: metadata.get(name)
        for name in ("payment_id", "user_id", "plan", "quota")
    }
    if not all(_is_claim(value) for value in claims.values()):
        return Ignored("not_ours")
    units = str(claims["quota"])
    if not (units.isascii() and units.isdigit() and len(units) <= DIGITS_MAX):
        return Ignored("not_ours")
    deployment = metadata.get("deployment")
    needs_record = deployment is None
    if not needs_record:
        is_ours = isinstance(deployment, str) and ours.deployment.wrote(
            deployment
        )
        if not is_ours:
            return Ignored(OTHER_DEPLOYMENT)
    return {
        **claims,
        "quota": int(units),
        "expires_after_days": _days(metadata.get("expires_after_days")),
        "needs_record": needs_record,
    }


def _days(text: object) -> int:
    """Return how long the units live. 0, for ever, where metadata does not say."""
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    return int(str(text)) if is_number and len(str(text)) <= DIGITS_MAX else 0


def _is_claim(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return 0 < len(value) <= CHARS_MAX and not SURROGATE.search(value)
