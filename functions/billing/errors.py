"""The errors of the product, and which of them may be retried.

Exception
├── BillingError                 answered with 4xx or 5xx and a stable code
│   └── StripeRefusedError       Stripe would refuse the same request again
├── ConditionFailedError         a condition failed: nothing was written
├── RetryableError               no result in time
│   ├── NotDoneError             ... and nothing was written: safe to retry
│   └── OutcomeUnknownError      ... maybe written: retry with the same key
├── AwsRefusedError              AWS would refuse the same request again
└── SettingsError                a setting or secret is missing
"""

from collections.abc import Mapping
from typing import Any, Final

Item = dict[str, Any]

STATUS_OF: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_plan": 400,
    "invalid_signature": 400,
    "invalid_payload": 400,
    "invalid_key": 400,
    "exceeds_hold": 400,
    "idempotency_key_required": 400,
    "unauthorized": 401,
    "quota_exhausted": 402,
    "key_limit_reached": 402,
    "email_not_verified": 403,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "hold_closed": 409,
    "idempotency_conflict": 409,
    "no_saved_card": 409,
    "too_many_keys": 409,
    "payload_too_large": 413,
    "welcome_closed_today": 429,
    "internal_error": 500,
    "stripe_refused": 502,
    "stripe_unavailable": 502,
    "outcome_unknown": 503,
    "busy": 503,
}
"""Each stable code that an error answer can have, and its HTTP status."""


class BillingError(Exception):
    """An error that is answered with a stable code.

    ``code`` is one of STATUS_OF. ``detail`` is a sentence that says what
    the caller can do.
    """

    def __init__(self, code: str, detail: str, **members: object) -> None:
        """``members`` are added to the error answer.

        The answer is a problem document (RFC 9457, section 3.2).
        """
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = STATUS_OF[code]
        self.detail = detail
        self.members = members


class StripeRefusedError(BillingError):
    """Stripe refused the request, and would refuse it again.

    An operator must fix the cause. ``refusal`` is Stripe's answer, for the
    log. It is never shown to our callers.
    """

    def __init__(self, refusal: Mapping[str, Any]) -> None:
        """``refusal`` has the parts of Stripe's answer that may be logged.

        They are the error's type, codes, message and parameter.
        """
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
    """AWS refused the request, and would refuse it again.

    A permission or a resource is missing, or our request is wrong.
    """


class ConditionFailedError(Exception):
    """A condition of the write failed, and nothing was written.

    ``old[i]`` is the stored item for which the condition of write *i*
    failed, or None if there was no item. ``old`` has only the writes whose
    own condition failed.
    """

    def __init__(self, old: Mapping[int, Item | None]) -> None:
        """``old`` has the stored item of each refused write, or None.

        Its keys are the writes' places in the transaction. DynamoDB returns
        the items for ReturnValuesOnConditionCheckFailure=ALL_OLD.
        """
        super().__init__(f"conditions failed on writes {sorted(old)}")
        self.old = old


class RetryableError(Exception):
    """The call had no result before its deadline.

    The caller can send it again, with the same idempotency key if it had
    one.
    """


class NotDoneError(RetryableError):
    """Timed out, and we know nothing was written. Safe to retry."""


class OutcomeUnknownError(RetryableError):
    """Timed out, and the call may or may not have been carried out.

    It must be treated neither as a failure nor as a success.
    """


class SettingsError(Exception):
    """A setting or secret is missing or unusable. An operator must fix it."""
