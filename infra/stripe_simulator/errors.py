"""Defines the simulator's errors: Stripe's error objects, and conflicts of the control API.

https://docs.stripe.com/api/errors
"""

from typing import Any, Final, Self

DECLINED: Final = 402


class StripeFault(Exception):  # noqa: N818 - it is what Stripe answers, not an error of ours
    """An error answer with ``status`` and Stripe's error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str = "",
        kind: str = "invalid_request_error",
        began: bool = False,
    ) -> None:
        """Store the parts of the error object. ``kind`` is its ``type``.

        ``began`` is true if the request had passed validation and its execution had begun. Only
        then is the error stored under the request's idempotency key, and returned to repeats.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.began = began
        self.is_effect = False
        """Whether the changes of the request are kept, although its answer is an error."""
        self._shown: dict[str, Any] = {}

    def showing(self, **members: Any) -> Self:
        """Add members to the error object, and return the fault."""
        self._shown = members
        return self

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the error as Stripe's JSON."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            page = self.code.replace("_", "-")
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{page}"
        if self.param:
            error["param"] = self.param
        error |= self._shown
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


class CardDeclined(StripeFault):
    """Raised for a card error, which the API answers with 402.

    Like any other response, it is stored under the request's idempotency key.

    https://docs.stripe.com/error-handling#payment-errors
    """

    def __init__(self, error: dict[str, Any], *, is_effect: bool = True) -> None:
        """Make the error from Stripe's error object ``error``.

        With ``is_effect``, what the request has changed is kept although it fails: the failed
        charge and its events. Without it, the changes are rolled back.
        """
        code, message = error["code"], error["message"]
        super().__init__(DECLINED, message, code=code, kind="card_error", began=True)
        self.is_effect = is_effect
        self.showing(**error)


class ConflictError(Exception):
    """The requested change is not possible in the object's present state."""


def missing(kind: str, name: str, param: str = "id", status: int = 404) -> StripeFault:
    """Return Stripe's error for an unknown object.

    ``status`` is 404 for the object in the path. For an object that a parameter names, Stripe
    usually answers 400. https://docs.stripe.com/error-codes#resource-missing
    """
    return StripeFault(status, f"No such {kind}: '{name}'", code="resource_missing", param=param)


def bad_integer(message: str, param: str) -> StripeFault:
    """Return Stripe's 400 for a number that is out of its bounds."""
    return StripeFault(400, message, code="parameter_invalid_integer", param=param)
