"""Writes our metadata on Stripe's objects, and reads it back from them."""

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
"""The reason to ignore an object whose metadata was written by another
deployment of Topup on the same Stripe account.
"""
UNREADABLE: Final = "unreadable"
"""The reason to ignore an object with a member that is missing or of another
type than Stripe documents.
"""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The result for an event or object that we do not act on.

    ``reason`` is one of a few fixed words, so that metrics can count it.
    """

    reason: str

    @property
    def metric(self) -> Literal["ignored", "unreadable"]:
        """Return the name of the metric in which this result is counted.

        It is ``unreadable`` if a member is missing or has a wrong type: money
        may have moved in such an event. Otherwise it is ``ignored``.
        """
        return "unreadable" if self.reason == UNREADABLE else "ignored"


def metadata(
    stack: str, deployment: str, **claims: str | int
) -> dict[str, str]:
    """Return the metadata that we put on a payment's session and intent.

    ``claims`` are payment_id, user_id, plan, quota, and perhaps
    expires_after_days; ``claims_in`` reads them back. ``stack`` is the
    stack's name, shown to the seller in Stripe's dashboard. Only
    ``deployment`` identifies us, because several stacks may have the same
    name.
    """
    told = {name: str(value) for name, value in claims.items()}
    return {**told, "stack": stack, "deployment": deployment}


def claims_in(
    subject: Mapping[str, Any], ours: Ours
) -> dict[str, Any] | Ignored:
    """Return our metadata on a Stripe object, or Ignored if not ours.

    ``subject`` is a session, payment intent or charge. The result has
    payment_id, user_id, plan, quota, expires_after_days and
    ``needs_record``: true if the metadata names no deployment, so that
    only our record of the payment shows that the object is ours. An error
    in reading our deployment's id is passed on, because the object may be
    ours.
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
    """Return after how many days the purchase's units expire. 0 means never.

    ``text`` is the value in Stripe's metadata. The result is also 0 if that is
    missing or no number.
    """
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    return int(str(text)) if is_number and len(str(text)) <= DIGITS_MAX else 0


def _is_claim(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return 0 < len(value) <= CHARS_MAX and not SURROGATE.search(value)
