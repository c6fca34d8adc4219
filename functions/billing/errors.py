"""The errors of the product, and which of them may be retried.

Exception
├── BillingError                 the caller's mistake: 4xx with a stable code
│   └── StripeRefusedError       Stripe refused for good
├── ConditionFailedError         a write's conditions did not hold: nothing was written
├── RetryableError               no result in time
│   ├── NotDoneError             ... and nothing was written: safe to retry
│   └── OutcomeUnknownError      ... and it may have been written: retry under the same key
├── AwsRefusedError              AWS refuses for good: a grant, a resource, our own bug
└── SettingsError                the environment lacks something
"""

from collections.abc import Mapping
from typing import Any, Final

Item = dict[str, Any]

STATUS_OF: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_plan": 400,
    "invalid_signature": 400,
    "invalid_payload": 400,
    "exceeds_hold": 400,
    "idempotency_key_required": 400,
    "unauthorized": 401,
    "quota_exhausted": 402,
    "email_not_verified": 403,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "hold_closed": 409,
    "idempotency_conflict": 409,
    "too_many_keys": 409,
    "payload_too_large": 413,
    "welcome_closed_today": 429,
    "internal_error": 500,
    "stripe_refused": 502,
    "stripe_unavailable": 502,
    "outcome_unknown": 503,
    "busy": 503,
}
"""Every stable code an answer can carry, and its HTTP status."""


class BillingError(Exception):
    """An answer with a stable code, which the caller can act on.

    ``code`` is one of STATUS_OF, ``detail`` a sentence that says what to do.
    """

    def __init__(self, code: str, detail: str, **members: object) -> None:
        """``members`` are added to the problem document (RFC 9457, section 3.2)."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = STATUS_OF[code]
        self.detail = detail
        self.members = members


class StripeRefusedError(BillingError):
    """Stripe refused for good: the same request again is refused again.

    An operator must fix the cause.

    ``refusal`` is what Stripe said, for the log. It never goes into an answer.
    """

    def __init__(self, refusal: Mapping[str, Any]) -> None:
        """``refusal`` has what ``refusals.for_the_log`` returns."""
        detail = "Stripe refused this for good. Nothing was charged; the seller must fix the cause."
        super().__init__("stripe_refused", detail)
        self.refusal = refusal

    def __str__(self) -> str:
        """Return Stripe's answer in one line, for operators."""
        named = [
            f"{name} {value}"
            for name, value in self.refusal.items()
            if value and name != "message"
        ]
        message = self.refusal.get("message") or "no message"
        return f"stripe_refused: {message} ({', '.join(named)})"


class AwsRefusedError(Exception):
    """An AWS service refuses the request as such: a missing grant, a missing resource, our own bug.

    Trying again does not help.
    """


class ConditionFailedError(Exception):
    """A write's conditions did not hold, and nothing was written.

    ``old[i]`` is the item that write *i* found, None for no item. Only writes whose own condition
    failed are in ``old``.
    """

    def __init__(self, old: Mapping[int, Item | None]) -> None:
        """``old`` comes from ReturnValuesOnConditionCheckFailure=ALL_OLD."""
        super().__init__(f"conditions failed on writes {sorted(old)}")
        self.old = old


class RetryableError(Exception):
    """The call had no result in time.

    Send it again, with the same idempotency key where there is one.
    """


class NotDoneError(RetryableError):
    """Timed out, and we know nothing was written. Safe to retry."""


class OutcomeUnknownError(RetryableError):
    """Timed out, and the call may or may not have been carried out.

    Never a failure, never a success.
    """


class SettingsError(Exception):
    """A setting or secret is missing or unusable. An operator must fix it."""
