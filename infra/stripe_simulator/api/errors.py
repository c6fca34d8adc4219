"""Stripe's error bodies: https://docs.stripe.com/api/errors."""

from typing import Any


class StripeFault(Exception):  # noqa: N818 - it is what Stripe answers, not an error of ours
    """An answer with ``status`` and Stripe's error object."""

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
        """``kind`` is the error's ``type``.

        ``began``: the endpoint had started, so the answer is kept under an idempotency key.
        """
        super().__init__(message)
        self.status = status
        self.message, self.code, self.param, self.kind, self.began = (
            message,
            code,
            param,
            kind,
            began,
        )

    def body(self, request_id: str) -> dict[str, Any]:
        """As Stripe writes it."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {
                "code": self.code,
                "doc_url": f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}",
            }
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


class ConflictError(Exception):
    """This cannot happen in the state that things are in."""


def missing(kind: str, name: str, param: str = "id") -> StripeFault:
    """No such object."""
    return StripeFault(404, f"No such {kind}: '{name}'", code="resource_missing", param=param)


def bad_integer(message: str, param: str) -> StripeFault:
    """A number that is out of its bounds."""
    return StripeFault(400, message, code="parameter_invalid_integer", param=param)
